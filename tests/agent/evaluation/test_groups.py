from itertools import product

import pytest

from agent.evaluation.groups import group_score
from tools.errors import InputError

# In percent, for the answers wrong/right from 0000 to 1111, as the published script of the
# benchmark (github.com/MME-Benchmarks/Video-MME-v2) gives them; it was run on all of them.
PUBLISHED = {
    "[1, 2, 3, 4]": (0, 0, 0, 0, 0, 0, 0, 0, 6.25, 6.25, 6.25, 6.25, 25, 25, 56.25, 100),
    "[1, [2, 3], 4]": (
        *(0, 0, 0, 0, 0, 0, 0, 0),
        *(100 / 12, 100 / 12, 400 / 12, 400 / 12, 400 / 12, 400 / 12, 700 / 12, 100),
    ),
    "[[1, 2], 3, 4]": (0, 0, 0, 0, 10, 10, 10, 10, 10, 10, 10, 10, 20, 20, 50, 100),
}


@pytest.mark.parametrize("structure", PUBLISHED)
def test_a_chain_earns_what_comes_before_its_first_mistake(structure: str) -> None:
    ours = [
        100 * group_score(right, "logic", structure) for right in product([False, True], repeat=4)
    ]

    assert ours == pytest.approx(PUBLISHED[structure])


def test_related_questions_earn_the_square_of_their_share() -> None:
    scores = [group_score([True] * n + [False] * (4 - n), "relevance", "None") for n in range(5)]

    assert scores == [0, 1 / 16, 4 / 16, 9 / 16, 1]


def test_unknown_groups_are_refused() -> None:
    with pytest.raises(InputError, match="relevance or logic"):
        group_score([True] * 4, "logic", "[4, 3, 2, 1]")
