"""The scores of one run: overall and by category, each with its clustered interval.

Three figures stand apart: strict (all questions; what is not answered counts 0), answered (those
answered alone) and coverage (the share answered).
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from agent.batch.records import Result
from agent.evaluation.clusters import Estimate, estimate
from agent.evaluation.groups import group_score
from agent.evaluation.outcomes import Outcome, outcome_of
from agent.evaluation.task import Item, Mean, Metric
from tools.errors import InputError

OVERALL = "all"
GROUP = "group"  # category of the items of a group: its kind and its structure
ALWAYS = frozenset({"wups@0", "wups@0.9"})  # further worths of every item, not of those with spans


@dataclass(frozen=True, slots=True)
class Score:
    """The score of some questions.

    Attributes:
        name: "all", or the category as in "duration: long".
        counts: Questions by what came of them.
        strict: Mean over all questions.
        answered: Mean over those answered; None if none was.
        extra: Further means over all questions, by name.
    """

    name: str
    counts: Mapping[str, int]
    strict: Estimate
    answered: Estimate | None
    extra: Mapping[str, Estimate] = field(default_factory=dict)

    @property
    def questions(self) -> int:
        """Number of questions."""
        return sum(self.counts.values())

    @property
    def coverage(self) -> float:
        """Share of the questions that was answered."""
        return self.counts.get("answered", 0) / self.questions

    def to_json(self) -> dict[str, Any]:
        """Return the score as a plain dictionary."""
        return asdict(self) | {"questions": self.questions, "coverage": self.coverage}


@dataclass(frozen=True, slots=True)
class RunScores:
    """The scores of a run.

    Attributes:
        overall: Over all questions with a known truth; None if it is hidden from all.
        categories: By category, in the order of the benchmark.
        outcomes: What came of each question, those without a known truth included.
        hidden: Number of questions whose truth is not known.
    """

    overall: Score | None
    categories: tuple[Score, ...]
    outcomes: tuple[Outcome, ...]
    hidden: int


def score_run(
    items: Sequence[Item], results: Mapping[str, Result], metric: Metric, mean: Mean = "questions"
) -> RunScores:
    """Score the results of a run; results of other questions than these are left out."""
    outcomes = tuple(outcome_of(item, results.get(item.id), metric) for item in items)
    known = [o for o in outcomes if not o.item.truth.hidden]
    if not known:
        return RunScores(None, (), outcomes, len(outcomes))
    named: dict[str, list[Outcome]] = {}
    for outcome in known:
        for kind, values in outcome.item.categories.items():
            for value in values:
                named.setdefault(f"{kind}: {value}", []).append(outcome)
    categories = tuple(_score(name, own) for name, own in named.items())
    return RunScores(_overall(known, mean), categories, outcomes, len(outcomes) - len(known))


def _overall(known: Sequence[Outcome], mean: Mean) -> Score:
    if mean == "tasks":
        return _score(OVERALL, known, [_first(o, "task") for o in known])
    score = _score(OVERALL, known)
    if mean != "groups":
        return score
    grouped = _group_scores(known)
    together = estimate(list(grouped.values()), list(grouped))
    extra = {"question accuracy": score.strict, **score.extra}
    return Score(OVERALL, score.counts, together, score.answered, extra)


def _score(name: str, outcomes: Sequence[Outcome], strata: Sequence[str] | None = None) -> Score:
    places = [n for n, outcome in enumerate(outcomes) if outcome.kind == "answered"]
    answered = [outcomes[n] for n in places]
    kept = [strata[n] for n in places] if strata else None
    return Score(
        name,
        dict(Counter(o.kind for o in outcomes)),
        _mean(outcomes, [o.value for o in outcomes], strata),
        _mean(answered, [o.value for o in answered], kept) if answered else None,
        dict(_extras(outcomes)),
    )


def _extras(outcomes: Sequence[Outcome]) -> Iterable[tuple[str, Estimate]]:
    """Yield the means of further worths; one that an answer lacks counts 0."""
    for name in dict.fromkeys(name for o in outcomes for name in o.extra):
        over = [o for o in outcomes if o.item.truth.spans or name in ALWAYS]
        yield name, _mean(over, [o.extra.get(name, 0.0) for o in over])


def _mean(
    outcomes: Sequence[Outcome], values: Sequence[float], strata: Sequence[str] | None = None
) -> Estimate:
    return estimate(values, [o.item.video for o in outcomes], strata)


def _group_scores(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Return the score of each video's group of questions."""
    groups: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault(outcome.item.video, []).append(outcome)
    scores = {}
    for video, own in groups.items():
        if len(own) != 4:
            raise InputError(
                f"the group of video {video} has {len(own)} questions, expected 4; take a --limit "
                f"that is a multiple of 4"
            )
        right = [o.value == 1.0 for o in own]
        scores[video] = group_score(right, _first(own[0], GROUP), _first(own[0], "structure"))
    return scores


def _first(outcome: Outcome, category: str) -> str:
    return outcome.item.categories.get(category, ("",))[0]
