"""How evenly a clip moves, after D3 (arXiv 2508.00701): generated motion is too even.

With z_t the vector of frame t: d_t = ||z_{t+1} - z_t||, a_t = d_{t+1} - d_t, score = std of a_t.
Larger means more like a real clip. D3 states no threshold.
"""

from typing import ClassVar

import numpy as np

from tools.forensics.clip import Clip
from tools.forensics.contact_sheet import sheet
from tools.forensics.embedding import Embedding
from tools.forensics.measurement import Measurement, Reading
from tools.forensics.motion import too_still
from tools.forensics.readings import measured
from tools.forensics.trajectory import Vectors, pixels, steps

SIDE = 224  # px, as the paper's encoders take it
CROP = 0.1  # of the longer axis, at either end
LEGEND = "frames; d: root mean square change to the next frame"


class D3Pixel(Measurement):
    """The D3 score on pixels, 0 to 1, at 224x224 px."""

    name: ClassVar[str] = "d3_pixel"

    def measure(self, clip: Clip) -> Reading:
        """Measure the steps between neighbouring frames."""
        if still := too_still(clip):
            return still
        return _evenness(clip, pixels(clip, SIDE, CROP), "of pixels")


class D3Embedding(Embedding):
    """The D3 score on the class token of a vision transformer."""

    name: ClassVar[str] = "d3_embedding"

    def measure(self, clip: Clip) -> Reading:
        """Measure the steps between neighbouring frames."""
        if still := too_still(clip):
            return still
        return _evenness(clip, self.tokens(clip)[:, 0], "of the model's class token")


def _evenness(clip: Clip, vectors: Vectors, what: str) -> Reading:
    length = steps(vectors, clip.rates)
    spread = float(np.diff(length).std())
    values = {
        "score": spread,
        "mean_step": length.mean(),
        "relative_score": spread / max(float(length.mean()), 1e-9),
    }
    notes = [f"d={one:.3f}" for one in length]
    view = sheet(clip.frames[:-1], LEGEND, range(len(length)), notes)
    return measured(clip, f"Evenness of change {what} (D3; a low score is even)", values, view)
