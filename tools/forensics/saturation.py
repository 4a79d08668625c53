"""Colour saturation: generated clips are often, and evenly, more saturated."""

from typing import ClassVar

import numpy as np

from tools.forensics.clip import Clip
from tools.forensics.contact_sheet import Scale, heat_sheet
from tools.forensics.measurement import Measurement, Reading
from tools.forensics.readings import jitter, measured

SCALE = Scale(0, 1, "", "HSV saturation")


class Saturation(Measurement):
    """Saturation in HSV, 0 to 1: mean, 95th percentile, and jitter of the mean over time."""

    name: ClassVar[str] = "saturation"

    def measure(self, clip: Clip) -> Reading:
        """Measure every frame."""
        import cv2

        maps = [cv2.cvtColor(frame, cv2.COLOR_RGB2HSV)[..., 1] / 255 for frame in clip.frames]
        means = np.mean(maps, axis=(1, 2))
        values = {"mean": means.mean(), "p95": np.percentile(maps, 95), **jitter(means)}
        return measured(clip, "Saturation (HSV, 0 to 1)", values, heat_sheet(maps, SCALE))
