"""Behaviours 1, 2, 4 and 5 of the specification: which frames are looked at."""

import math
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from agent.frames.grids import compose_grid, grid_shape
from agent.frames.sampling import (
    centre_ids,
    ig_parity_count,
    ig_parity_ids,
    ig_parity_times,
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


NTSC, FILM = Fraction(30_000, 1001), Fraction(24_000, 1001)


@pytest.mark.parametrize(
    ("frames", "fps", "step"),
    [
        (221, 25, 37),
        (149, 25, 25),
        (125, 24, 21),
        (305, 30, 51),
        (101, NTSC, 16),
        (29, 25, 4),
    ],
)
def test_ig_vlm_counts_one_frame_more_than_the_length_in_hundredths_of_a_second_has(
    frames: int, fps: Fraction | int, step: int
) -> None:
    rate = Fraction(fps)
    times = ig_parity_times(float(frames / rate), rate)
    assert [round(time_s * rate) for time_s in times] == [step * number for number in range(6)]


@pytest.mark.parametrize(
    ("fps", "lengths"), [(25, 475), (24, 499), (30, 499), (NTSC, 249), (FILM, 245)]
)
def test_for_so_many_of_2995_lengths_the_published_step_is_not_a_sixth_of_the_frames(
    fps: Fraction | int, lengths: int
) -> None:
    rate = Fraction(fps)
    counted = {frames: ig_parity_count(float(frames / rate), rate) for frames in range(6, 3001)}
    assert sum(count // 6 != frames // 6 for frames, count in counted.items()) == lengths


@pytest.mark.parametrize(("fps", "shown"), [(25, 5), (24, 6), (30, 6)])
def test_of_five_frames_ig_vlm_shows_all_and_at_some_rates_the_last_twice(
    fps: int, shown: int
) -> None:
    times = ig_parity_times(5 / fps, Fraction(fps))
    assert [round(time_s * fps) for time_s in times] == list(range(shown))


def test_ig_parity_says_that_a_video_is_too_short() -> None:
    with pytest.raises(InputError, match="at least 6 frames and counts 5"):
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
