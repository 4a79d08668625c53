"""The loss of a prompt without labels: how often its replies are unusable or unstable.

J is the sum over five rates of what exceeds their tolerance; ours, for LAVID's signal is unknown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from agent.detection.clips import LabelledClip
from agent.detection.outcomes import Outcome, Outcomes
from agent.detection.state import Job, Order
from agent.detection.statistics import metric_block

TOLERANCE = {
    "invalid": 0.02,
    "refused": 0.02,
    "ungrounded": 0.05,
    "contradiction": 0.02,
    "disagreement": 0.10,
}
UNUSABLE = frozenset({"invalid", "empty", "truncated", "tool_call", "timeout", "too_long"})
ORDERS: tuple[Order, ...] = ("natural", "reversed", "shuffled")


@dataclass(frozen=True, slots=True)
class Judged:
    """A clip judged in the three orders of its frames; the first is the natural one."""

    clip: LabelledClip
    outcomes: tuple[Outcome, ...]


def judge_orders(clips: Sequence[LabelledClip], job: Job, outcomes: Outcomes) -> tuple[Judged, ...]:
    """Judge each clip in three orders; what is known is not judged again."""
    jobs = [replace(job, order=order) for order in ORDERS]
    return tuple(
        Judged(clip, tuple(outcomes.of(clip.path, clip.sha256, one) for one in jobs))
        for clip in clips
    )


def rates(judged: Sequence[Judged]) -> dict[str, float]:
    """Return the five rates; 0 each without a clip."""
    runs = [outcome for one in judged for outcome in one.outcomes]
    statements = sum(run.claims + run.removed for run in runs)
    unstable = sum(len({run.raw_label or run.label for run in one.outcomes}) > 1 for one in judged)
    return {
        "invalid": _share(sum(run.code in UNUSABLE for run in runs), len(runs)),
        "refused": _share(sum(run.code == "refused" for run in runs), len(runs)),
        "ungrounded": _share(sum(run.removed for run in runs), statements),
        "contradiction": _share(sum(run.code == "contradiction" for run in runs), len(runs)),
        "disagreement": _share(unstable, len(judged)),
    }


def loss(found: Mapping[str, float]) -> float:
    """Return J = sum of max(0, rate - tolerance), all weights 1."""
    return round(sum(max(0.0, found[name] - limit) for name, limit in TOLERANCE.items()), 6)


def guardrails(judged: Sequence[Judged], positive: str) -> dict[str, float]:
    """Return balanced accuracy and specificity of the natural order, for labelled clips."""
    labels = [one.outcomes[0].label for one in judged]
    block = metric_block([one.clip.positive for one in judged], labels, positive, draws=1)
    return {name: block[name] for name in ("balanced_accuracy", "specificity")}


def failures(judged: Sequence[Judged], limit: int = 8) -> list[str]:
    """Describe failures without label or name of a clip."""
    lines = []
    for number, one in enumerate(judged, 1):
        codes = {run.code for run in one.outcomes if run.code}
        labels = {run.raw_label or run.label for run in one.outcomes}
        removed = sum(run.removed for run in one.outcomes)
        what = [*sorted(codes)]
        what += [f"{removed} statements without ground"] if removed else []
        what += ["another verdict for another order of the frames"] if len(labels) > 1 else []
        if what:
            lines.append(f"clip {number}: {', '.join(what)}")
    return lines[:limit]


def _share(part: float, whole: float) -> float:
    return round(part / whole, 6) if whole else 0.0
