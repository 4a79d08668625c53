"""Time spans: parsed from a reply, clipped to the video, merged."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

from agent.answering.replies import tidy

GAP_S = 1.5  # seconds; after a longer gap the same thing counts as a new appearance

_DASH = "\N{EN DASH}\N{EM DASH}\N{MINUS SIGN}~-"
_TIME = (
    r"(?<![\w.:])(-?\d{1,9}(?::\d{1,2}){0,2}(?:\.\d+)?)(?![\d:])\s*"
    r"(seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h)?(?![a-z0-9])"
)
_BRACKETED = re.compile(
    rf"[\[(]\s*{_TIME}\s*(?:,|;|to|and|until|[{_DASH}])\s*{_TIME}\s*[\])]", re.I
)
_LABELLED = re.compile(
    rf"start\w*[\"']?\s*[:=]?\s*[\"']?{_TIME}[\"']?\W+(?:and )?(?:the )?end\w*[\"']?\s*[:=]?"
    rf"\s*[\"']?{_TIME}",
    re.I,
)
_WRITTEN = re.compile(
    rf"(?:between\s+{_TIME}\s+and|{_TIME}\s*(?:to|until|till|through|[{_DASH}]))\s*{_TIME}", re.I
)
_UNIT_S = {"s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True)
class Span:
    """From `start_s` to `end_s`, in seconds."""

    start_s: float
    end_s: float

    @property
    def length_s(self) -> float:
        """Duration in seconds."""
        return self.end_s - self.start_s


@dataclass(frozen=True, slots=True)
class Intervals:
    """The time spans of a reply, in its order; `reason` says why there are none."""

    spans: tuple[Span, ...] = ()
    reason: str = ""


def parse_intervals(
    reply: str | None, duration_s: float | None = None, index_s: float = 1.0
) -> Intervals:
    """Parse the time spans of a reply; never an exception, never an invented span.

    Args:
        reply: The model's reply: `[5, 19]`, `1:05 to 1:20`, `from 5.5 to 7 s and 30-40 s`.
        duration_s: Spans are clipped to the video; those outside it are dropped.
        index_s: Seconds per unit of a bare number, where the model was given frame numbers.
    """
    text = tidy(reply)
    if not text:
        return Intervals(reason="the reply is empty")
    found = next(
        (pairs for way in (_BRACKETED, _LABELLED, _WRITTEN) if (pairs := way.findall(text))), []
    )
    spans = [span for groups in found if (span := _span(groups, index_s))]
    inside = [clipped for span in spans if (clipped := clip_span(span, duration_s))]
    if not spans:
        return Intervals(reason="the reply names no interval")
    if not inside:
        return Intervals(reason=f"every interval lies outside the video of {duration_s:g} s")
    return Intervals(tuple(dict.fromkeys(inside)))


def clip_span(span: Span, duration_s: float | None) -> Span | None:
    """Return the part of a span within the video, or None."""
    end_s = span.end_s if duration_s is None else min(span.end_s, duration_s)
    start_s = max(0.0, span.start_s)
    return Span(start_s, end_s) if start_s <= end_s else None


def _span(groups: Sequence[str], index_s: float) -> Span | None:
    """Return the span of two matched times with their units; reversed ends are swapped."""
    first, second = (pair for pair in zip(groups[::2], groups[1::2], strict=True) if pair[0])
    unit = first[1] or (second[1] if ":" not in first[0] else "")  # "5 to 10 minutes"
    times = sorted((_seconds(first[0], unit, index_s), _seconds(*second, index_s)))
    return Span(*times) if all(map(isfinite, times)) else None


def _seconds(number: str, unit: str, index_s: float) -> float:
    if ":" in number:
        total = 0.0
        for part in number.split(":"):
            total = total * 60 + float(part)
        return total
    return float(number) * (_UNIT_S[unit[0].lower()] if unit else index_s)


def format_span(span: Span) -> str:
    """Return a span as prompts and replies write it, in seconds: `12-13.5 s`, `12 s`."""
    start, end = (f"{round(time_s, 2):.10g}" for time_s in (span.start_s, span.end_s))
    return f"{start} s" if start == end else f"{start}-{end} s"


def merge_spans(spans: Sequence[Span]) -> tuple[Span, ...]:
    """Return the union of the spans, without overlaps, in time order."""
    merged: list[Span] = []
    for span in sorted(spans, key=lambda s: (s.start_s, s.end_s)):
        if merged and span.start_s <= merged[-1].end_s:
            merged[-1] = Span(merged[-1].start_s, max(merged[-1].end_s, span.end_s))
        else:
            merged.append(span)
    return tuple(merged)
