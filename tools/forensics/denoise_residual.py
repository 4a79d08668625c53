"""What a 3x3 median filter removes: sensor noise, grain, and compression artefacts."""

from itertools import pairwise
from typing import ClassVar

import numpy as np

from tools.forensics.clip import Clip
from tools.forensics.contact_sheet import Scale, heat_sheet
from tools.forensics.measurement import Measurement, Reading
from tools.forensics.readings import jitter, measured

SCALE = Scale(-8, 8, "grey levels", "frame minus its 3x3 median")


class DenoiseResidual(Measurement):
    """The residual's standard deviation, its jitter, and its correlation from frame to frame.

    The sign of the first changes with compression: never judge by it alone.
    """

    name: ClassVar[str] = "denoise_residual"

    def measure(self, clip: Clip) -> Reading:
        """Measure every frame."""
        import cv2

        maps = [grey.astype(np.float32) - cv2.medianBlur(grey, 3) for grey in clip.grey]
        spreads = np.std(maps, axis=(1, 2))
        values = {"mean_levels": float(spreads.mean()), **jitter(spreads)}
        if len(maps) > 1:
            pairs = [_correlation(one, other) for one, other in pairwise(maps)]
            values["correlation"] = float(np.mean(pairs))
        return measured(clip, "Residual of a 3x3 median filter", values, heat_sheet(maps, SCALE))


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Return Pearson's correlation; 0 where a residual is constant."""
    spread = float(one.std() * other.std())
    if not spread:
        return 0.0
    return float(((one - one.mean()) * (other - other.mean())).mean() / spread)
