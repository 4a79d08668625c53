"""Optical flow between neighbouring frames, and whether a clip moves enough to be measured."""

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from tools.forensics.clip import Clip
from tools.forensics.measurement import Reading
from tools.forensics.readings import not_applicable

Flow = npt.NDArray[np.float32]  # [n-1, height, width, 2], pixels per 1/fps seconds, x then y
Lengths = npt.NDArray[np.float32]  # [n, height, width]

MIN_FRAMES = 4  # two second differences
MIN_SECONDS = 0.9
STATIC_PX = 0.25
"""Mean flow under which a clip is static. Sensor noise on a static scene measures 0.04 px."""


def flows(clip: Clip) -> Flow:
    """Return the dense flow of each frame to the next (DIS, medium preset).

    Scaled to pixels per 1/`fps` seconds, whatever the true distance of the frames.
    """
    return clip.once("flows", lambda: _flows(clip))


def lengths(vectors: npt.NDArray[np.float32]) -> Lengths:
    """Return the Euclidean length of vectors along the last axis."""
    return np.asarray(np.hypot(vectors[..., 0], vectors[..., 1]))


def too_still(clip: Clip) -> Reading | None:
    """Return a not-applicable reading where statistics of motion would mean nothing, else None.

    That is a clip of less than about a second between its cuts, and one without motion.
    """
    return too_short(clip) or _static(clip)


def too_short(clip: Clip) -> Reading | None:
    """Return a not-applicable reading for less than about a second or four frames, else None."""
    frames, seconds = len(clip.times_s), clip.end_s - clip.start_s
    if frames >= MIN_FRAMES and seconds >= MIN_SECONDS:
        return None
    which = "longest stretch without a cut" if clip.is_cut else "clip"
    why = f"the {which} is too short, {frames} frame(s) over {seconds:.2f} s; about 1 s is needed"
    return not_applicable(why, {"frames": float(frames), "seconds": round(seconds, 3)})


def _static(clip: Clip) -> Reading | None:
    mean_px = float(lengths(flows(clip)).mean())
    if mean_px >= STATIC_PX:
        return None
    why = f"the clip is static, mean motion {mean_px:.2f} px a frame, under {STATIC_PX} px"
    return not_applicable(why, {"mean_px": round(mean_px, 4)})


def _flows(clip: Clip) -> Flow:
    import cv2

    method = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    found: list[Any] = [method.calc(one, other, None) for one, other in pairwise(clip.grey)]
    scaled = np.stack(found) * clip.rates[:, None, None, None].astype(np.float32)
    scaled.flags.writeable = False
    return scaled
