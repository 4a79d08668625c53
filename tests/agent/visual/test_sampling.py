"""Behaviours 13 to 15: which visual tokens are kept."""

from fractions import Fraction

import numpy as np
import pytest

from agent.visual.sampling import (
    even_floats,
    ids_digest,
    sampled_ids,
    truncated_ids,
)

PUBLISHED = [
    (28800, 2880, "128c1e018d5559cb"),
    (9216, 1728, "cc870296cac94bd2"),
    (28800, 2304, "bfdcad043cf15066"),
    (18432, 2880, "3e7a7e81a4545c99"),
    (57600, 2880, "0172f8139ba910b5"),
    (23328, 2880, "b89f57c61672a4e3"),
]


@pytest.mark.parametrize(("total", "count", "digest"), PUBLISHED)
def test_parity_ids_are_those_published(total: int, count: int, digest: str) -> None:
    assert ids_digest(sampled_ids(total, count, parity=True)) == digest


@pytest.mark.parametrize(("last", "count"), [(28799, 2880), (49, 6), (10, 11), (93311, 8192)])
def test_floats_are_those_of_torch(last: int, count: int) -> None:
    import torch

    assert np.array_equal(even_floats(last, count), torch.linspace(0, last, steps=count).numpy())


@pytest.mark.parametrize(
    ("total", "count", "places"),
    [(28800, 2880, 1), (28800, 2304, 2), (9216, 1728, 0), (93312, 8192, 17)],
)
def test_exact_ids_differ_from_parity_in_few_places(total: int, count: int, places: int) -> None:
    exact, parity = sampled_ids(total, count), sampled_ids(total, count, parity=True)
    difference = np.abs(exact - parity)
    assert (difference > 0).sum() == places
    assert difference.max() <= 1


def test_the_one_place_is_2399() -> None:
    exact, parity = sampled_ids(28800, 2880), sampled_ids(28800, 2880, parity=True)
    assert np.flatnonzero(exact != parity).tolist() == [2399]
    assert (exact[2399], parity[2399]) == (23997, 23998)


@pytest.mark.parametrize(("total", "count"), [(7, 3), (8, 3), (100, 41), (577, 26), (28800, 2880)])
def test_exact_ids_are_rounded_half_to_even(total: int, count: int) -> None:
    expected = [round(Fraction(j * (total - 1), count - 1)) for j in range(count)]
    assert sampled_ids(total, count).tolist() == expected


@pytest.mark.parametrize("parity", [False, True])
@pytest.mark.parametrize(("frames", "tokens", "count"), [(50, 576, 2880), (32, 729, 2880)])
def test_every_frame_gives_as_many_tokens(
    frames: int, tokens: int, count: int, parity: bool
) -> None:
    ids = sampled_ids(frames * tokens, count, parity)
    shares = np.bincount(ids // tokens, minlength=frames)
    assert (np.diff(ids) > 0).all()
    assert (ids[0], ids[-1]) == (0, frames * tokens - 1)
    assert sum(shares) == count
    assert max(shares) - min(shares) <= 1


@pytest.mark.parametrize("parity", [False, True])
def test_more_than_there_are_is_all_of_them(parity: bool) -> None:
    assert sampled_ids(5, 9, parity).tolist() == [0, 1, 2, 3, 4]
    assert sampled_ids(5, 5, parity).tolist() == [0, 1, 2, 3, 4]
    assert sampled_ids(5, 1, parity).tolist() == [0]
    assert sampled_ids(5, 0, parity).tolist() == []


def test_slow_frames() -> None:
    assert truncated_ids(48, 10).tolist() == [0, 4, 9, 14, 19, 24, 28, 33, 38, 43]
    assert truncated_ids(48, 10, parity=True).tolist() == truncated_ids(48, 10).tolist()
    assert truncated_ids(50, 10, parity=True).tolist() == list(range(0, 50, 5))
    assert truncated_ids(7, 10, parity=True).tolist() == [0, 0, 1, 2, 2, 3, 4, 4, 5, 6]
    assert truncated_ids(7, 10).tolist() == list(range(7))
