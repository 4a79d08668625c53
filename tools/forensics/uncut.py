"""The longest stretch of a clip without a cut: statistics of motion across a cut mean nothing."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from tools.media.frames import Sample
from tools.media.picture_stats import colour_shares
from tools.media.picture_stats import motion as luma_change
from tools.shots import ShotsOptions, find_cuts

SHORTEST_S = 0.25  # between two cuts of a clip


def longest_uncut(frames: Sequence[npt.NDArray[np.uint8]], times_s: Sequence[float]) -> slice:
    """Return the frames of the longest stretch without a cut, the first of equally long ones.

    Args:
        frames: RGB, each [height, width, 3].
        times_s: When each appears.
    """
    cuts = find_cuts(_samples(frames, times_s), ShotsOptions(min_shot_s=SHORTEST_S))
    stretches = pairwise([0, *cuts, len(frames)])
    first, end = max(stretches, key=lambda stretch: stretch[1] - stretch[0])
    return slice(first, end)


def _samples(frames: Sequence[npt.NDArray[np.uint8]], times_s: Sequence[float]) -> list[Sample]:
    import cv2

    grey: list[Any] = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    changes = [0.0, *(luma_change(after, before) for before, after in pairwise(grey))]
    numbered = enumerate(zip(times_s, changes, frames, strict=True))
    return [
        Sample(time_s, number, 0.0, changed, colour_shares(frame))
        for number, (time_s, changed, frame) in numbered
    ]
