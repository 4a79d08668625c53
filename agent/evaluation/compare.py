"""Two runs over the same questions, compared pair by pair.

The difference of each question is averaged and its error clustered by video (Miller, arXiv
2411.00640, section 4.2): what is hard for both runs cancels out.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from agent.evaluation.clusters import Estimate, estimate
from agent.evaluation.outcomes import Outcome
from tools.errors import InputError


@dataclass(frozen=True, slots=True)
class Comparison:
    """The second run against the first.

    Attributes:
        first: Strict score of the first run, over the paired questions.
        second: That of the second.
        difference: Second minus first, with its interval.
        better: Number of questions on which the second run earns more.
        worse: Number on which it earns less.
        unpaired: Number of questions of which only one run has a result.
    """

    first: Estimate
    second: Estimate
    difference: Estimate
    better: int
    worse: int
    unpaired: int

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as a plain dictionary."""
        return asdict(self)


def compare_runs(first: Sequence[Outcome], second: Sequence[Outcome]) -> Comparison:
    """Compare two runs over the questions of which both have a result.

    Raises:
        InputError: There is no such question with a known truth.
    """
    others = {o.item.id: o for o in second if _counts(o)}
    known = [o for o in first if _counts(o)]
    pairs = [(o, others[o.item.id]) for o in known if o.item.id in others]
    if not pairs:
        raise InputError(
            "the two runs share no question with a known answer; give two results files of the "
            "same benchmark"
        )
    videos = [one.item.video for one, _ in pairs]
    gains = [other.value - one.value for one, other in pairs]
    return Comparison(
        estimate([one.value for one, _ in pairs], videos),
        estimate([other.value for _, other in pairs], videos),
        estimate(gains, videos, bounds=(-1.0, 1.0)),
        better=sum(gain > 0 for gain in gains),
        worse=sum(gain < 0 for gain in gains),
        unpaired=len(known) + len(others) - 2 * len(pairs),
    )


def _counts(outcome: Outcome) -> bool:
    return outcome.kind != "missing" and not outcome.item.truth.hidden
