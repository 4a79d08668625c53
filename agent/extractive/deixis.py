"""Pointing words: "the third thing on the menu" is looked up on the screen.

Speech that points at a list, or at one of the things that stand side by side, gets the text that it
means, if it was on screen at that time.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from agent.answering.evidence_lines import SEPARATOR
from agent.records import Excerpt
from tools.evidence import Evidence

ORDINALS = {"first": 0, "second": 1, "third": 2, "fourth": 3, "fifth": 4, "sixth": 5, "last": -1}
POINTING = re.compile(
    rf"\bthe (?P<which>{'|'.join(ORDINALS)}) (?:\w+ ){{0,3}}?"
    r"(?:on (?:the|this|my) (?:board|menu|list|screen|slide|sign|table|page)"
    r"|line|row|point|bullet|item|entry|column)\b",
    re.IGNORECASE,
)
PLACED = re.compile(
    r"\b(?:in|on|at|to) the (?:very |far |outer )?(?P<place>middle|centre|center|left|right)\b",
    re.IGNORECASE,
)
PRONOUN = re.compile(r"(?:she|he|it|they|this|that|these|those)\b", re.IGNORECASE)
MIN_ROWS = 3  # fewer are no list
SLACK_S = 2.0  # a list may appear shortly after the words
SAME_SUBJECT_S = 5.0  # pause after which a pronoun hardly means what was said before


def with_subject(excerpt: Excerpt, speech: Sequence[Evidence]) -> Excerpt:
    """Return speech that begins with a pronoun with the sentence before it beside it.

    Args:
        excerpt: Of a record of any kind.
        speech: All speech records of the video, in time order.
    """
    record = excerpt.record
    if record.kind != "speech" or not PRONOUN.match(excerpt.text):
        return excerpt
    before = [e for e in speech if e.tool == record.tool and e.end_s <= record.start_s + 0.1]
    if not before or record.start_s - before[-1].end_s > SAME_SUBJECT_S:
        return excerpt
    text = f"{before[-1].text} {excerpt.text}"
    return replace(excerpt, text=text, beside=(*excerpt.beside, before[-1]))


def resolve_pointing(excerpt: Excerpt, screen: Sequence[Evidence]) -> Excerpt:
    """Return speech with the on-screen text that it points at; what is no speech as it is.

    Args:
        excerpt: Of a record of any kind.
        screen: All text records of the video, with their rows in `data["lines"]`.
    """
    record = excerpt.record
    if record.kind != "speech":
        return excerpt
    if found := POINTING.search(excerpt.text):
        rows = list_on_screen(screen, record.start_s, record.end_s)
        meant = _at(ORDINALS[found["which"].lower()], [row["text"] for row in rows])
    elif found := PLACED.search(excerpt.text):
        labels = labels_on_screen(screen, record.start_s, record.end_s)
        place = found["place"].lower()
        index = {"left": 0, "right": -1}.get(place, len(labels) // 2)
        meant = _at(index, labels if len(labels) % 2 or place in ("left", "right") else [])
    else:
        return excerpt
    if meant is None:
        return excerpt
    shown = [e for e in screen if any(_holds(row, meant, record) for row in _lines(e))]
    text = f"{excerpt.text} (On screen: {meant})"
    return replace(excerpt, text=text, beside=(*excerpt.beside, *shown[:1]))


def list_on_screen(
    screen: Sequence[Evidence], start_s: float, end_s: float
) -> list[Mapping[str, Any]]:
    """Return the rows of the list that is on screen, top to bottom: the longest column.

    Where several rows hold a number (a price, a time), only these count: the others are titles.
    """
    rows = sorted(_rows(screen, start_s, end_s), key=lambda row: row["box"][1])
    numbered = [row for row in rows if re.search(r"\d", row["text"])]
    listed = numbered if len(numbered) >= MIN_ROWS else rows
    columns = [
        [row for row in listed if row["box"][0] < at["box"][2] and at["box"][0] < row["box"][2]]
        for at in listed
    ]
    return max(columns, key=len, default=[])


def labels_on_screen(screen: Sequence[Evidence], start_s: float, end_s: float) -> list[str]:
    """Return the labels that stand side by side on screen, from left to right: the longest row.

    Of a label in several parts, as a name over a year, it is the first.
    """
    rows = [row for row in _rows(screen, start_s, end_s) if SEPARATOR in row["text"]]
    pieces: Sequence[Mapping[str, Any]] = max((row["pieces"] for row in rows), key=len, default=[])
    return [piece.get("parts", [piece["text"]])[0] for piece in pieces]


def _rows(screen: Sequence[Evidence], start_s: float, end_s: float) -> list[Mapping[str, Any]]:
    return [
        row for record in screen for row in _lines(record) if _is_on_screen(row, start_s, end_s)
    ]


def _lines(record: Evidence) -> Sequence[Mapping[str, Any]]:
    rows: Sequence[Mapping[str, Any]] = record.data.get("lines", ())
    return rows


def _is_on_screen(row: Mapping[str, Any], start_s: float, end_s: float) -> bool:
    return bool(row["start_s"] <= start_s + SLACK_S and row["end_s"] >= end_s - SLACK_S)


def _holds(row: Mapping[str, Any], text: str, said: Evidence) -> bool:
    return text in row["text"] and _is_on_screen(row, said.start_s, said.end_s)


def _at(index: int, texts: Sequence[str]) -> str | None:
    return texts[index] if index < len(texts) >= MIN_ROWS else None
