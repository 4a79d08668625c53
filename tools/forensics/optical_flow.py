"""The motion between neighbouring frames, as numbers and as the usual colour wheel."""

from typing import ClassVar

import numpy as np
import numpy.typing as npt

from tools.forensics.clip import Clip
from tools.forensics.contact_sheet import sheet
from tools.forensics.measurement import Measurement, Reading
from tools.forensics.motion import flows, lengths, too_still
from tools.forensics.readings import jitter, measured
from tools.media.video import RGBImage

FULL_PX = 8.0  # motion shown at full brightness
MOVING_PX = 0.5
LEGEND = (
    "motion: red right, green down, cyan left, violet up; black 0 to full brightness "
    f"{FULL_PX:g} px a frame (fixed scale)"
)


class OpticalFlow(Measurement):
    """Dense flow (DIS): mean, 95th percentile, moving share, coherence and jitter.

    Coherence is the length of the mean vector over the mean length: 1 when all moves alike.
    """

    name: ClassVar[str] = "optical_flow"

    def measure(self, clip: Clip) -> Reading:
        """Measure every pair of neighbouring frames."""
        if still := too_still(clip):
            return still
        field = flows(clip)
        speed = lengths(field)
        together = np.linalg.norm(field.mean((1, 2)), axis=-1)
        values = {
            "mean_px": speed.mean(),
            "p95_px": np.percentile(speed, 95),
            "moving_share": (speed > MOVING_PX).mean(),
            "coherence": together.mean() / speed.mean(),
            **jitter(speed.mean((1, 2))),
        }
        view = sheet([wheel(one) for one in field], LEGEND, range(len(field)))
        return measured(clip, "Optical flow, pixels per frame distance", values, view)


def wheel(field: npt.NDArray[np.float32]) -> RGBImage:
    """Return a flow [height, width, 2] as colours: hue the direction, brightness the speed."""
    import cv2

    speed, angle = cv2.cartToPolar(field[..., 0], field[..., 1], angleInDegrees=True)
    hsv = np.empty((*speed.shape, 3), np.uint8)
    hsv[..., 0] = (angle / 2).astype(np.uint8) % 180
    hsv[..., 1] = 255
    hsv[..., 2] = (speed / FULL_PX * 255).clip(0, 255)
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB))
