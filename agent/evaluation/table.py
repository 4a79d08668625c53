"""The results of several runs as a table: for the terminal, and as Markdown to keep."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent.evaluation.clusters import Estimate
from agent.evaluation.compare import compare_runs
from agent.evaluation.outcomes import Kind
from agent.evaluation.scores import RunScores, Score

SHORTFALLS: tuple[Kind, ...] = ("abstained", "unparsed", "failed", "missing")


@dataclass(frozen=True, slots=True)
class Table:
    """A table of texts.

    Attributes:
        head: Names of the columns.
        rows: The cells.
        notes: What must be known to read it.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()

    def markdown(self) -> str:
        """Return it as Markdown."""
        lines = [self.head, ("---",) * len(self.head), *self.rows]
        table = "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)
        return "\n\n".join([table, *self.notes]) + "\n"


def results_table(runs: Mapping[str, RunScores], not_run: Mapping[str, str] = {}) -> Table:
    """Return one column a run: its scores, the difference to the first run, and what it took.

    Args:
        runs: Scores by name.
        not_run: Why further runs were not made, by name.
    """
    all_runs = list(runs.values())
    scores = [run.overall for run in runs.values()]
    extras = dict.fromkeys(name for score in scores if score for name in score.extra)
    rows = [
        ("all questions", *map(_strict, scores)),
        *((name, *(_extra(score, name) for score in scores)) for name in extras),
        ("of those answered", *map(_answered, scores)),
        (
            "answered",
            *(f"{_count(run, 'answered') / len(run.outcomes):.0%}" for run in runs.values()),
        ),
        *_shortfalls(list(runs.values())),
        *_differences(all_runs),
        ("seconds a question", *(f"{_cost(run)[0]:,.1f}" for run in all_runs)),
        ("tokens a question", *(f"{_cost(run)[1]:,.0f}" for run in all_runs)),
    ]
    left_out = [f"{name} was not run: {why}." for name, why in not_run.items()]
    return Table(("", *runs), tuple(rows), (*_notes(runs), *left_out))


def category_table(runs: Mapping[str, RunScores]) -> Table:
    """Return one row a category, one column a run: the strict score with its interval."""
    names = list(dict.fromkeys(score.name for run in runs.values() for score in run.categories))
    scores = {run: {s.name: s for s in own.categories} for run, own in runs.items()}
    counts = {s.name: s.questions for run in runs.values() for s in run.categories}
    rows = [
        (name, str(counts[name]), *(_category(scores[run].get(name)) for run in runs))
        for name in names
    ]
    return Table(("category", "questions", *runs), tuple(rows))


def percent(estimate: Estimate) -> str:
    """Return a mean with its interval: "46.2 % (32.1-60.8)"."""
    return f"{estimate.mean:.1%} ({100 * estimate.low:.1f}-{100 * estimate.high:.1f})".replace(
        "% ", " % "
    )


def _category(score: Score | None) -> str:
    return percent(score.strict) if score else ""


def _strict(score: Score | None) -> str:
    return percent(score.strict) if score else "hidden"


def _extra(score: Score | None, name: str) -> str:
    return percent(score.extra[name]) if score and name in score.extra else ""


def _answered(score: Score | None) -> str:
    if score is None:
        return ""
    return percent(score.answered) if score.answered else "none"


def _shortfalls(runs: Sequence[RunScores]) -> list[tuple[str, ...]]:
    """Return how many questions were not answered, and why; unparsed even where there are none."""
    counts = {kind: [_count(run, kind) for run in runs] for kind in SHORTFALLS}
    shown = {kind: own for kind, own in counts.items() if any(own) or kind == "unparsed"}
    return [(kind, *map(str, own)) for kind, own in shown.items()]


def _count(run: RunScores, kind: Kind) -> int:
    return sum(outcome.kind == kind for outcome in run.outcomes)


def _differences(runs: Sequence[RunScores]) -> list[tuple[str, ...]]:
    """Return the row of differences to the first run; none where there is no other."""
    first, *others = runs
    return [("against the first", "", *(_against(first, run) for run in others))][: len(others)]


def _against(first: RunScores, run: RunScores) -> str:
    if run.overall is None:
        return ""
    shared = {o.item.id for o in first.outcomes if o.result}
    if not any(o.result and o.item.id in shared for o in run.outcomes):
        return "no question in common"
    found = compare_runs(first.outcomes, run.outcomes).difference
    low, high = 100 * found.low, 100 * found.high
    return f"{100 * found.mean:+.1f} ({low:+.1f} to {high:+.1f})"


def _cost(run: RunScores) -> tuple[float, float]:
    """Return seconds and tokens a question, of those with a result."""
    results = [outcome.result for outcome in run.outcomes if outcome.result]
    count = max(1, len(results))
    tokens = sum(r.number("input_tokens") + r.number("output_tokens") for r in results)
    return sum(r.seconds for r in results) / count, tokens / count


def _notes(runs: Mapping[str, RunScores]) -> tuple[str, ...]:
    scores = [run.overall for run in runs.values() if run.overall]
    notes = []
    if scores:
        one = scores[0].strict
        how = (
            "questions of one video: the intervals are those of independent questions and say "
            "nothing of other videos"
            if one.clusters == 1
            else f"{one.clusters} videos; 95 % intervals with errors clustered by video"
        )
        notes.append(f"{scores[0].questions} questions, {how}.")
    hidden = max((run.hidden for run in runs.values()), default=0)
    if hidden:
        notes.append(f"The answers to {hidden} questions are hidden; they are not in the scores.")
    return tuple(notes)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
