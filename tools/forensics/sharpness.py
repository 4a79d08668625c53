"""Sharpness by the Laplacian; weak alone, for it mostly restates resolution and compression."""

from typing import ClassVar

import numpy as np

from tools.forensics.clip import Clip
from tools.forensics.contact_sheet import Scale, heat_sheet
from tools.forensics.measurement import Measurement, Reading
from tools.forensics.readings import jitter, measured

SCALE = Scale(0, 64, "grey levels", "absolute Laplacian")


class Sharpness(Measurement):
    """Standard deviation of the Laplacian: mean, least, and relative jitter over time."""

    name: ClassVar[str] = "sharpness"

    def measure(self, clip: Clip) -> Reading:
        """Measure every frame."""
        import cv2

        maps = [cv2.Laplacian(grey, cv2.CV_32F) for grey in clip.grey]
        spreads = np.std(maps, axis=(1, 2))
        values = {"mean_levels": spreads.mean(), "least_levels": spreads.min()}
        values |= jitter(spreads / max(float(spreads.mean()), 1e-6))
        view = heat_sheet([np.abs(one) for one in maps], SCALE)
        return measured(clip, "Sharpness (standard deviation of the Laplacian)", values, view)
