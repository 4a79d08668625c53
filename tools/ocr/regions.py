"""Rectangles of a picture, and those that cover the pixels a detector is to see."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tools.ocr.engine import Corners

Mask = npt.NDArray[np.uint8]  # [height, width], 0 or 1

CONTEXT = 16  # px around a change that the detector sees
GRID = 32  # the detector takes sides that are multiples of this


@dataclass(frozen=True, slots=True)
class Rect:
    """A rectangle in pixels; right and bottom are exclusive."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def area(self) -> int:
        """Pixels inside; 0 when the sides cross."""
        return max(0, self.right - self.left) * max(0, self.bottom - self.top)

    def overlap(self, other: "Rect") -> float:
        """Return the intersection over the smaller of the two areas."""
        shared = Rect(
            max(self.left, other.left),
            max(self.top, other.top),
            min(self.right, other.right),
            min(self.bottom, other.bottom),
        )
        return shared.area / max(min(self.area, other.area), 1)

    def of(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Return this part of a picture, as a view."""
        return image[self.top : self.bottom, self.left : self.right]


def around(corners: Corners, picture: npt.NDArray[np.uint8]) -> Rect:
    """Return the upright rectangle around a text, inside the picture."""
    height, width = picture.shape[:2]
    left, top = np.maximum(corners.min(axis=0), 0).tolist()
    right, bottom = corners.max(axis=0).tolist()
    return Rect(left, top, min(right, width), min(bottom, height))


def widened(mask: Mask, by_px: int) -> Mask:
    """Return a mask dilated by a square."""
    import cv2

    return np.asarray(cv2.dilate(mask, np.ones((2 * by_px + 1, 2 * by_px + 1), np.uint8)))


def changed_parts(changed: Mask, texts: Sequence[Rect], scale: float) -> list[Rect]:
    """Return disjoint rectangles that cover every changed pixel with its context.

    Args:
        changed: Changed pixels.
        texts: Boxes to be covered as well: texts of which a part changed.
        scale: Of the detector's input. Sides become multiples of GRID after scaling, so that a crop
            is downscaled exactly as the whole picture is.
    """
    import cv2

    wanted = changed.copy()
    for text in texts:
        text.of(wanted)[...] = 1
    wanted = widened(wanted, CONTEXT)
    height, width = changed.shape
    rows, columns = (max(1, round(side * scale / GRID)) for side in (height, width))
    shares = cv2.resize(wanted.astype(np.float32), (columns, rows), interpolation=cv2.INTER_AREA)
    x, y = width / columns, height / rows
    return [
        Rect(
            round(cell.left * x), round(cell.top * y), round(cell.right * x), round(cell.bottom * y)
        )
        for cell in _disjoint_rects((shares > 0).astype(np.uint8))
    ]


def _disjoint_rects(cells: Mask) -> list[Rect]:
    """Return rectangles around the groups of set cells, merged until none touches another."""
    import cv2

    while True:
        _, _, stats, _ = cv2.connectedComponentsWithStats(cells, connectivity=8)
        rects = [Rect(x, y, x + w, y + h) for x, y, w, h, _ in stats[1:].tolist()]
        filled = np.zeros_like(cells)
        for rect in rects:
            rect.of(filled)[...] = 1
        if (filled == cells).all():
            return rects
        cells = filled
