"""How the motion changes from frame to frame: natural motion is uneven, unstable motion more so."""

from typing import ClassVar

import numpy as np
import numpy.typing as npt

from tools.forensics.clip import Clip
from tools.forensics.contact_sheet import Scale, heat_sheet
from tools.forensics.measurement import Measurement, Reading
from tools.forensics.motion import flows, lengths, too_still
from tools.forensics.readings import measured

SCALE = Scale(0, 4, "px", "change of the motion to the next frame")


class FlowChange(Measurement):
    """Mean change of the flow over mean flow, and the residual after warping by the flow.

    About 0 for even motion, 0.1 for even acceleration, 0.8 and more for motion that is new in
    every frame.
    """

    name: ClassVar[str] = "flow_change"

    def measure(self, clip: Clip) -> Reading:
        """Measure every triple of neighbouring frames."""
        if still := too_still(clip):
            return still
        field = flows(clip)
        changes = lengths(np.diff(field, axis=0))
        values = {
            "second_ratio": changes.mean() / lengths(field).mean(),
            "change_p95_px": np.percentile(changes, 95),
            "warp_residual_levels": warp_residual(clip, field),
        }
        view = heat_sheet(list(changes), SCALE, range(1, len(field)))
        return measured(clip, "Change of the optical flow over the flow", values, view)


def warp_residual(clip: Clip, field: npt.NDArray[np.float32]) -> float:
    """Return the mean absolute grey difference of each frame to the next one warped back."""
    import cv2

    height, width = clip.grey.shape[1:]
    grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1).astype(np.float32)
    residuals = []
    for number, (one, rate) in enumerate(zip(field, clip.rates, strict=True)):
        places = grid + one / np.float32(rate)
        back = cv2.remap(
            clip.grey[number + 1], places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        residuals.append(cv2.absdiff(back, clip.grey[number]).mean())
    return float(np.mean(residuals))
