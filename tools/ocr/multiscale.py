"""Detect text at the scale that its size needs.

A detector finds letters of 10 to 100 px in what it is given. Most text is found in a small picture,
which costs a quarter of one with twice the side. What is too small for it is looked for again at
twice the scale, but only where the small picture lost detail and no text was found for sure.
"""

import math

import numpy as np

from tools.media.detail import CELL, Luma, fine_cells
from tools.ocr.engine import BGRImage, Corners, OcrEngine
from tools.ocr.regions import Rect, around, changed_parts

FINE_ENOUGH = 0.65  # scale at which letters of 12 px are found; of smaller ones few are recognised
SURE = 14.0  # px of the detector's input: lower boxes of text may be cut, or two lines in one
WORD = 1.5  # longer over shorter side: edges and corners look like single small letters
SAME_TEXT = 0.5  # intersection over the smaller of two boxes


def detect_text(engine: OcrEngine, picture: BGRImage, scale: float) -> list[Corners]:
    """Return where there is text of any size.

    Args:
        engine: The detector.
        picture: A picture or a part of one, in full size.
        scale: At which the detector first sees it.
    """
    import cv2

    found = _detect_at(engine, picture, scale)
    luma = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY))
    while scale < FINE_ENOUGH:
        unsure = [corners for corners in found if _height(corners) * scale < SURE]
        sure = [corners for corners in found if _height(corners) * scale >= SURE]
        parts = _fine_parts(luma, scale, sure, unsure)
        scale = min(1.0, 2 * scale)
        finer = [
            corners + np.array([part.left, part.top])
            for part in parts
            for corners in _detect_at(engine, part.of(picture), scale)
            if _length(corners) >= WORD * _height(corners)
        ]
        found = sure + _without(finer, sure, picture)
        found += _without(unsure, found, picture)
    return found


def _detect_at(engine: OcrEngine, picture: BGRImage, scale: float) -> list[Corners]:
    return engine.detect(picture, max(1, round(max(picture.shape) * scale)))


def _fine_parts(luma: Luma, scale: float, sure: list[Corners], unsure: list[Corners]) -> list[Rect]:
    """Return the parts in which there may be text too small for a scale."""
    import cv2

    height, width = luma.shape
    read = np.zeros_like(luma)
    for corners in sure:
        around(corners, luma).of(read)[...] = 1
    cells = fine_cells(luma, scale, read)
    fine = cv2.resize(cells, None, fx=CELL, fy=CELL, interpolation=cv2.INTER_NEAREST)
    mask = np.asarray(fine)[:height, :width].copy()
    return changed_parts(mask, [around(one, luma) for one in unsure], min(1.0, 2 * scale))


def _without(some: list[Corners], others: list[Corners], picture: BGRImage) -> list[Corners]:
    """Return those that are not the same text as one of the others."""
    rects = [around(one, picture) for one in others]
    return [one for one in some if all(around(one, picture).overlap(r) < SAME_TEXT for r in rects)]


def _length(corners: Corners) -> float:
    """Return the longer side of a box in pixels."""
    return max(math.dist(corners[0], corners[1]), math.dist(corners[1], corners[2]))


def _height(corners: Corners) -> float:
    """Return the shorter side of a box in pixels."""
    return min(math.dist(corners[0], corners[1]), math.dist(corners[1], corners[2]))
