"""Plots of a report as SVG, drawn by matplotlib without a display."""

import re
from collections.abc import Mapping, Sequence
from io import StringIO

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from agent.evaluation.outcomes import Outcome
from agent.evaluation.scores import RunScores

KINDS = ("answered", "abstained", "unparsed", "failed", "missing")
COLOURS = {
    "answered": "#2563eb",
    "abstained": "#d4d4d8",
    "unparsed": "#f59e0b",
    "failed": "#dc2626",
    "missing": "#52525b",
}
MOST_STAGES = 8  # the longest; the rest together
WIDTH = 8.0  # inches


def accuracy_plot(runs: Mapping[str, RunScores]) -> str:
    """Draw the strict score by category, with 95 % intervals; "" without categories."""
    names = list(dict.fromkeys(score.name for run in runs.values() for score in run.categories))
    if not names:
        return ""
    figure, axes = _figure(1 + 0.22 * len(names) * (len(runs) + 0.6))
    for number, (label, run) in enumerate(runs.items()):
        scores = {score.name: score.strict for score in run.categories}
        shown = [name for name in names if name in scores]
        places = [names.index(name) + 0.8 * (number + 0.5) / len(runs) - 0.4 for name in shown]
        means = [100 * scores[name].mean for name in shown]
        low = [100 * (scores[name].mean - scores[name].low) for name in shown]
        high = [100 * (scores[name].high - scores[name].mean) for name in shown]
        axes.errorbar(means, places, xerr=[low, high], fmt="o", capsize=2, ms=4, label=label)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel("score over all questions, %")
    axes.grid(axis="x", alpha=0.3)
    _legend(axes)
    return _svg(figure)


def outcome_plot(runs: Mapping[str, RunScores]) -> str:
    """Draw what came of the questions: answered, abstained, unparsed, failed, missing."""
    counts = {
        kind: [sum(o.kind == kind for o in run.outcomes) for run in runs.values()] for kind in KINDS
    }
    used = {kind: values for kind, values in counts.items() if any(values)}
    return _bars(list(runs), used, "questions", COLOURS)


def stage_plot(runs: Mapping[str, RunScores]) -> str:
    """Draw the seconds a question by stage."""
    means = {name: _stage_seconds(run) for name, run in runs.items()}
    total: dict[str, float] = {}
    for stages in means.values():
        for stage, seconds in stages.items():
            total[stage] = total.get(stage, 0.0) + seconds
    longest = sorted(total, key=lambda stage: -total[stage])
    shown, rest = longest[:MOST_STAGES], longest[MOST_STAGES:]
    parts = {stage: [own.get(stage, 0.0) for own in means.values()] for stage in shown}
    if rest:
        parts["other"] = [sum(own.get(stage, 0.0) for stage in rest) for own in means.values()]
    return _bars(list(runs), parts, "seconds a question") if parts else ""


def cost_plot(runs: Mapping[str, RunScores]) -> str:
    """Draw the tokens a question that the chat model read and wrote."""
    parts = {
        label: [_mean([o for o in run.outcomes if o.result], field) for run in runs.values()]
        for label, field in (("read", "input_tokens"), ("written", "output_tokens"))
    }
    return _bars(list(runs), parts, "tokens a question")


def risk_plot(runs: Mapping[str, RunScores]) -> str:
    """Draw the score of the surest share of the answers; "" where nothing was measured."""
    figure, axes = _figure(3.2)
    drawn = False
    for label, run in runs.items():
        points = coverage_curve(run.outcomes)
        if points:
            drawn = True
            axes.plot(*zip(*points, strict=True), marker="o", markersize=3, label=label)
    axes.set_xlim(0, 100)
    axes.set_ylim(0, 102)
    axes.set_xlabel("questions answered, the surest first, %")
    axes.set_ylabel("score of these, %")
    axes.grid(alpha=0.3)
    if drawn:
        _legend(axes)
    return _svg(figure) if drawn else ""


def coverage_curve(outcomes: Sequence[Outcome]) -> list[tuple[float, float]]:
    """Return coverage and score in percent as less sure answers are added.

    Answers of one confidence are added together, for nothing tells them apart.
    """
    known = [o for o in outcomes if not o.item.truth.hidden]
    sure = [(o.confidence, o.value) for o in known if o.confidence is not None]
    sure.sort(key=lambda pair: -pair[0])
    points, total = [], 0.0
    for count, (confidence, value) in enumerate(sure, 1):
        total += value
        if count == len(sure) or sure[count][0] != confidence:
            points.append((100 * count / len(known), 100 * total / count))
    return points


def _stage_seconds(run: RunScores) -> dict[str, float]:
    results = [o.result for o in run.outcomes if o.result]
    total: dict[str, float] = {}
    for result in results:
        for stage, seconds in result.answer.get("usage", {}).get("seconds", {}).items():
            total[stage] = total.get(stage, 0.0) + float(seconds) / len(results)
    return total


def _mean(outcomes: Sequence[Outcome], field: str) -> float:
    values = [o.result.number(field) for o in outcomes if o.result]
    return sum(values) / len(values) if values else 0.0


def _bars(
    names: Sequence[str],
    parts: Mapping[str, Sequence[float]],
    label: str,
    colours: Mapping[str, str] = {},
) -> str:
    figure, axes = _figure(1.4 + 0.4 * len(names))
    left = [0.0] * len(names)
    for part, values in parts.items():
        axes.barh(list(names), list(values), left=left, label=part, color=colours.get(part))
        left = [a + b for a, b in zip(left, values, strict=True)]
    axes.invert_yaxis()
    axes.set_xlabel(label)
    _legend(axes)
    return _svg(figure)


def _legend(axes: Axes) -> None:
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)


def _figure(height: float) -> tuple[Figure, Axes]:
    figure = Figure((WIDTH, max(1.8, height)))
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _svg(figure: Figure) -> str:
    """Return a figure as an SVG element; text stays text, and nothing depends on the day."""
    out = StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "reelgraph", "font.size": 9}):
        figure.savefig(out, format="svg", bbox_inches="tight", metadata={"Date": None})
    return re.sub(r"^.*?(?=<svg)", "", out.getvalue(), flags=re.S)
