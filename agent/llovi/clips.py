"""Clips: which parts of a video are captioned, and what their captions cover (LLoVi, stage 1).

A caption is an `Evidence` record of kind "caption": of a clip, or of one frame, which has no
length.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import ceil
from statistics import median

from agent.answering.time_spans import Span, format_span
from agent.text import quoted
from tools.errors import InputError
from tools.evidence import Evidence

TOLERANCE_S = 1e-3  # rounding of times; no clip is shorter


@dataclass(frozen=True, slots=True)
class Clip:
    """A part of a video, in seconds, and its number from 0."""

    number: int
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Coverage:
    """How captions cover a video.

    Attributes:
        whole: Whether they cover it from start to end without gap or overlap.
        length_s: Usual length of a captioned clip in seconds; 0 for single frames.
        stride_s: Usual time from the start of one to that of the next, in seconds.
        gaps: Parts without caption.
    """

    whole: bool
    length_s: float
    stride_s: float
    gaps: int


def plan_clips(
    duration_s: float, length_s: float = 1.0, stride_s: float | None = None
) -> tuple[Clip, ...]:
    """Cut a video into clips that start every `stride_s` seconds; the last ends with the video.

    Args:
        duration_s: Length of the video.
        length_s: Length of a clip; the paper studies 1 to 8 s.
        stride_s: From one start to the next; None leaves neither gap nor overlap.

    Raises:
        InputError: A length that is not above 0.
    """
    stride_s = length_s if stride_s is None else stride_s
    for name, value in (("duration", duration_s), ("clip", length_s), ("stride", stride_s)):
        if not 0 < value < float("inf"):
            raise InputError(f"the {name} is {value:g} s; it must be above 0")
    count = max(1, ceil((duration_s - TOLERANCE_S) / stride_s))
    starts = [number * stride_s for number in range(count)]  # not summed: no rounding drift
    return tuple(
        Clip(number, start_s, _end_s(start_s + length_s, duration_s))
        for number, start_s in enumerate(starts)
    )


def _end_s(end_s: float, duration_s: float) -> float:
    return duration_s if end_s > duration_s - TOLERANCE_S else end_s


def coverage(captions: Sequence[Evidence], duration_s: float) -> Coverage:
    """Return what captions cover, from their own times: failed clips show as gaps.

    Raises:
        InputError: There are no captions.
    """
    if not captions:
        raise InputError("there are no captions; caption the video or give a file of captions")
    spans = sorted((c.start_s, c.end_s) for c in captions)
    ends = [0.0, *(end_s for _, end_s in spans)]
    starts = [*(start_s for start_s, _ in spans), duration_s]
    steps = [start_s - end_s for start_s, end_s in zip(starts, accumulate(ends, max), strict=True)]
    strides = [later[0] - earlier[0] for earlier, later in pairwise(spans)]
    length_s = median(end_s - start_s for start_s, end_s in spans)
    return Coverage(
        whole=all(abs(step) <= TOLERANCE_S for step in steps),
        length_s=length_s,
        stride_s=median(strides) if strides else length_s,
        gaps=sum(step > TOLERANCE_S for step in steps),
    )


def caption_line(caption: Evidence) -> str:
    """Return one prompt line: `[12-13 s] "text"`."""
    return f"[{format_span(Span(caption.start_s, caption.end_s))}] {quoted(caption.text)}"


def caption_lines(captions: Sequence[Evidence]) -> list[str]:
    """Return captions as prompt lines in time order; empty ones are left out."""
    told = (c for c in captions if c.text.strip())
    return [caption_line(c) for c in sorted(told, key=in_time)]


def in_time(evidence: Evidence) -> tuple[float, float, str]:
    """Sort key by time; the text breaks ties, so that the order of arrival does not matter."""
    return evidence.start_s, evidence.end_s, evidence.text
