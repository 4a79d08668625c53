"""Structural similarity of neighbouring frames, and how unevenly it goes on."""

from itertools import pairwise
from typing import ClassVar

import numpy as np

from tools.forensics.clip import Clip
from tools.forensics.contact_sheet import Scale, heat_sheet
from tools.forensics.measurement import Measurement, Reading
from tools.forensics.motion import too_still
from tools.forensics.readings import jitter, measured

SCALE = Scale(0, 1, "", "1 minus SSIM to the next frame")


class SsimJitter(Measurement):
    """Mean SSIM of neighbours, and the standard deviation of its second difference."""

    name: ClassVar[str] = "ssim_jitter"

    def measure(self, clip: Clip) -> Reading:
        """Measure every pair of neighbouring frames."""
        if still := too_still(clip):
            return still
        from skimage.metrics import structural_similarity

        found = [structural_similarity(a, b, full=True) for a, b in pairwise(clip.grey)]
        scores = [float(score) for score, _ in found]
        values = {"mean": float(np.mean(scores)), "least": min(scores), **jitter(scores)}
        view = heat_sheet([1 - one for _, one in found], SCALE)
        return measured(clip, "SSIM of neighbouring frames (0 to 1)", values, view)
