"""Order and number: what follows from the times of the evidence, without a language model.

Small models can neither compare times nor count. Two kinds of question are therefore answered from
the time line itself, when it is clear; everything else goes on to the model.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from agent.embedding import SentenceEmbeddings
from agent.options import match_option
from agent.state import Draft, Question
from agent.text import mentions, plain, words
from tools.evidence import Evidence

ORDER = re.compile(r"\b(?P<side>before|after)\b(?P<anchor>.+)", re.IGNORECASE)
NEAR = re.compile(r"\b(?:right|just|directly|immediately|next|comes|shortly)\b", re.IGNORECASE)
COUNT = re.compile(r"^how many\b(?P<what>[^?]+)", re.IGNORECASE)
MIN_GROUNDING = 0.35  # cosine below which a phrase is not found in the video
GAP_S = 1.5  # the same text again after a longer gap has appeared again


@dataclass(frozen=True, slots=True)
class Reckoned:
    """An answer that follows from times, and the evidence in which it can be checked."""

    draft: Draft
    evidence: tuple[Evidence, ...]


def reckon(
    question: Question, timeline: Sequence[Evidence], embedder: SentenceEmbeddings
) -> Reckoned | None:
    """Answer a question of order or number, or return None where the time line is not clear.

    Args:
        question: The question.
        timeline: All speech and text records of the video, in time order.
        embedder: Finds the moment that a phrase means.
    """
    if not timeline:
        return None
    asked = ORDER.search(question.text)
    if asked and NEAR.search(question.text):
        return _order(question, asked["side"].lower(), asked["anchor"], timeline, embedder)
    counted = COUNT.search(question.text)
    return _count(question, counted["what"], timeline, embedder) if counted else None


def _order(
    question: Question,
    side: str,
    anchor: str,
    timeline: Sequence[Evidence],
    embedder: SentenceEmbeddings,
) -> Reckoned | None:
    """Take what comes next to a moment: an option, or the next text of the same tool."""
    found = _ground([anchor, *question.options], timeline, embedder)
    if found[0] is None:
        return None
    moment, sign = found[0], 1 if side == "after" else -1
    if question.options:
        distances = {
            i: sign * (at.start_s - moment.start_s) for i, at in enumerate(found[1:]) if at
        }
        later = {i: distance for i, distance in distances.items() if distance > 0}
        if len(distances) < len(question.options) or not later:
            return None
        choice = min(later, key=lambda i: later[i])
        evidence = [e for e in (moment, found[1 + choice]) if e]
        return _reckoned(question.options[choice], choice, f"what is nearest {side} it", evidence)
    same = [e for e in timeline if e.tool == moment.tool and plain(e.text) != plain(moment.text)]
    if sign > 0:
        near = next((e for e in same if e.start_s >= moment.end_s - GAP_S), None)
    else:
        near = next((e for e in reversed(same) if e.end_s <= moment.start_s + GAP_S), None)
    return (
        _reckoned(near.text, None, f"what comes next {side} it", (moment, near)) if near else None
    )


def _count(
    question: Question, what: str, timeline: Sequence[Evidence], embedder: SentenceEmbeddings
) -> Reckoned | None:
    """Count the texts that appear while nobody speaks at the moment that the question means."""
    speech = [e for e in timeline if e.kind == "speech"]
    (moment,) = _ground([question.text], speech, embedder)
    if moment is None or re.search(r"\d", plain(moment.text)):
        return None  # somebody says a number: the model reads it
    end_s = min((e.start_s for e in speech if e.start_s > moment.start_s), default=moment.end_s)
    shown = _appearances(timeline, moment.start_s, end_s)
    if len(shown) < 2:
        return None
    number, how = str(len(shown)), "texts that appear on screen meanwhile were counted"
    if not question.options:
        return _reckoned(number, None, how, (moment, *shown))
    match = match_option(number, question.options, embedder)
    if match.how != "mention" or match.choice is None:
        return None
    return _reckoned(question.options[match.choice], match.choice, how, (moment, *shown))


def _appearances(timeline: Sequence[Evidence], start_s: float, end_s: float) -> list[Evidence]:
    """Return the texts that come up in a span, one for each time that they come up."""
    rows = [
        replace(record, text=row["text"], start_s=row["start_s"], end_s=row["end_s"])
        for record in timeline
        for row in record.data.get("lines", ())
        if start_s <= row["start_s"] < end_s
    ]
    shown: list[Evidence] = []
    for row in sorted(rows, key=lambda e: (e.start_s, -len(e.text))):
        again = [e for e in shown if mentions(e.text, row.text) or mentions(row.text, e.text)]
        if all(row.start_s - e.end_s > GAP_S for e in again):
            shown.append(row)
    return shown


def _ground(
    phrases: Sequence[str], timeline: Sequence[Evidence], embedder: SentenceEmbeddings
) -> list[Evidence | None]:
    """Return for each phrase the record that means it, or None if there is none."""
    vectors = embedder.embed([*phrases, *(e.text for e in timeline)])
    cosines = vectors[: len(phrases)] @ vectors[len(phrases) :].T  # [phrases, records]
    found: list[Evidence | None] = []
    for phrase, row in zip(phrases, cosines, strict=True):
        asked = set(words(phrase))
        scores = [
            float(cosine) + 0.3 * len(asked & set(words(e.text))) / max(1, len(asked))
            for cosine, e in zip(row, timeline, strict=True)
        ]
        best = max(range(len(timeline)), key=lambda i: (scores[i], -i))
        found.append(timeline[best] if scores[best] >= MIN_GROUNDING else None)
    return found


def _reckoned(text: str, choice: int | None, how: str, evidence: Sequence[Evidence]) -> Reckoned:
    draft = Draft(text, choice, confidence=0.6, reason=f"from the time line: {how}", accepted=True)
    return Reckoned(draft, tuple(evidence))
