"""Metrics of temporal grounding.

They are those of NExT-GQA (Xiao et al., CVPR 2024), which LLoVi reports: intersection over union,
intersection over prediction, and answers that are both correct and grounded.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from agent.answering.time_spans import Span, merge_spans
from tools.errors import InputError

Metric = Literal["first", "first-strict", "union"]


@dataclass(frozen=True, slots=True)
class Overlap:
    """Intersection over union, and over the predicted length; 0 to 1."""

    iou: float
    iop: float


@dataclass(frozen=True, slots=True)
class GroundedAnswer:
    """One answer and its grounding; `right` is None for a grounding without answer."""

    predicted: tuple[Span, ...]
    truth: tuple[Span, ...]
    right: bool | None = None


@dataclass(frozen=True, slots=True)
class GroundingScores:
    """Means over all questions, 0 to 1.

    Attributes:
        questions: Number of scored questions.
        miop: Mean intersection over prediction.
        iop_3: Share with an intersection over prediction of at least 0.3.
        iop_5: The same at 0.5.
        miou: Mean intersection over union.
        iou_3: Share with an intersection over union of at least 0.3.
        iou_5: The same at 0.5.
        acc_gqa: Share answered correctly with an intersection over prediction of at least 0.5.
    """

    questions: int
    miop: float
    iop_3: float
    iop_5: float
    miou: float
    iou_3: float
    iou_5: float
    acc_gqa: float


def first_overlap(
    predicted: Sequence[Span], truth: Sequence[Span], *, strict: bool = False
) -> Overlap:
    """Compare the first predicted span with each true one and take the best (NExT-GQA).

    Args:
        predicted: Only the first counts.
        truth: True spans; the two ratios may come from different ones, as in the published script.
        strict: A span of length 0 scores 0; the published script gives it an intersection over
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
    """Compare the union of predicted spans with the union of true spans."""
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
        metric: "first" reproduces the published script, "first-strict" scores a span of length 0
            as 0, "union" counts every span.

    Raises:
        InputError: There are no answers.
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
