"""Contact sheets: frames of a clip side by side, numbered, with a legend whose scale is fixed."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tools.forensics.clip import Frames
from tools.forensics.measurement import View
from tools.media.jpeg import encode_jpeg
from tools.media.video import RGBImage, fit

TILE = 192  # px, longer side
COLUMNS = 4
BAR = 120  # px, width of the colour scale
LEGEND = 38  # px, height of the legend below the tiles, two lines
LETTER = 6.4  # px, about the width of a letter of it
QUALITY = 90
WHITE, BLACK = (255, 255, 255), (0, 0, 0)


@dataclass(frozen=True, slots=True)
class Scale:
    """A fixed colour scale.

    Attributes:
        low: Value of the first colour.
        high: Value of the last colour; larger values have the same.
        unit: Of the values.
        meaning: What the values are.
    """

    low: float
    high: float
    unit: str
    meaning: str

    @property
    def legend(self) -> str:
        """The scale in words."""
        return (
            f"{self.meaning}: black {self.low:g} to pale yellow {self.high:g} {self.unit} or more "
            "(fixed scale)"
        ).replace("  ", " ")

    def paint(self, values: npt.NDArray[Any]) -> RGBImage:
        """Return values [height, width] as colours of OpenCV's inferno map."""
        import cv2

        share = (np.asarray(values, np.float32) - self.low) / (self.high - self.low)
        levels = (share.clip(0, 1) * 255).astype(np.uint8)
        return _rgb(cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO))


def heat_sheet(
    maps: Sequence[npt.NDArray[Any]],
    scale: Scale,
    numbers: Sequence[int] | None = None,
    notes: Sequence[str] = (),
) -> View:
    """Return maps [height, width] in a fixed colour scale; numbered from 0 without `numbers`."""
    tiles = [scale.paint(values) for values in maps]
    bar = scale.paint(np.linspace(scale.low, scale.high, BAR)[None].repeat(10, 0))
    numbers = range(len(tiles)) if numbers is None else numbers
    return sheet(tiles, scale.legend, numbers, notes, bar)


def sheet(
    tiles: Sequence[RGBImage] | Frames,
    legend: str,
    numbers: Sequence[int],
    notes: Sequence[str] = (),
    bar: RGBImage | None = None,
) -> View:
    """Return pictures of one size as a contact sheet.

    Args:
        tiles: RGB pictures.
        legend: What they show; burned in as well.
        numbers: Number of each picture's frame, burned in.
        notes: Short text after each number; none if left out.
        bar: Colours of the scale, drawn before the legend.
    """
    height, width = tiles[0].shape[:2]
    width, height = fit(width, height, TILE)
    columns = min(COLUMNS, len(tiles))
    rows = -(-len(tiles) // columns)
    page = np.zeros((rows * height + LEGEND, max(columns * width, 2 * TILE), 3), np.uint8)
    for place, (tile, number) in enumerate(zip(tiles, numbers, strict=True)):
        top, left = place // columns * height, place % columns * width
        label = f"#{number} {notes[place]}" if notes else f"#{number}"
        page[top : top + height, left : left + width] = _labelled(tile, (width, height), label)
    _caption(page, legend, bar)
    return View(encode_jpeg(page, QUALITY), legend, tuple(numbers))


def _labelled(tile: RGBImage, size: tuple[int, int], label: str) -> RGBImage:
    import cv2

    small = np.ascontiguousarray(cv2.resize(tile, size, interpolation=cv2.INTER_AREA))
    _write(small, label, (4, 14), 0.42)
    return small


def _caption(page: RGBImage, legend: str, bar: RGBImage | None) -> None:
    left, top = 4, page.shape[0] - LEGEND
    if bar is not None:
        page[top + 8 : top + 8 + bar.shape[0], left : left + bar.shape[1]] = bar
        left += bar.shape[1] + 8
    lines = textwrap.wrap(legend, round((page.shape[1] - left) / LETTER))
    for number, line in enumerate(lines):
        _write(page, line, (left, top + 16 + 15 * number), 0.36)


def _write(picture: RGBImage, text: str, at: tuple[int, int], size: float) -> None:
    """Write white text with a black outline, readable on any colour."""
    import cv2

    for colour, thickness in ((BLACK, 3), (WHITE, 1)):
        cv2.putText(
            picture, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, colour, thickness, cv2.LINE_AA
        )


def _rgb(bgr: Any) -> RGBImage:
    return np.ascontiguousarray(bgr[..., ::-1])
