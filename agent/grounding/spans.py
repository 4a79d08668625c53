"""Intervals made of what was found: similar evidence, or pictures to which a model says yes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from agent.answering.evidence_lines import SEPARATOR, in_time_order
from agent.answering.grounding import KIND, interval
from agent.answering.time_spans import Span
from tools.evidence import Evidence

TOOL = "ground"
YES = 0.5  # probability from which a picture counts as a yes
MAX_TOLD = 5  # records quoted under an interval, the most similar ones


@dataclass(frozen=True, slots=True)
class Second:
    """A stretch of a video and what a model said of the picture in its middle.

    Attributes:
        start_s: Where it begins, in seconds.
        end_s: Where it ends.
        yes: Probability that the picture shows what is looked for: of the reply yes against no, or
            1 and 0 from a model that scores no replies; None if its reply was neither.
    """

    start_s: float
    end_s: float
    yes: float | None


def similar(evidence: Sequence[Evidence], least: float, share: float) -> tuple[Evidence, ...]:
    """Return the records that are nearly as similar to the description as the best one.

    Args:
        evidence: With the cosine to the description as the score.
        least: No record below this is similar.
        share: Of the best record's score that a record needs.
    """
    best = max((one.score for one in evidence), default=0.0)
    return tuple(one for one in evidence if one.score >= max(least, share * best))


def evidence_intervals(evidence: Sequence[Evidence], gap_s: float) -> tuple[Evidence, ...]:
    """Join records to intervals, the surest first; the confidence is that of the best record.

    Args:
        evidence: Similar records.
        gap_s: Records of one interval are at most this far apart, in seconds.
    """
    groups: list[list[Evidence]] = []
    end_s = 0.0
    for one in in_time_order(evidence):
        if groups and one.start_s - end_s <= gap_s:
            groups[-1].append(one)
            end_s = max(end_s, one.end_s)
        else:
            groups.append([one])
            end_s = one.end_s
    return surest_first([_joined(group) for group in groups])


def _joined(records: Sequence[Evidence]) -> Evidence:
    best = sorted(records, key=lambda one: -one.score)[:MAX_TOLD]
    return Evidence(
        TOOL,
        KIND,
        min(one.start_s for one in records),
        max(one.end_s for one in records),
        SEPARATOR.join(dict.fromkeys(one.text for one in in_time_order(best))),
        score=best[0].score,
        data={"records": [one.id for one in in_time_order(records)]},
    )


def second_intervals(
    seconds: Sequence[Second], gap_s: float, notes: Sequence[Evidence] = ()
) -> tuple[Evidence, ...]:
    """Join the stretches with a yes to intervals, the surest first.

    The confidence is the mean probability of a yes over all pictures of the interval, those between
    two yeses included; a reply that is neither counts as a no.

    Args:
        seconds: In time order.
        gap_s: Stretches of one interval are at most this far apart, in seconds.
        notes: Similar evidence; what lies inside an interval is quoted with it.
    """
    spans: list[Span] = []
    for one in seconds:
        if (one.yes or 0.0) < YES:
            continue
        if spans and one.start_s - spans[-1].end_s <= gap_s:
            spans[-1] = Span(spans[-1].start_s, one.end_s)
        else:
            spans.append(Span(one.start_s, one.end_s))
    return surest_first([_seen(span, seconds, notes) for span in spans])


def _seen(span: Span, seconds: Sequence[Second], notes: Sequence[Evidence]) -> Evidence:
    inside = [s for s in seconds if span.start_s <= s.start_s and s.end_s <= span.end_s]
    chances = [s.yes or 0.0 for s in inside]
    yes = sum(chance >= YES for chance in chances)
    told = [n for n in notes if n.start_s <= span.end_s and n.end_s >= span.start_s][:MAX_TOLD]
    said = f"the model says yes to {yes} of {len(inside)} pictures"
    return Evidence(
        TOOL,
        KIND,
        span.start_s,
        span.end_s,
        SEPARATOR.join([said, *(one.text for one in told)]),
        score=round(sum(chances) / len(chances), 4),
        data={"records": [one.id for one in told], "yes": [s.yes for s in inside]},
    )


def read_intervals(
    spans: Sequence[Span], notes: Sequence[Evidence], seconds: Sequence[Second]
) -> tuple[Evidence, ...]:
    """Return the spans that a model read out of notes, in its order, as evidence.

    It gives no confidence: it is that of the pictures inside where there are any, else the
    similarity of the best note inside, 0 where there is none.
    """
    return tuple(_read(span, notes, seconds) for span in spans)


def _read(span: Span, notes: Sequence[Evidence], seconds: Sequence[Second]) -> Evidence:
    within = [s for s in seconds if s.start_s < span.end_s and s.end_s > span.start_s]
    if within:
        seen = _seen(Span(within[0].start_s, within[-1].end_s), seconds, notes)
        return replace(seen, start_s=span.start_s, end_s=span.end_s)
    inside = [n for n in notes if n.start_s <= span.end_s and n.end_s >= span.start_s]
    score = max((note.score for note in inside), default=0.0)
    return replace(interval(span, notes, TOOL), score=score)


def surest_first(intervals: Sequence[Evidence]) -> tuple[Evidence, ...]:
    """Return intervals by falling confidence; of equal ones the earlier first."""
    return tuple(sorted(intervals, key=lambda one: (-one.score, one.start_s)))
