"""Spans of time: read from a reply, clipped to the video, and scored against the truth.

The scores are those of NExT-GQA (Xiao et al., CVPR 2024), which LLoVi reports: intersection over
union, intersection over prediction, and answers that are both right and grounded.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Literal

from agent.replies import tidy
from tools.errors import InputError

GAP_S = 1.5  # the same thing again after a longer gap has appeared again

Metric = Literal["first", "first-strict", "union"]

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
    """The spans that a reply names, in its order; `reason` says why there are none."""

    spans: tuple[Span, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Overlap:
    """Intersection over union, and over the predicted length; 0 to 1."""

    iou: float
    iop: float


@dataclass(frozen=True, slots=True)
class GroundedAnswer:
    """What was answered to one question and where; `right` is None for a grounding without one."""

    predicted: tuple[Span, ...]
    truth: tuple[Span, ...]
    right: bool | None = None


@dataclass(frozen=True, slots=True)
class GroundingScores:
    """Means over all questions, 0 to 1.

    Attributes:
        questions: How many were scored.
        miop: Mean intersection over prediction.
        iop_3: Share with an intersection over prediction of at least 0.3.
        iop_5: The same at 0.5.
        miou: Mean intersection over union.
        iou_3: Share with an intersection over union of at least 0.3.
        iou_5: The same at 0.5.
        acc_gqa: Share answered rightly with an intersection over prediction of at least 0.5.
    """

    questions: int
    miop: float
    iop_3: float
    iop_5: float
    miou: float
    iou_3: float
    iou_5: float
    acc_gqa: float


def parse_intervals(
    reply: str | None, duration_s: float | None = None, index_s: float = 1.0
) -> Intervals:
    """Return the spans of time that a reply names; never an exception, never an invented span.

    Args:
        reply: What the model wrote: `[5, 19]`, `1:05 to 1:20`, `from 5.5 to 7 s and 30-40 s`.
        duration_s: Spans are clipped to the video; those beside it are dropped.
        index_s: Seconds that a bare number stands for, where the model was given frame numbers.
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
    """Return the part of a span that lies within the video, or None."""
    end_s = span.end_s if duration_s is None else min(span.end_s, duration_s)
    start_s = max(0.0, span.start_s)
    return Span(start_s, end_s) if start_s <= end_s else None


def _span(groups: Sequence[str], index_s: float) -> Span | None:
    """Return the span of two matched times with their units; a reversed one is turned round."""
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
    """Return the same stretches of time without overlaps, in time order."""
    merged: list[Span] = []
    for span in sorted(spans, key=lambda s: (s.start_s, s.end_s)):
        if merged and span.start_s <= merged[-1].end_s:
            merged[-1] = Span(merged[-1].start_s, max(merged[-1].end_s, span.end_s))
        else:
            merged.append(span)
    return tuple(merged)


def first_overlap(
    predicted: Sequence[Span], truth: Sequence[Span], *, strict: bool = False
) -> Overlap:
    """Compare the first predicted span with each true one and keep the best (NExT-GQA).

    Args:
        predicted: Only the first counts.
        truth: True spans; the two ratios may come from different ones, as in the published script.
        strict: A span without length scores 0; the published script gives it an intersection over
            prediction of 1 wherever it lies inside a true span.
    """
    pairs = [_pair(predicted[0], true, strict) for true in truth] if predicted else []
    return Overlap(
        max((o.iou for o in pairs), default=0.0), max((o.iop for o in pairs), default=0.0)
    )


def _pair(span: Span, true: Span, strict: bool) -> Overlap:
    if span.length_s == 0:
        inside = true.start_s <= span.start_s <= true.end_s
        return Overlap(0.0, float(inside and not strict))
    common = max(0.0, min(span.end_s, true.end_s) - max(span.start_s, true.start_s))
    whole = max(span.end_s, true.end_s) - min(span.start_s, true.start_s)
    return Overlap(common / whole, common / span.length_s)


def union_overlap(predicted: Sequence[Span], truth: Sequence[Span]) -> Overlap:
    """Compare all predicted time with all true time; what overlaps counts once."""
    ours, theirs = merge_spans(predicted), merge_spans(truth)
    common = sum(
        max(0.0, min(a.end_s, b.end_s) - max(a.start_s, b.start_s)) for a in ours for b in theirs
    )
    said, true = (sum(s.length_s for s in spans) for spans in (ours, theirs))
    whole = said + true - common
    return Overlap(common / whole if whole else 0.0, common / said if said else 0.0)


def score_grounding(
    answers: Sequence[GroundedAnswer], metric: Metric = "first-strict"
) -> GroundingScores:
    """Score grounded answers.

    Args:
        answers: One for each question; a question without a predicted span scores 0.
        metric: "first" reproduces the published script, "first-strict" gives a span without length
            nothing, "union" counts every span.

    Raises:
        InputError: There is nothing to score.
    """
    if not answers:
        raise InputError("there are no grounded answers to score; give at least one")
    overlap = _METRICS[metric]
    overlaps = [overlap(a.predicted, a.truth) for a in answers]
    iops, ious = [o.iop for o in overlaps], [o.iou for o in overlaps]
    right = [bool(a.right) and iop >= 0.5 for a, iop in zip(answers, iops, strict=True)]
    return GroundingScores(
        questions=len(answers),
        miop=_mean(iops),
        iop_3=_mean([iop >= 0.3 for iop in iops]),
        iop_5=_mean([iop >= 0.5 for iop in iops]),
        miou=_mean(ious),
        iou_3=_mean([iou >= 0.3 for iou in ious]),
        iou_5=_mean([iou >= 0.5 for iou in ious]),
        acc_gqa=_mean(right),
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


_METRICS: dict[Metric, Callable[[Sequence[Span], Sequence[Span]], Overlap]] = {
    "first": first_overlap,
    "first-strict": lambda predicted, truth: first_overlap(predicted, truth, strict=True),
    "union": union_overlap,
}
