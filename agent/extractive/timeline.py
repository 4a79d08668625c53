"""Order and number: what follows from the times of the evidence, without a language model.

Small models can neither compare times nor count. Two kinds of question are therefore answered from
the time line itself, when it is clear; everything else goes on to the model.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from itertools import pairwise
from math import log

import numpy as np
import numpy.typing as npt

from agent.answering.evidence_lines import SEPARATOR
from agent.answering.option_match import match_option
from agent.answering.time_spans import GAP_S
from agent.extractive.deixis import SLACK_S
from agent.extractive.rank import COVERAGE_WEIGHT
from agent.models.embedding import SentenceEmbeddings
from agent.records import CandidateAnswer, Question
from agent.text import plain, stem, stems, words
from tools.evidence import Evidence

ORDER = re.compile(r"\b(?P<side>before|after)\b(?P<anchor>.+)", re.IGNORECASE)
NEAR = re.compile(r"\b(?:right|just|directly|immediately|next|comes|shortly)\b", re.IGNORECASE)
COUNT = re.compile(r"^how many\b(?P<what>[^?]+)", re.IGNORECASE)
MIN_GROUNDING = 0.35  # score below which a phrase is not found in the video
MIN_LABELS = 3  # that stand side by side; two are hardly a row of things
MOMENTS = 3  # that a question of number may mean
MIN_PAUSE_S = 4.0  # shorter pauses show nothing on purpose
SAME_TEXT = 0.6  # similarity of two readings of one moving text


@dataclass(frozen=True, slots=True)
class Timeline:
    """The speech and text records of a video in time order, and their unit vectors [n, dims]."""

    records: tuple[Evidence, ...]
    vectors: npt.NDArray[np.float32]

    def speech(self) -> "Timeline":
        """Return the records of speech alone."""
        rows = [i for i, e in enumerate(self.records) if e.kind == "speech"]
        return Timeline(tuple(self.records[i] for i in rows), self.vectors[rows])


@dataclass(frozen=True, slots=True)
class Reckoned:
    """An answer that follows from times, and the evidence in which it can be checked."""

    candidate: CandidateAnswer
    evidence: tuple[Evidence, ...]


def reckon(question: Question, timeline: Timeline, embedder: SentenceEmbeddings) -> Reckoned | None:
    """Answer a question of order or number, or return None where the time line is not clear.

    Args:
        question: The question.
        timeline: All that was said and shown.
        embedder: Finds the moment that a phrase means.
    """
    if not timeline.records:
        return None
    asked, counted = ORDER.search(question.text), COUNT.search(question.text)
    found: Reckoned | None = None
    if asked and NEAR.search(question.text):
        found = _order(question, asked["side"].lower(), asked["anchor"], timeline, embedder)
    elif counted:
        found = _count(question, counted["what"], timeline, embedder)
    return replace(found, evidence=_as_found(found.evidence, timeline)) if found else None


def _as_found(used: Sequence[Evidence], timeline: Timeline) -> tuple[Evidence, ...]:
    """Return the records that parts come from, each once, as their tools found them."""
    records = {record.id: record for record in timeline.records}
    return tuple(records[i] for i in dict.fromkeys(part.id for part in used))


def _order(
    question: Question,
    side: str,
    anchor: str,
    timeline: Timeline,
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
        if 2 * len(distances) <= len(question.options) or not later:
            return None
        choice = min(later, key=lambda i: later[i])
        evidence = [e for e in (moment, found[1 + choice]) if e]
        return _reckoned(question.options[choice], choice, f"what is nearest {side} it", evidence)
    same = [
        e for e in timeline.records if e.tool == moment.tool and plain(e.text) != plain(moment.text)
    ]
    if sign > 0:
        near = next((e for e in same if e.start_s >= moment.end_s - GAP_S), None)
    else:
        near = next((e for e in reversed(same) if e.end_s <= moment.start_s + GAP_S), None)
    return (
        _reckoned(near.text, None, f"what comes next {side} it", (moment, near)) if near else None
    )


def _count(
    question: Question, what: str, timeline: Timeline, embedder: SentenceEmbeddings
) -> Reckoned | None:
    """Count what is shown at the moment that the question means.

    These are the texts that appear while nobody speaks, or the labels that stand side by side.
    """
    speech = timeline.speech()
    things = set(map(stem, words(what)[:1]))
    for meant in _moments(question.text, speech, embedder)[:MOMENTS]:
        if things & stems(meant.text) and re.search(r"\d", plain(meant.text)):
            return None  # somebody says how many: the model reads it
        found = _pause(meant, speech.records, timeline.records)
        how = "texts that appear on screen meanwhile were counted"
        if not found:
            found = labels_beside(meant, timeline.records)
            how = "labels that stand side by side on screen meanwhile were counted"
        if found:
            break
    else:
        return None
    moment, shown = found[0], found[1:]
    number = str(len(shown))
    if not question.options:
        return _reckoned(number, None, how, (moment, *shown))
    match = match_option(number, question.options, embedder)
    if match.how != "mention" or match.choice is None:
        return None
    return _reckoned(question.options[match.choice], match.choice, how, (moment, *shown))


def _pause(
    meant: Evidence, speech: Sequence[Evidence], timeline: Sequence[Evidence]
) -> list[Evidence]:
    """Return the words before a pause in which several texts appear, and these texts.

    The pause follows the words that the question means, or the ones right after them.
    """
    place = speech.index(meant)
    for moment, after in pairwise(speech[place : place + 3]):
        shown = _appearances(timeline, moment.start_s, after.start_s)
        if after.start_s - moment.end_s >= MIN_PAUSE_S and len(shown) > 1:
            return [moment, *shown]
    return []


def labels_beside(meant: Evidence, timeline: Sequence[Evidence]) -> list[Evidence]:
    """Return the words and the most labels that stand side by side on screen meanwhile, or []."""
    rows = [
        (record, row["pieces"])
        for record in timeline
        for row in record.data.get("lines", ())
        if SEPARATOR in row["text"]
        and row["start_s"] <= meant.end_s + SLACK_S
        and row["end_s"] >= meant.start_s - SLACK_S
    ]
    record, pieces = max(rows, key=lambda found: len(found[1]), default=(meant, []))
    if len(pieces) < MIN_LABELS:
        return []
    return [meant, *(replace(record, text=piece["text"]) for piece in pieces)]


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
        again = [e for e in shown if _alike(e.text, row.text)]
        if all(row.start_s - e.end_s > GAP_S for e in again):
            shown.append(row)
        else:  # the same text, read a little differently
            shown[shown.index(again[-1])] = replace(again[-1], end_s=row.end_s)
    return shown


def _alike(first: str, second: str) -> bool:
    return SequenceMatcher(None, plain(first), plain(second)).ratio() > SAME_TEXT


def _ground(
    phrases: Sequence[str], timeline: Timeline, embedder: SentenceEmbeddings
) -> list[Evidence | None]:
    """Return for each phrase the record that means it, or None if none has most of its words."""
    return [next(iter(_moments(phrase, timeline, embedder, 0.5)), None) for phrase in phrases]


def _moments(
    phrase: str, timeline: Timeline, embedder: SentenceEmbeddings, least: float = 0.0
) -> list[Evidence]:
    """Return the records that may mean a phrase, best first; the earlier of equals.

    A rare word of the phrase counts for more than a frequent one; `least` is the share of them
    that a record must hold.
    """
    held = [stems(e.text) for e in timeline.records]
    weights = {
        word: log((len(held) + 1) / (0.5 + sum(word in texts for texts in held)))
        for word in stems(phrase)
    }
    whole = sum(weights.values()) or 1.0
    covered = [sum(w for word, w in weights.items() if word in texts) / whole for texts in held]
    cosines = timeline.vectors @ embedder.embed([phrase])[0]
    scores = [float(c) + COVERAGE_WEIGHT * share for c, share in zip(cosines, covered, strict=True)]
    order = sorted(range(len(held)), key=lambda i: (-scores[i], i))
    return [
        timeline.records[i] for i in order if scores[i] >= MIN_GROUNDING and covered[i] >= least
    ]


def _reckoned(text: str, choice: int | None, how: str, evidence: Sequence[Evidence]) -> Reckoned:
    candidate = CandidateAnswer(
        text,
        choice,
        confidence=0.6,
        measured_by="rule",
        reason=f"from the time line: {how}",
        accepted=True,
        needs_all=True,
    )
    return Reckoned(candidate, tuple(evidence))
