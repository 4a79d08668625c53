"""Patches graded by their DCT, as AIDE (arXiv 2406.19435) chooses those it looks at."""

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from tools.forensics.clip import Clip
from tools.forensics.contact_sheet import sheet
from tools.forensics.measurement import Measurement, Reading
from tools.forensics.readings import jitter, measured
from tools.media.video import RGBImage

PATCH, STRIDE = 32, 16  # px
BANDS = 6
BLOCK = 8  # px, as in JPEG
SHOWN = 2  # lowest and highest patches outlined in a frame
LOW_COLOUR, HIGH_COLOUR = (60, 140, 255), (255, 60, 60)
LEGEND = "blue: the two patches with the least high-frequency detail, red: with the most"

Grey = npt.NDArray[np.uint8]  # [height, width]


class BlockDct(Measurement):
    """Grade of the 32x32 patches, and energy in the high half of 8x8 blocks.

    The grade is the sum over six diagonal bands k of 2^k times the mean of log(1 + |DCT|).
    """

    name: ClassVar[str] = "block_dct"

    def measure(self, clip: Clip) -> Reading:
        """Grade every frame."""
        grades = [patch_grades(grey) for grey in clip.grey]  # each [rows, columns]
        high = [_high_share(grey) for grey in clip.grey]
        means = [float(one.mean()) for one in grades]
        values = {
            "grade_mean": np.mean(means),
            "grade_p5": np.percentile(grades, 5),
            "grade_p95": np.percentile(grades, 95),
            "high_share_8x8": np.mean(high),
            **jitter(means),
        }
        tiles = [_outlined(frame, one) for frame, one in zip(clip.frames, grades, strict=True)]
        view = sheet(tiles, LEGEND, range(len(tiles)))
        return measured(clip, "Detail of 32x32 patches (graded DCT)", values, view)


def patch_grades(grey: Grey) -> npt.NDArray[Any]:
    """Return the grade of each patch, [rows, columns]."""
    coefficients = np.log1p(np.abs(_dct(_windows(grey, PATCH, STRIDE))))
    row, column = np.indices((PATCH, PATCH))
    band = (row + column) * BANDS // (2 * PATCH - 1)
    weights = sum(2**k * (band == k) / (band == k).sum() for k in range(BANDS))
    return np.asarray(np.einsum("rcij,ij->rc", coefficients, weights))


def _high_share(grey: Grey) -> float:
    """Return the share of the energy, the mean left out, in the high half of 8x8 blocks."""
    energy = (_dct(_windows(grey, BLOCK, BLOCK)) ** 2).sum((0, 1))
    energy[0, 0] = 0
    row, column = np.indices((BLOCK, BLOCK))
    return float(energy[row + column >= BLOCK].sum() / max(energy.sum(), 1e-9))


def _windows(grey: Grey, side: int, stride: int) -> npt.NDArray[Any]:
    views = np.lib.stride_tricks.sliding_window_view(grey, (side, side))
    return views[::stride, ::stride].astype(np.float32)


def _dct(patches: npt.NDArray[Any]) -> npt.NDArray[Any]:
    from scipy.fft import dctn

    return np.asarray(dctn(patches, axes=(2, 3), norm="ortho"))


def _outlined(frame: RGBImage, grades: npt.NDArray[Any]) -> RGBImage:
    import cv2

    picture = frame.copy()
    order = np.argsort(grades, axis=None, kind="stable")
    for places, colour in ((order[:SHOWN], LOW_COLOUR), (order[-SHOWN:], HIGH_COLOUR)):
        for row, column in zip(*np.unravel_index(places, grades.shape), strict=True):
            left, top = int(column) * STRIDE, int(row) * STRIDE
            cv2.rectangle(picture, (left, top), (left + PATCH - 1, top + PATCH - 1), colour, 2)
    return picture
