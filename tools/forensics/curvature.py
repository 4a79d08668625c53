"""How much the path of a clip turns, after ReStraV (arXiv 2507.00583).

The turn of frame t is the angle between the steps before and after it. On DINOv2's tokens real
clips are straighter; on pixels the sign may be the other way round, so calibrate each by itself.
"""

from typing import ClassVar

from tools.forensics.clip import Clip
from tools.forensics.contact_sheet import sheet
from tools.forensics.embedding import Embedding
from tools.forensics.measurement import Measurement, Reading
from tools.forensics.motion import too_still
from tools.forensics.readings import measured, not_applicable
from tools.forensics.trajectory import Vectors, pixels, steps, turns

SIDE = 64  # px
LEGEND = "frames; d: root mean square change to the next frame"


class CurvaturePixel(Measurement):
    """Turns of the path of pixels at 64x64 px."""

    name: ClassVar[str] = "curvature_pixel"

    def measure(self, clip: Clip) -> Reading:
        """Measure the turns at all inner frames."""
        if still := too_still(clip):
            return still
        return _bend(clip, pixels(clip, SIDE), self.name)


class CurvatureEmbedding(Embedding):
    """Turns of the path of all tokens of a vision transformer, flattened."""

    name: ClassVar[str] = "curvature_embedding"

    def measure(self, clip: Clip) -> Reading:
        """Measure the turns at all inner frames."""
        if still := too_still(clip):
            return still
        tokens = self.tokens(clip)
        return _bend(clip, tokens.reshape(len(tokens), -1), self.name)


def _bend(clip: Clip, vectors: Vectors, name: str) -> Reading:
    angle, length = turns(vectors), steps(vectors, clip.rates)
    if not len(angle):
        return not_applicable("no two steps in a row have a direction", {})
    values = {
        "mean_deg": angle.mean(),
        "least_deg": angle.min(),
        "most_deg": angle.max(),
        "variance": angle.var(),
        "mean_step": length.mean(),
        "step_variance": length.var(),
    }
    notes = [f"d={one:.3f}" for one in length]
    view = sheet(clip.frames[:-1], LEGEND, range(len(length)), notes)
    space = "pixels" if name.endswith("pixel") else "the model's tokens"
    return measured(clip, f"Turn of the path of {space} from step to step", values, view)
