"""Self-consistency: the answer on which most of several samples agree (Wang et al., ICLR 2023)."""

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Majority(Generic[T]):
    """What a vote came to.

    Attributes:
        choice: What won: the index of an option, or an answer; None when no sample could be read.
        share: Votes for it over all samples, those that could not be read included.
    """

    choice: T | None
    share: float = 0.0


def majority(choices: Sequence[T | None]) -> Majority[T]:
    """Return the choice with the most votes; of equals, the one that was sampled first.

    Args:
        choices: What each sample chose, in the order of the samples; None casts no vote.
    """
    votes = Counter(choice for choice in choices if choice is not None)
    if not votes:
        return Majority(None)
    choice, most = votes.most_common(1)[0]  # of equals the first that appeared
    return Majority(choice, most / len(choices))
