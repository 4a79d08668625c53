"""Geometry of a clip as a path of vectors: the step from frame to frame, and the turn of steps."""

from typing import Any

import numpy as np
import numpy.typing as npt

from tools.forensics.clip import Clip

Vectors = npt.NDArray[np.float32]  # [n, dimensions]
Series = npt.NDArray[np.float64]

ZERO = 1e-9  # a shorter step has no direction


def steps(vectors: Vectors, rates: Series) -> Series:
    """Return the length of each step, [n-1]: root mean square, per nominal frame distance."""
    moved = np.diff(vectors.astype(np.float64), axis=0)
    return np.asarray(np.sqrt((moved**2).mean(1)) * rates)


def turns(vectors: Vectors) -> Series:
    """Return the angle between neighbouring steps in degrees; those with a zero step left out."""
    moved = np.diff(vectors.astype(np.float64), axis=0)
    size = np.linalg.norm(moved, axis=1)
    both = (size[1:] > ZERO) & (size[:-1] > ZERO)
    cosine = (moved[1:] * moved[:-1]).sum(1)[both] / (size[1:] * size[:-1])[both]
    return np.asarray(np.degrees(np.arccos(cosine.clip(-1, 1))))


def pixels(clip: Clip, side: int, crop: float = 0.0) -> Vectors:
    """Return each frame as a vector of RGB values, 0 to 1, at `side` x `side` px.

    Args:
        clip: Whose frames.
        side: Width and height after scaling.
        crop: Share cut off at either end of the longer axis.
    """
    import cv2

    height, width = clip.frames.shape[1:3]
    dx, dy = (round(crop * width), 0) if width >= height else (0, round(crop * height))
    cut = clip.frames[:, dy : height - dy, dx : width - dx]
    small: list[Any] = [cv2.resize(one, (side, side), interpolation=cv2.INTER_AREA) for one in cut]
    return np.asarray(np.stack(small).reshape(len(small), -1) / 255, np.float32)
