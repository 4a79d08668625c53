"""The results of several runs as a table: for the terminal, and as Markdown to keep."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent.evaluation.clusters import Estimate
from agent.evaluation.compare import compare_runs
from agent.evaluation.scores import RunScores, Score

UNPARSED = ("abstained", "unparsed", "failed", "missing")


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
    """Return one row a run: its score, what it is compared with the first, and what it took.

    Args:
        runs: Scores by name.
        not_run: Why further runs were not made, by name.
    """
    extras = list(dict.fromkeys(n for r in runs.values() if r.overall for n in r.overall.extra))
    first = next(iter(runs), "")
    head = ("method", "all questions", *extras, "of those answered", "answered", *UNPARSED)
    head = (*head, f"against {first}", "s a question", "tokens a question")
    rows = [_row(name, run, runs[first], extras) for name, run in runs.items()]
    left_out = [(name, f"not run: {why}", *[""] * (len(head) - 2)) for name, why in not_run.items()]
    return Table(head, (*rows, *left_out), _notes(runs))


def category_table(runs: Mapping[str, RunScores]) -> Table:
    """Return one row a category, one column a run: the strict score with its interval."""
    names = list(dict.fromkeys(score.name for run in runs.values() for score in run.categories))
    scores = {run: {s.name: s for s in own.categories} for run, own in runs.items()}
    counts = {s.name: s.questions for run in runs.values() for s in run.categories}
    rows = [
        (name, str(counts[name]), *(_strict(scores[run].get(name)) for run in runs))
        for name in names
    ]
    return Table(("category", "questions", *runs), tuple(rows))


def percent(estimate: Estimate) -> str:
    """Return a mean with its interval: "46.2 % (32.1-60.8)"."""
    return f"{estimate.mean:.1%} ({100 * estimate.low:.1f}-{100 * estimate.high:.1f})".replace(
        "% ", " % "
    )


def _strict(score: Score | None) -> str:
    return percent(score.strict) if score else ""


def _row(name: str, run: RunScores, first: RunScores, extras: Sequence[str]) -> tuple[str, ...]:
    score = run.overall
    cost = tuple(f"{value:,.1f}" for value in _cost(run))
    if score is None:
        return (name, "hidden", *[""] * len(extras), "", *_counts(run), "", *cost)
    return (
        name,
        percent(score.strict),
        *(percent(score.extra[n]) if n in score.extra else "" for n in extras),
        percent(score.answered) if score.answered else "none",
        f"{score.coverage:.0%}",
        *(str(score.counts.get(kind, 0)) for kind in UNPARSED),
        "" if run is first else _against(first, run),
        *cost,
    )


def _counts(run: RunScores) -> tuple[str, ...]:
    kinds: list[str] = [outcome.kind for outcome in run.outcomes]
    share = kinds.count("answered") / len(kinds)
    return (f"{share:.0%}", *(str(kinds.count(kind)) for kind in UNPARSED))


def _against(first: RunScores, run: RunScores) -> str:
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
