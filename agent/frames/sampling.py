"""Frame sampling: from a number of frames to their ids.

Each method has a parity rule, which gives exactly the ids of its published code, and all share one
default, which leaves no tail of the video unseen. An id is the index of a frame in presentation
order; `tools.media.container.picture_times` has the times.
"""

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import TypeVar

from tools.errors import InputError

T = TypeVar("T")


def centre_ids(total: int, count: int) -> tuple[int, ...]:
    """Return the middle frame of each of `count` equal segments: the default of all methods.

    Strictly increasing; all frames when there are at most `count`. Neighbours are at most
    ceil(total / count) apart, and either tail is at most half a segment.
    """
    _require_frames(total, count)
    kept = min(total, count)
    return tuple((2 * number + 1) * total // (2 * kept) for number in range(kept))


def ts_parity_ids(total: int, count: int) -> tuple[int, ...]:
    """Return the ids of TS-LLaVA and SlowFast-LLaVA (`get_seq_frames` of their code).

    The middle between two rounded segment ends. With `total` <= `count` one frame comes twice and
    the last one never.
    """
    _require_frames(total, count)
    kept = min(total, count)
    step = (total - 1) / kept
    ends = [round(step * number) for number in range(kept + 1)]
    return tuple((ends[number] + ends[number + 1]) // 2 for number in range(kept))


def ig_parity_count(duration_s: float, fps: Fraction) -> int:
    """Return the number of frames by which IG-VLM counts: moviepy's, mostly one too many.

    It reads length and rate as FFmpeg's program prints them, in hundredths, and returns
    int(length * rate) + 1 in floating point.
    """
    return int(_printed(duration_s) * _printed_rate(fps)) + 1


def ig_parity_times(duration_s: float, fps: Fraction, count: int = 6) -> tuple[float, ...]:
    """Return the times in seconds of the frames of IG-VLM, on the grid of a steady rate.

    Frames of a variable rate are thus chosen by time. A time may lie past the last frame, which is
    shown then (longer sound); past the stated length nothing is.

    Raises:
        InputError: There are fewer than `count` frames.
    """
    rate = _printed_rate(fps)
    ids = ig_parity_ids(ig_parity_count(duration_s, fps), count)
    shown = math.ceil(_printed(duration_s) / (1 / rate))
    return tuple(number / rate for number in ids if number < shown)


def ig_parity_ids(total: int, count: int = 6) -> tuple[int, ...]:
    """Return the ids of IG-VLM: multiples of floor(total / count), the tail unseen.

    Raises:
        InputError: There are fewer than `count` frames; the published code fails on them too.
    """
    _require_frames(total, count)
    interval = total // count
    if not interval:
        raise InputError(
            f"the frame rule of IG-VLM needs at least {count} frames and counts {total} here; "
            "run without --parity, or ask for fewer frames"
        )
    return tuple(number * interval for number in range(count))


def thinned(frames: Sequence[T], share: float) -> tuple[T, ...]:
    """Return a share of some frames, at least one, evenly spread."""
    return tuple(frames[i] for i in centre_ids(len(frames), max(1, int(len(frames) * share))))


def _printed(value: float) -> float:
    return math.floor(value * 100 + 0.5) / 100


def _printed_rate(fps: Fraction) -> float:
    """Return a frame rate as moviepy restores it: one printed as 29.97 is 30000 / 1001."""
    printed = _printed(float(fps))
    broadcast = (rate * 1000 / 1001 for rate in (23, 24, 25, 30, 50))
    return next((rate for rate in broadcast if abs(printed - rate) < 0.01), printed)


def _require_frames(total: int, count: int) -> None:
    if total < 1 or count < 1:
        raise ValueError(f"frames must be at least 1 of 1, got {count} of {total}")
