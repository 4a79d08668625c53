"""Self-consistency: majority vote over sampled answers (Wang et al., ICLR 2023)."""

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Majority(Generic[T]):
    """The result of a vote.

    Attributes:
        choice: The winner: the index of an option, or an answer; None when no sample was parsed.
        share: Votes for it over all samples, unparsed ones included.
    """

    choice: T | None
    share: float = 0.0


def majority(choices: Sequence[T | None]) -> Majority[T]:
    """Return the choice with the most votes; ties go to the one sampled first.

    Args:
        choices: The choice of each sample, in the order of the samples; None casts no vote.
    """
    votes = Counter(choice for choice in choices if choice is not None)
    if not votes:
        return Majority(None)
    choice, most = votes.most_common(1)[0]  # ties: the first that appeared
    return Majority(choice, most / len(choices))
