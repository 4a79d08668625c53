"""Decide whether two texts of one picture are on different panels: signs, cards, plates, pages.

Between texts on one panel the background is continuous, except for a dotted leader or a ruled line
of a table. Between two panels the colour changes.
"""

import numpy as np
import numpy.typing as npt

from tools.ocr.engine import BGRImage
from tools.ocr.rows import Box

OTHER_COLOUR = 40  # of 255; JPEG rings around letters stay below it in the median of a column
MIN_BREAK = 0.25  # of the line height: a ruled line is thinner than the gap between two panels

Colours = npt.NDArray[np.float64]  # [..., 3]


class Panels:
    """The backgrounds in one picture."""

    def __init__(self, picture: BGRImage) -> None:
        self._picture = picture

    def part(self, left: Box, right: Box) -> bool:
        """Return whether the background changes between two texts side by side."""
        if right.left <= left.right or left.overlap(right) <= 0:
            return False
        grounds = self._ground(left), self._ground(right)
        if _differ(*grounds).any():
            return True
        height, width = self._picture.shape[:2]
        top, bottom = max(left.top, right.top), min(left.bottom, right.bottom)
        rows = slice(int(top * height), max(int(bottom * height), int(top * height) + 1))
        strip = self._picture[rows, round(left.right * width) : round(right.left * width)]
        other = _differ(np.median(strip, axis=0), grounds[0])
        line = max(left.height, right.height) * height
        return bool(_longest_run(other) >= MIN_BREAK * line)

    def _ground(self, box: Box) -> Colours:
        """Return the colour around a text; one of the four edges may lie on a ruled line."""
        height, width = self._picture.shape[:2]
        top, left = int(box.top * height), int(box.left * width)
        bottom, right = round(box.bottom * height), round(box.right * width)
        part = self._picture[top : max(bottom, top + 1), left : max(right, left + 1)]
        edges = part[0], part[-1], part[:, 0], part[:, -1]
        return np.asarray(np.median([np.median(edge, axis=0) for edge in edges], axis=0))


def _differ(one: Colours, other: Colours) -> npt.NDArray[np.bool_]:
    return np.asarray(np.abs(one - other).max(axis=-1) > OTHER_COLOUR)


def _longest_run(flags: npt.NDArray[np.bool_]) -> int:
    bounds = np.flatnonzero(np.diff(np.concatenate(([0], flags.astype(np.int8), [0]))))
    return int((bounds[1::2] - bounds[::2]).max(initial=0))
