from itertools import permutations

import pytest

from agent.answering.voting import Majority, majority


def test_most_votes_win() -> None:
    assert majority([2, 2, 1]) == Majority(2, 2 / 3)


def test_a_tie_goes_to_the_option_sampled_first_every_time() -> None:
    for samples in permutations([0, 1, 1, 0]):
        won = majority(samples)
        assert won == Majority(samples[0], 0.5)
        assert majority(samples) == won


def test_a_sample_that_cannot_be_read_casts_no_vote_but_lowers_the_agreement() -> None:
    assert majority([None, 3, None, 3]) == Majority(3, 0.5)


@pytest.mark.parametrize("choices", [[], [None, None]])
def test_without_votes_nothing_is_chosen(choices: list[int | None]) -> None:
    assert majority(choices) == Majority(None)


def test_a_vote_may_be_over_texts() -> None:
    assert majority(["a boat", None, "a gate", "a gate"]) == Majority("a gate", 0.5)
