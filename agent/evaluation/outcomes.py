"""One item against its result: what came of it and what it is worth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from agent.answering.choice import parse_choice
from agent.answering.time_spans import Span, parse_intervals
from agent.answering.verification import NO_OPTION, NO_OPTION_SAMPLED
from agent.batch.records import Result
from agent.evaluation.task import Item, Metric
from agent.evaluation.temporal import first_overlap
from agent.evaluation.text_match import contains, has_substring
from agent.evaluation.wups import wups

UNPARSED = (NO_OPTION, NO_OPTION_SAMPLED)
Kind = Literal["answered", "abstained", "unparsed", "failed", "missing"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an item.

    Attributes:
        item: The item.
        kind: "answered"; "abstained"; "unparsed" if the answer chooses no option or names no time;
            "failed" with an error; "missing" if there is no result.
        value: Its worth, 0 to 1; 0 unless answered, or rightly abstained from.
        choice: Index of the chosen option.
        spans: Predicted time spans, of a metric that compares them.
        confidence: Of the answer, 0 to 1; None if nothing was measured.
        extra: Further worths of the same answer, by name (`wups@0.9`, `iop`, ...).
        result: The result; None if there is none.
    """

    item: Item
    kind: Kind
    value: float = 0.0
    choice: int | None = None
    spans: tuple[Span, ...] = ()
    confidence: float | None = None
    extra: Mapping[str, float] = field(default_factory=dict)
    result: Result | None = None


def outcome_of(item: Item, result: Result | None, metric: Metric) -> Outcome:
    """Judge the result of an item; an answer that cannot be parsed is never replaced by a guess."""
    if result is None:
        return Outcome(item, "missing")
    if result.status == "failed":
        return Outcome(item, "failed", result=result)
    if result.status == "abstained":
        unparsed = str(result.answer.get("reason", "")).startswith(UNPARSED)
        if unparsed and not item.truth.abstain:
            return Outcome(item, "unparsed", result=result)
        return Outcome(item, "abstained", float(item.truth.abstain), result=result)
    sure = _confidence(result)
    if metric in ("choice", "contains", "grounded choice") and item.question.options:
        return _chosen(item, result, sure, grounded=metric == "grounded choice")
    if metric == "spans":
        return _spans(item, result, sure)
    said = str(result.answer.get("answer", ""))
    if item.truth.abstain or not item.truth.texts:
        return Outcome(item, "answered", 0.0, confidence=sure, result=result)
    if metric == "wups":
        kind = item.categories.get("type", ("",))[0]
        worth = {f"wups@{t:g}": wups(said, item.truth.texts, kind, t) for t in (0.0, 0.9)}
        return Outcome(
            item, "answered", worth["wups@0"], confidence=sure, extra=worth, result=result
        )
    rule = has_substring if metric == "substring" else contains
    right = float(rule(said, item.truth.texts))
    return Outcome(item, "answered", right, confidence=sure, result=result)


def chosen_option(result: Result, options: Sequence[str]) -> int | None:
    """Return the index of the option that a result chose; None if it points to none."""
    choice = result.answer.get("choice")
    if choice is None:
        choice = parse_choice(str(result.answer.get("answer", "")), options).choice
    return int(choice) if choice is not None and 0 <= int(choice) < len(options) else None


def cited_spans(result: Result) -> tuple[Span, ...]:
    """Return the time spans of the cited evidence, the highest score first."""
    cited = sorted(result.answer.get("evidence", ()), key=lambda e: -_number(e.get("score")))
    return tuple(Span(float(e["start_s"]), float(e["end_s"])) for e in cited)


def _chosen(item: Item, result: Result, sure: float | None, *, grounded: bool) -> Outcome:
    options, truth = item.question.options, item.truth
    choice = chosen_option(result, options)
    if choice is None:
        return Outcome(item, "unparsed", result=result)
    right = choice == truth.choice
    spans = cited_spans(result) if truth.spans else ()
    extra: dict[str, float] = {}
    if truth.spans:
        extra["evidence recall"] = float(any(_meet(a, b) for a in spans for b in truth.spans))
    if grounded:
        overlap = first_overlap(spans, truth.spans, strict=True)
        extra["acc@gqa"] = float(right and overlap.iop >= 0.5)
        for name, ratio in (("iop", overlap.iop), ("iou", overlap.iou)):
            extra |= {f"m{name}": ratio, **_at_least(name, ratio, (0.3, 0.5))}
    return Outcome(item, "answered", float(right), choice, spans, sure, extra, result)


def _spans(item: Item, result: Result, sure: float | None) -> Outcome:
    """Compare the first time span of the answer, else that of the best cited evidence."""
    said = parse_intervals(str(result.answer.get("answer", ""))).spans
    spans = said or cited_spans(result)
    if not spans:
        return Outcome(item, "unparsed", result=result)
    iou = first_overlap(spans, item.truth.spans, strict=True).iou
    extra = _at_least("r1", iou, (0.3, 0.5, 0.7)) | {"from evidence": float(not said)}
    return Outcome(item, "answered", iou, None, spans[:1], sure, extra, result)


def _at_least(name: str, ratio: float, thresholds: Sequence[float]) -> dict[str, float]:
    return {f"{name}@{least:g}": float(ratio >= least) for least in thresholds}


def _meet(one: Span, other: Span) -> bool:
    return one.start_s <= other.end_s and other.start_s <= one.end_s


def _confidence(result: Result) -> float | None:
    measured = result.answer.get("measured_by", "none")
    return None if measured == "none" else _number(result.answer.get("confidence"))


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
