"""Frames that repeat the one before, at the file's own rate: freezes, changes of the rate."""

from itertools import groupby
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from tools.forensics.clip import Clip
from tools.forensics.contact_sheet import Scale, heat_sheet
from tools.forensics.measurement import Measurement, Reading
from tools.forensics.motion import too_still
from tools.forensics.readings import measured

SAME_BELOW = 0.3
"""Mean absolute grey difference at 64x64 px under which a frame repeats the one before."""

SCALE = Scale(0, 8, "grey levels", "difference to the file's next frame, black repeats it")


class DuplicateFrames(Measurement):
    """Number and share of repeated frames, and the longest run of them."""

    name: ClassVar[str] = "duplicate_frames"

    def measure(self, clip: Clip) -> Reading:
        """Measure every pair of neighbouring frames of the file within the clip."""
        if still := too_still(clip):
            return still
        luma = clip.native.luma.astype(np.int16)
        differences = np.abs(np.diff(luma, axis=0))  # [m-1, 64, 64]
        means = differences.mean((1, 2))
        same = means < SAME_BELOW
        values = {
            "duplicates": float(same.sum()),
            "share": float(same.mean()),
            "longest_run": float(max((len(list(g)) for on, g in groupby(same) if on), default=0)),
            "median_difference_levels": float(np.median(means)),
            "native_frames": float(len(luma)),
        }
        shown = [(n, clip.native.times_s.index(t)) for n, t in enumerate(clip.times_s)]
        shown = [(number, place) for number, place in shown if place < len(differences)]
        maps = [_wide(differences[place], clip.grey.shape[1:]) for _, place in shown]
        view = heat_sheet(maps, SCALE, [number for number, _ in shown])
        return measured(clip, "Repeated frames at the file's own rate", values, view)


def _wide(difference: npt.NDArray[np.int16], shape: tuple[int, ...]) -> npt.NDArray[np.int16]:
    """Return a square map in the shape [height, width] of the frames."""
    import cv2

    size = shape[1], shape[0]
    return np.asarray(cv2.resize(difference, size, interpolation=cv2.INTER_NEAREST))
