"""Behaviours 6 to 8: picture grids and what is sent of them."""

import math
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from agent.frames.grids import (
    GridShape,
    cell_captions,
    compose_grid,
    grid_shape,
)
from agent.frames.sampling import ig_parity_ids
from tools.media.readers import open_video
from tools.media.video import RGBImage, probe

SHAPES = {  # frames: columns x rows, as published
    1: (1, 1),
    2: (1, 2),
    3: (2, 2),
    4: (2, 2),
    5: (2, 3),
    6: (2, 3),
    7: (3, 3),
    8: (3, 3),
    9: (3, 3),
    10: (3, 4),
    12: (3, 4),
    16: (4, 4),
    20: (4, 5),
}


def noise(count: int, height: int = 12, width: int = 20) -> list[RGBImage]:
    rng = np.random.default_rng(count)
    return [rng.integers(0, 255, (height, width, 3), np.uint8) for _ in range(count)]


@pytest.mark.parametrize(("frames", "shape"), SHAPES.items())
def test_shape(frames: int, shape: tuple[int, int]) -> None:
    assert grid_shape(frames) == GridShape(rows=shape[1], columns=shape[0])


@pytest.mark.parametrize("count", range(1, 21))
def test_cells_are_the_frames_in_order_and_the_rest_is_white(count: int) -> None:
    frames = noise(count)
    grid = compose_grid(frames)
    columns = round(math.sqrt(count))
    for number in range(math.ceil(count / columns) * columns):
        y, x = number // columns * 12, number % columns * 20
        expected = frames[number] if number < count else 255
        assert (grid[y : y + 12, x : x + 20] == expected).all()
    assert grid.shape == (math.ceil(count / columns) * 12, columns * 20, 3)


def test_frames_of_several_sizes_shrink_to_the_smallest_sides() -> None:
    wide, tall = noise(1, 20, 60)[0], noise(1, 50, 30)[0]
    grid = compose_grid([wide, tall])
    assert grid.shape == (40, 30, 3)
    for number, frame in enumerate((wide, tall)):
        expected = cv2.resize(frame, (30, 20), interpolation=cv2.INTER_LINEAR)
        assert np.array_equal(grid[number * 20 : (number + 1) * 20], expected)


def test_captions_stand_in_strips_and_leave_the_frames_alone() -> None:
    frames = noise(4, 140, 200)
    grid = compose_grid(frames, captions=cell_captions([0.0, 61.24, 125.0, 3723.4]))
    assert grid.shape == (2 * 156, 400, 3)
    assert np.array_equal(grid[16:156, :200], frames[0])
    assert np.array_equal(grid[172:, 200:], frames[3])
    for strip in (grid[:16, :200], grid[156:172, 200:]):
        assert strip.max() == 255
        assert strip.min() < 64


def test_cells_are_numbered_and_timed() -> None:
    assert cell_captions([4.24, 59.97]) == ("1  0:04.2", "2  1:00.0")


def test_a_grid_refuses_more_frames_than_cells() -> None:
    with pytest.raises(ValueError, match="2 x 2 cells cannot hold 5 frames"):
        compose_grid(noise(5), GridShape(2, 2))


@pytest.mark.skipif("REELGRAPH_TEST_MEDIA" not in os.environ, reason="real clips are not here")
def test_a_real_clip_fills_a_grid_of_its_own_resolution() -> None:
    video = probe(Path(os.environ["REELGRAPH_TEST_MEDIA"]) / "stretching.mp4")
    assert video.fps is not None
    ids = ig_parity_ids(int(video.duration_s * video.fps))
    times = [float((frame + 0.5) / video.fps) for frame in ids]
    frames = [frame.image for frame in open_video(video).at(times)]
    assert compose_grid(frames).shape == (3 * video.height, 2 * video.width, 3)
