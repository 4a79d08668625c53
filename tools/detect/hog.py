"""OpenCV's HOG people detector: a linear classifier whose weights are part of OpenCV."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from tools.detect.detections import BoxSides, Detection, DetectOptions
from tools.media.video import RGBImage


class HogPeople:
    """Detects upright, fully visible people (Dalal and Triggs 2005, window of 64 x 128 pixels)."""

    memory_bytes = 0  # 3781 weights

    def __init__(self, options: DetectOptions) -> None:
        import cv2

        self._confidence = options.threshold
        self._image_size = options.image_size
        self._hog = cv2.HOGDescriptor()
        self._hog.setSVMDetector(cv2.HOGDescriptor.getDefaultPeopleDetector())

    def find(self, images: Sequence[RGBImage], phrases: tuple[str, ...]) -> list[list[Detection]]:
        """Return the people in each picture; phrases are ignored."""
        return [self._people(image) for image in images]

    def _people(self, image: RGBImage) -> list[Detection]:
        small = _fit(image, self._image_size)
        boxes, margins = self._hog.detectMultiScale(
            small, winStride=(8, 8), padding=(8, 8), scale=1.05
        )
        height, width = small.shape[:2]
        return one_per_place(
            # The classifier's margin is not a probability; it is capped at 1.
            Detection("person", min(1.0, float(margin)), _fractions(box, width, height))
            for box, margin in zip(boxes, np.ravel(margins), strict=True)
            if margin > self._confidence
        )


def one_per_place(people: Iterable[Detection]) -> list[Detection]:
    """Keep the best-scored of boxes whose centres are less than a box's width apart, left to right.

    The detector often reports a leg or a torso as a further person. People who stand close are thus
    counted once, which keeps "at least" true.
    """
    kept: list[Detection] = []
    for one in sorted(people, key=lambda one: -one.score):
        if all(_apart(one.box, other.box) for other in kept):
            kept.append(one)
    return kept


def _apart(box: BoxSides, other: BoxSides) -> bool:
    middles = abs((box[0] + box[2]) - (other[0] + other[2])) / 2
    return middles >= ((box[2] - box[0]) + (other[2] - other[0])) / 2


def _fit(image: RGBImage, image_size: int) -> Any:
    import cv2

    height, width = image.shape[:2]
    scale = min(1.0, image_size / max(height, width))
    # A picture smaller than the window makes the detector fail.
    size = max(64, round(width * scale)), max(128, round(height * scale))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def _fractions(box: Any, width: int, height: int) -> BoxSides:
    left, top, across, down = (float(side) for side in box)
    return (
        max(0.0, left / width),
        max(0.0, top / height),
        min(1.0, (left + across) / width),
        min(1.0, (top + down) / height),
    )
