"""Behaviours 1, 2, 4 and 5 of the specification: which frames are looked at."""

import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from agent.frames.grids import compose_grid, grid_shape
from agent.frames.sampling import (
    centre_ids,
    ig_parity_ids,
    ts_parity_ids,
)
from agent.visual.sampling import ids_digest
from tools.errors import InputError
from tools.media.readers import open_video
from tools.media.video import probe

COUNTS = (1, 4, 8, 16, 50, 100)


@pytest.mark.parametrize(
    ("total", "digest"),
    [
        (100, "7ecdbd27f56f5eb3"),
        (1000, "4e0c7a51d153b4e7"),
        (5400, "2b4f50b0815a4e7a"),
        (108000, "3d87b8b1dc7a2917"),
    ],
)
def test_ts_parity_ids_are_those_published(total: int, digest: str) -> None:
    assert ids_digest(ts_parity_ids(total, 50)) == digest


def test_ts_parity_ids_follow_the_rule_for_every_length() -> None:
    for total in range(1, 2001):
        for count in (count for count in COUNTS if count <= total):
            edges = np.round((total - 1) / count * np.arange(count + 1)).astype(int)
            expected = (edges[:-1] + edges[1:]) // 2
            assert ts_parity_ids(total, count) == tuple(expected)


def test_ts_parity_ids_repeat_a_frame_of_a_short_video() -> None:
    assert ts_parity_ids(6, 6) == (0, 1, 2, 2, 3, 4)
    assert ts_parity_ids(2, 2) == (0, 0)
    assert len(set(ts_parity_ids(50, 50))) == 49


@pytest.mark.parametrize("count", [1, 2, 3, 6, 7, 50, 100])
def test_default_ids_cover_the_video(count: int) -> None:
    for total in [*range(1, 400), 997, 5400, 108000]:
        ids = centre_ids(total, count)
        tail = math.ceil(total / (2 * count)) + 1
        assert len(ids) == min(total, count)
        assert 0 <= ids[0] < tail
        assert 0 < total - ids[-1] <= tail
        gaps = [later - earlier for earlier, later in pairwise(ids)]
        assert all(0 < gap <= math.ceil(total / count) + 1 for gap in gaps)
        if total <= count:
            assert ids == tuple(range(total))


@pytest.mark.parametrize(
    ("total", "count", "ids"),
    [
        (300, 6, (0, 50, 100, 150, 200, 250)),
        (303, 6, (0, 50, 100, 150, 200, 250)),
        (1000, 6, (0, 166, 332, 498, 664, 830)),
        (47, 8, (0, 5, 10, 15, 20, 25, 30, 35)),
        (11, 6, (0, 1, 2, 3, 4, 5)),
    ],
)
def test_ig_parity_ids_are_those_published(total: int, count: int, ids: tuple[int, ...]) -> None:
    assert ig_parity_ids(total, count) == ids


def test_ig_parity_says_that_a_video_is_too_short() -> None:
    with pytest.raises(InputError, match="at least 6 frames, the video has 5"):
        ig_parity_ids(5)


@pytest.mark.parametrize("total", [1, 2, 5])
def test_a_short_video_gets_a_grid_of_what_it_has(total: int) -> None:
    frames = [np.full((4, 6, 3), number, np.uint8) for number in range(total)]
    chosen = [frames[frame] for frame in centre_ids(total, 6)]
    assert len(chosen) == total
    assert compose_grid(chosen).shape[0] == 4 * grid_shape(total).rows


def test_the_ids_of_a_clip_are_its_pictures(make_clip: Callable[..., Path]) -> None:
    reader = open_video(probe(make_clip(seconds=2.0, fps=24)))
    times = [frame.time_s for frame in reader.every(0.001)]
    chosen = [times[frame] for frame in centre_ids(len(times), 5)]
    assert [round(frame.time_s * 24) for frame in reader.at(chosen)] == [4, 14, 24, 33, 43]


def test_a_video_shorter_than_it_claims_still_gives_all_frames(
    make_clip: Callable[..., Path],
) -> None:
    path = make_clip("whole.mkv", seconds=4.0, fps=25)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 7 // 10])
    reader = open_video(probe(path))
    times = [frame.time_s for frame in reader.every(0.001)]
    ids = centre_ids(len(times), 6)
    frames = list(reader.at([times[frame] for frame in ids]))
    assert len(times) < 100
    assert len({frame.time_s for frame in frames}) == 6
