"""Edges by Canny's detector, and how evenly their number goes on over time."""

from typing import ClassVar

import numpy as np

from tools.forensics.clip import Clip
from tools.forensics.contact_sheet import sheet
from tools.forensics.measurement import Measurement, Reading
from tools.forensics.readings import jitter, measured

LOW, HIGH = 100, 200  # Canny's thresholds
LEGEND = f"edges (Canny {LOW} and {HIGH}): white edge, black none (fixed scale)"


class Edges(Measurement):
    """Share of the pixels that lie on an edge, and its jitter over time."""

    name: ClassVar[str] = "edges"

    def measure(self, clip: Clip) -> Reading:
        """Measure every frame."""
        import cv2

        maps = [cv2.Canny(grey, LOW, HIGH) for grey in clip.grey]
        shares = np.mean(maps, axis=(1, 2)) / 255
        values = {"density": shares.mean(), **jitter(shares)}
        tiles = [cv2.cvtColor(one, cv2.COLOR_GRAY2RGB) for one in maps]
        view = sheet(tiles, LEGEND, range(len(tiles)))
        return measured(clip, "Edges (share of pixels, Canny)", values, view)
