"""Pointing words: "the third thing on the menu" is looked up on the screen.

Speech that points at a list gets the row that it means, if a list was on screen at that time.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tools.evidence import Evidence

ORDINALS = {"first": 0, "second": 1, "third": 2, "fourth": 3, "fifth": 4, "sixth": 5, "last": -1}
POINTING = re.compile(
    rf"\bthe (?P<which>{'|'.join(ORDINALS)}) (?:\w+ ){{0,3}}?"
    r"(?:on (?:the|this|my) (?:board|menu|list|screen|slide|sign|table|page)"
    r"|line|row|point|bullet|item|entry|column)\b",
    re.IGNORECASE,
)
MIN_ROWS = 3  # fewer are no list
SLACK_S = 2.0  # a list may appear shortly after the words


def resolve_pointing(evidence: Evidence, screen: Sequence[Evidence]) -> Evidence:
    """Return speech with the on-screen row that it points at; other evidence as it is.

    Args:
        evidence: A record of any kind.
        screen: All text records of the video, with their rows in `data["lines"]`.
    """
    found = POINTING.search(evidence.text) if evidence.kind == "speech" else None
    if not found:
        return evidence
    rows = list_on_screen(screen, evidence.start_s, evidence.end_s)
    index = ORDINALS[found["which"].lower()]
    if len(rows) < MIN_ROWS or index >= len(rows):
        return evidence
    row = rows[index]["text"]
    data = {**evidence.data, "points_at": row}
    return replace(evidence, text=f"{evidence.text} (On screen: {row})", data=data)


def list_on_screen(
    screen: Sequence[Evidence], start_s: float, end_s: float
) -> list[Mapping[str, Any]]:
    """Return the rows of the list that is on screen, top to bottom.

    Where several rows hold a number (a price, a time), only these count: the others are titles.
    """
    rows = [
        row
        for record in screen
        for row in record.data.get("lines", ())
        if row["start_s"] <= start_s + SLACK_S and row["end_s"] >= end_s - SLACK_S
    ]
    rows.sort(key=lambda row: row["box"][1])
    numbered = [row for row in rows if re.search(r"\d", row["text"])]
    return numbered if len(numbered) >= MIN_ROWS else rows
