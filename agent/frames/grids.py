"""Image grids: several frames of a video in one image (IG-VLM), in true RGB.

Rows and columns are those of the published code: columns = round(sqrt(frames)), cells in their
native resolution, filled row by row, empty cells white.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from agent.text import clock
from tools.media.video import RGBImage

WHITE = 255


@dataclass(frozen=True, slots=True)
class GridShape:
    """Rows times columns of cells."""

    rows: int
    columns: int

    @property
    def cells(self) -> int:
        """Number of cells."""
        return self.rows * self.columns


def grid_shape(frames: int) -> GridShape:
    """Return IG-VLM's shape for a number of frames: 6 -> 3 rows of 2, 8 -> 3 rows of 3."""
    if frames < 1:
        raise ValueError(f"a grid needs at least one frame, got {frames}")
    columns = round(math.sqrt(frames))
    return GridShape(math.ceil(frames / columns), columns)


@dataclass(frozen=True, slots=True)
class CellSize:
    """Pixels of one cell, without its caption."""

    width: int
    height: int


def cell_size(frames: Sequence[RGBImage]) -> CellSize:
    """Return the smallest width and the smallest height among the frames."""
    return CellSize(
        min(frame.shape[1] for frame in frames), min(frame.shape[0] for frame in frames)
    )


def compose_grid(
    frames: Sequence[RGBImage],
    shape: GridShape | None = None,
    captions: Sequence[str] | None = None,
) -> RGBImage:
    """Return one picture with all frames, left to right and then down.

    Args:
        frames: RGB pictures; where their sizes differ all are scaled to the smallest.
        shape: Rows and columns; IG-VLM's if left out.
        captions: A short text per frame (number, time), written into a white strip above its
            cell, never over the picture; no strip if left out, as published.

    Returns:
        RGB, [rows * height, columns * width, 3]; the height includes the strips.
    """
    shape = shape or grid_shape(len(frames))
    if not 0 < len(frames) <= shape.cells:
        raise ValueError(f"{shape.rows} x {shape.columns} cells cannot hold {len(frames)} frames")
    size = cell_size(frames)
    cells = [_scaled(frame, size) for frame in frames]
    if captions is not None:
        if len(captions) != len(frames):
            raise ValueError(f"{len(frames)} frames need as many captions, got {len(captions)}")
        cells = [_captioned(cell, text) for cell, text in zip(cells, captions, strict=True)]
    height, width = cells[0].shape[:2]
    grid = np.full((shape.rows * height, shape.columns * width, 3), WHITE, np.uint8)
    for number, cell in enumerate(cells):
        row, column = divmod(number, shape.columns)
        grid[row * height : (row + 1) * height, column * width : (column + 1) * width] = cell
    return grid


def cell_captions(times_s: Sequence[float]) -> tuple[str, ...]:
    """Return "1  0:04.2" and so on: the number of the cell and its time (minutes:seconds)."""
    return tuple(
        f"{number}  {clock(time_s, tenths=True)}" for number, time_s in enumerate(times_s, start=1)
    )


def caption_height(height: int) -> int:
    """Return the height of the caption strip above a cell of a height, in pixels."""
    return max(16, height // 14)


def _scaled(frame: RGBImage, size: CellSize) -> RGBImage:
    if frame.shape[:2] == (size.height, size.width):
        return frame
    import cv2

    # Bilinear, as published; it matters only where frames of several sizes meet.
    scaled = cv2.resize(frame, (size.width, size.height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(scaled)


def _captioned(cell: RGBImage, text: str) -> RGBImage:
    from PIL import ImageDraw, ImageFont

    height, width = cell.shape[:2]
    strip_height = caption_height(height)
    strip = Image.new("RGB", (width, strip_height), (WHITE,) * 3)
    font = ImageFont.load_default(size=strip_height * 0.75)
    ImageDraw.Draw(strip).text((4, strip_height / 2), text, fill=(0, 0, 0), font=font, anchor="lm")
    return np.concatenate([np.asarray(strip), cell])
