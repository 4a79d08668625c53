"""Behaviours 10 to 12: which frames a thumbnail shows, its shape and its pixels."""

import pytest
import torch

from agent.frames.grids import GridShape
from agent.visual.sampling import sampled_ids
from agent.visual.thumbnails import (
    closest_shape,
    compose_thumbnail,
    fits_patches,
    thumbnail_shape,
)


def blocks(frame: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """The means of blocks of height x width pixels."""
    channels, rows, columns = frame.shape
    cut = frame.reshape(channels, rows // height, height, columns // width, width)
    return cut.mean(dim=(2, 4))


@pytest.mark.parametrize(
    ("frames", "cells", "ids"),
    [
        (50, 4, [0, 16, 33, 49]),
        (50, 6, [0, 10, 20, 29, 39, 49]),
        (16, 6, [0, 3, 6, 9, 12, 15]),
        (7, 6, [0, 1, 2, 4, 5, 6]),
        (3, 6, [0, 1, 2]),
    ],
)
def test_frames_of_a_thumbnail(frames: int, cells: int, ids: list[int]) -> None:
    assert sampled_ids(frames, cells, parity=True).tolist() == ids


@pytest.mark.parametrize("cells", [4, 6, 8])
def test_frames_of_a_thumbnail_follow_the_rule(cells: int) -> None:
    for frames in range(8, 201):
        expected = torch.linspace(0, frames - 1, steps=cells).round().long().tolist()
        assert sampled_ids(frames, cells, parity=True).tolist() == expected


def test_published_shapes() -> None:
    shapes = {number: closest_shape(number) for number in range(1, 17)}
    assert shapes[6] == GridShape(3, 2)
    assert shapes[8] == GridShape(4, 2)
    assert shapes[12] == GridShape(4, 3)
    assert shapes[5] == GridShape(5, 1)
    for number, shape in shapes.items():
        pairs = [(number // n, n) for n in range(1, number + 1) if number % n == 0]
        best = min((pair for pair in pairs if pair[0] >= pair[1]), key=lambda p: p[0] - p[1])
        assert (shape.rows, shape.columns) == best


@pytest.mark.parametrize(("frames", "rows", "columns"), [(5, 3, 2), (7, 4, 2), (11, 4, 3)])
def test_no_strips(frames: int, rows: int, columns: int) -> None:
    assert thumbnail_shape(frames) == GridShape(rows, columns)
    assert thumbnail_shape(frames, parity=True) == GridShape(frames, 1)


def test_a_shape_that_is_no_strip_stays_and_holds_all() -> None:
    for frames in range(1, 65):
        shape = thumbnail_shape(frames)
        assert shape.cells >= frames
        assert shape.rows <= 2 * shape.columns
    assert [thumbnail_shape(n) for n in (4, 6, 8)] == [closest_shape(n) for n in (4, 6, 8)]


@pytest.mark.parametrize("count", [4, 6, 8, 9, 12, 16])
def test_a_cell_is_the_block_mean_of_its_frame(count: int) -> None:
    frames = torch.randn(count, 3, 336, 336, generator=torch.Generator().manual_seed(count))
    shape = thumbnail_shape(count)
    picture = compose_thumbnail(frames, shape, patch=14)
    height, width = 336 // shape.rows, 336 // shape.columns
    for number in range(count):
        y, x = number // shape.columns * height, number % shape.columns * width
        cell = picture[:, y : y + height, x : x + width]
        expected = blocks(frames[number], shape.rows, shape.columns)
        assert (cell - expected).abs().max() <= 1e-6


@pytest.mark.parametrize(
    ("count", "parity"), [(5, True), (5, False), (10, True), (7, False), (1, 0)]
)
@pytest.mark.parametrize(("side", "patch"), [(336, 14), (384, 14)])
def test_a_thumbnail_is_always_as_large_as_a_frame(
    count: int, parity: bool, side: int, patch: int
) -> None:
    frames = torch.ones(count, 3, side, side)
    picture = compose_thumbnail(frames, thumbnail_shape(count, parity), patch)
    seen = side // patch * patch
    assert picture.shape == (3, side, side)
    assert picture[:, :seen, :seen].unique().tolist() in ([1.0], [0.0, 1.0])
    share = picture[0, :seen, :seen].mean().item()
    assert share == pytest.approx(count / thumbnail_shape(count, parity).cells, abs=0.01)


def test_cells_that_fit_the_patches() -> None:
    clip = [(2, 2), (3, 2), (4, 2), (3, 3), (4, 3), (4, 4), (6, 4)]
    assert all(fits_patches(GridShape(*shape), 336, 14) for shape in clip)
    assert fits_patches(GridShape(3, 3), 384, 14)
    assert fits_patches(GridShape(9, 9), 384, 14)
    assert not fits_patches(GridShape(3, 2), 384, 14)


def test_a_thumbnail_refuses_more_frames_than_cells() -> None:
    with pytest.raises(ValueError, match="2 x 2 cells cannot hold 5"):
        compose_thumbnail(torch.zeros(5, 3, 28, 28), GridShape(2, 2))
