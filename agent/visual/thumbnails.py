"""Thumbnails: frames scaled down to cells of one square picture for the vision tower (TS-LLaVA).

The cells are made from normalised float pixels: a cell is its frame average-pooled over blocks of
pixels (2 x 2, 3 x 2 and 4 x 2 for 4, 6 and 8 frames).
"""

import math
from itertools import pairwise
from typing import TYPE_CHECKING

from agent.frames.grids import GridShape

if TYPE_CHECKING:
    from torch import Tensor

STRIP = 2  # more rows per column than this is a strip: cells lose too much of one side


def closest_shape(frames: int) -> GridShape:
    """Return the factors of a number closest to each other, rows >= columns (TS-LLaVA).

    5 -> 5 x 1: a prime number makes a strip.
    """
    if frames < 1:
        raise ValueError(f"a thumbnail needs at least one frame, got {frames}")
    columns = next(n for n in range(math.isqrt(frames), 0, -1) if frames % n == 0)
    return GridShape(frames // columns, columns)


def thumbnail_shape(frames: int, parity: bool = False) -> GridShape:
    """Return the shape for a number of frames.

    By default no strip: where it would be one, blank cells are added until it is not (5 -> 3 x 2,
    7 -> 4 x 2, 10 and 11 -> 4 x 3). Other numbers, such as 4, 6 and 8, are as in parity.
    """
    shape = closest_shape(frames)
    if parity or shape.rows <= STRIP * shape.columns:
        return shape
    return thumbnail_shape(frames + 1)


def fits_patches(shape: GridShape, side: int, patch: int) -> bool:
    """Whether every cell covers whole patches of the vision tower, so that no token mixes cells.

    A tower of 336 / 14 has 24 x 24 patches: 2 x 2, 3 x 2, 4 x 2, 3 x 3, 4 x 3 fit. One of
    384 / 14 has 27 x 27: only 3 x 3 and 9 x 9 do.
    """
    patches = side // patch
    return patches % shape.rows == 0 and patches % shape.columns == 0


def compose_thumbnail(frames: "Tensor", shape: GridShape, patch: int = 1) -> "Tensor":
    """Return one picture of a frame's size with all frames in it, row by row.

    Args:
        frames: Normalised pixels, [k, 3, S, S].
        shape: Rows and columns of at least k cells; empty cells are 0, the mean colour.
        patch: Side of the tower's patches; the tower crops incomplete patches at the right and at
            the bottom, so nothing is put there.

    Returns:
        [3, S, S] for every shape.
    """
    import torch
    from torch.nn.functional import adaptive_avg_pool2d

    count, channels, side, _ = frames.shape
    if count > shape.cells:
        raise ValueError(f"{shape.rows} x {shape.columns} cells cannot hold {count} frames")
    seen = side // patch * patch
    tops, lefts = _edges(seen, shape.rows), _edges(seen, shape.columns)
    picture = torch.zeros(channels, side, side, dtype=frames.dtype, device=frames.device)
    cells = [(rows, columns) for rows in pairwise(tops) for columns in pairwise(lefts)]
    for frame, ((top, bottom), (left, right)) in zip(frames, cells, strict=False):
        size = (bottom - top, right - left)
        picture[:, top:bottom, left:right] = adaptive_avg_pool2d(frame, size)
    return picture


def _edges(length: int, parts: int) -> list[int]:
    return [length * part // parts for part in range(parts + 1)]
