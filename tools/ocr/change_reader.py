"""OCR of successive frames, limited to what changed in between.

A slide beside a moving speaker, a sign above the traffic: the picture changes all the time and its
text does not. The detector therefore sees only the regions that changed since they were last read,
with some context, and the recogniser only text in which a pixel changed. The state is one picture
and the text in it.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tools.ocr.engine import BGRImage, Corners, OcrEngine, Reading
from tools.ocr.multiscale import detect_text
from tools.ocr.regions import Mask, Rect, around, changed_parts, widened

logger = logging.getLogger(__name__)

KeepWork = Callable[[Callable[[], Any]], Any]

# A pixel changed when a colour channel, averaged over 3x3 pixels, differs by more than this of 255.
# Measured over 21 fonts, after JPEG: one digit turned into another changes at least 13 at 12 px
# and contrast 40, at least 92 at 16 px and contrast 200. A static picture changes less between two
# key frames of its video, and up to 60 at a key frame: then it is read again.
CHANGED = 16
NEAR = 8  # px of dilation of the changed pixels: text is read whole
SAME_TEXT = 0.5  # intersection over the smaller of two boxes
CUT = 3  # px from the edge of the detector's crop: the text may be cut off


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of text in a picture, and the upright rectangle around it."""

    rect: Rect
    reading: Reading


class PictureReader:
    """Reads the pictures of one video, in time order.

    Args:
        engine: The models.
        max_side: Longer side in pixels to which a picture is downscaled for the detector; crops
            keep the same scale.
    """

    def __init__(self, engine: OcrEngine, max_side: int) -> None:
        self._engine = engine
        self._max_side = max_side
        self._seen: BGRImage | None = None
        self._known: list[Piece] = []

    def read(self, picture: BGRImage, keep: KeepWork = lambda work: work()) -> list[Piece]:
        """Return the text in the next picture.

        Args:
            picture: The next picture.
            keep: Runs the models, or returns their checkpointed result (`tools.base.Keep`).
        """
        import cv2

        if self._seen is None or self._seen.shape != picture.shape:
            self._seen, self._known = picture.copy(), []
            changed = np.ones(picture.shape[:2], np.uint8)
        else:
            changed = changed_pixels(picture, self._seen)
            cv2.copyTo(picture, changed, self._seen)
        if changed.any():
            pieces = keep(lambda: [_to_json(p) for p in self._read_changes(picture, changed)])
            self._known = [_from_json(piece) for piece in pieces]
        return self._known

    def _read_changes(self, picture: BGRImage, changed: Mask) -> list[Piece]:
        kept = [piece for piece in self._known if not piece.rect.of(changed).any()]
        gone = [piece for piece in self._known if piece not in kept]
        places = []
        for corners in self._detect(picture, changed, [piece.rect for piece in gone]):
            rect = around(corners, picture)
            same = [piece for piece in kept if piece.rect.overlap(rect) >= SAME_TEXT]
            if same and not rect.of(changed).any():
                continue  # unchanged text keeps its reading
            kept = [piece for piece in kept if piece not in same]
            places.append(corners)
        readings = self._engine.recognise(picture, places) if places else []
        logger.debug("%d texts read, %d kept", len(readings), len(kept))
        return kept + [
            Piece(around(corners, picture), reading)
            for corners, reading in zip(places, readings, strict=True)
        ]

    def _detect(self, picture: BGRImage, changed: Mask, gone: Sequence[Rect]) -> list[Corners]:
        """Detect text in changed regions; in the whole picture when a text is cut off."""
        height, width = changed.shape
        scale = min(1.0, self._max_side / max(height, width))
        found: list[Corners] = []
        for part in changed_parts(changed, gone, scale):
            inside = self._detect_in(picture, part, scale)
            if any(_is_cut(around(corners, picture), part, changed) for corners in inside):
                return self._detect_in(picture, Rect(0, 0, width, height), scale)
            found += inside
        return found

    def _detect_in(self, picture: BGRImage, part: Rect, scale: float) -> list[Corners]:
        crop = part.of(picture)
        found = detect_text(self._engine, crop, scale)
        return [corners + np.array([part.left, part.top]) for corners in found]


def _to_json(piece: Piece) -> list[Any]:
    rect, reading = piece.rect, piece.reading
    sides = [int(side) for side in (rect.left, rect.top, rect.right, rect.bottom)]
    return [*sides, reading.text, float(reading.confidence)]


def _from_json(values: Sequence[Any]) -> Piece:
    *sides, text, confidence = values
    return Piece(Rect(*sides), Reading(text, confidence))


def changed_pixels(picture: BGRImage, seen: BGRImage) -> Mask:
    """Return where two pictures of one size differ by more than noise, dilated by NEAR."""
    import cv2

    blue, green, red = cv2.split(cv2.blur(cv2.absdiff(picture, seen), (3, 3)))
    difference = cv2.max(cv2.max(blue, green), red)
    _, changed = cv2.threshold(difference, CHANGED, 1, cv2.THRESH_BINARY)
    return widened(changed, NEAR)


def _is_cut(rect: Rect, part: Rect, changed: Mask) -> bool:
    """Return whether a changed text ends at an edge of `part` inside the picture."""
    height, width = changed.shape
    at_edge = (
        0 < part.left >= rect.left - CUT
        or 0 < part.top >= rect.top - CUT
        or width > part.right <= rect.right + CUT
        or height > part.bottom <= rect.bottom + CUT
    )
    return at_edge and bool(rect.of(changed).any())
