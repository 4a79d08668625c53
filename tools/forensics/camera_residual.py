"""Motion that is left when the camera's is taken away (ORB features, partial affine motion)."""

from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from tools.forensics.clip import Clip
from tools.forensics.contact_sheet import Scale, heat_sheet
from tools.forensics.measurement import Measurement, Reading
from tools.forensics.motion import flows, lengths, too_still
from tools.forensics.readings import jitter, measured, not_applicable

FEATURES = 500
MIN_MATCHES = 12
REACH_PX = 3.0  # RANSAC
SCALE = Scale(0, 4, "px", "motion beyond the camera's")

Affine = npt.NDArray[np.float64]  # [2, 3]


class CameraResidual(Measurement):
    """Camera motion, the motion left without it, and the share that the camera explains."""

    name: ClassVar[str] = "camera_residual"

    def measure(self, clip: Clip) -> Reading:
        """Measure every pair of neighbouring frames."""
        if still := too_still(clip):
            return still
        cameras = camera_motions(clip.grey)
        known = [number for number, one in enumerate(cameras) if one is not None]
        if 2 * len(known) < len(cameras):
            why = f"the camera's motion was found for {len(known)} of {len(cameras)} pairs"
            return not_applicable(why, {"pairs": float(len(known))})
        field = flows(clip)
        fields = [
            (field[number], _field(one, clip.grey.shape[1:]) * clip.rates[number])
            for number, one in enumerate(cameras)
            if one is not None
        ]
        left = [lengths(flow - camera) for flow, camera in fields]
        whole = float(np.mean([lengths(flow).mean() for flow, _ in fields]))
        values = {
            "camera_px": np.mean([lengths(camera).mean() for _, camera in fields]),
            "residual_px": np.mean(left),
            "explained_share": max(0.0, 1 - float(np.mean(left)) / whole),
            **jitter([float(one.mean()) for one in left]),
        }
        view = heat_sheet(left, SCALE, known)
        return measured(clip, "Motion beyond the camera's, pixels per frame distance", values, view)


def camera_motions(greys: npt.NDArray[np.uint8]) -> list[Affine | None]:
    """Return the affine motion of each frame to the next; None with too few matches."""
    import cv2

    orb = cv2.ORB.create(FEATURES)
    seen = [orb.detectAndCompute(grey, None) for grey in greys]
    return [_affine(one, other) for one, other in pairwise(seen)]


def _affine(one: Any, other: Any) -> Affine | None:
    import cv2

    if one[1] is None or other[1] is None:
        return None
    matches = cv2.BFMatcher(cv2.NORM_HAMMING, crossCheck=True).match(one[1], other[1])
    if len(matches) < MIN_MATCHES:
        return None
    source = np.array([one[0][match.queryIdx].pt for match in matches])
    target = np.array([other[0][match.trainIdx].pt for match in matches])
    found, inside = cv2.estimateAffinePartial2D(source, target, ransacReprojThreshold=REACH_PX)
    return found if found is not None and inside.sum() >= MIN_MATCHES else None


def _field(affine: Affine, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Return the motion of every pixel under an affine motion, [height, width, 2]."""
    y, x = np.indices(shape)
    moved = np.stack([x, y, np.ones(shape)], -1) @ affine.T
    return np.asarray(moved - np.stack([x, y], -1), np.float32)
