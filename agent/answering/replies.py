"""Cleaning of replies, and parsers for simple ones: a JSON object, yes or no, a rating."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

import json_repair

_TAG = r"(?:think|thinking|thought|reasoning)"
_OPENED = re.compile(rf"[<\[]{_TAG}[>\]]", re.I)
_CLOSED = re.compile(rf"[<\[]/{_TAG}[>\]]", re.I)
_CURLY = str.maketrans("\N{LEFT DOUBLE QUOTATION MARK}\N{RIGHT DOUBLE QUOTATION MARK}", '""')
_ANSWER_TAG = re.compile(r"<answer>(.*?)(?:</answer>|$)", re.I | re.S)


def tidy(reply: str | None) -> str:
    """Return a reply without its reasoning, NFKC-normalised (full-width letters become plain)."""
    written = (reply or "").encode("utf-8", "ignore").decode()  # drops half of a cut emoji
    text = _without_thoughts(unicodedata.normalize("NFKC", written))
    answers = _ANSWER_TAG.findall(text)
    return (
        (answers[-1] if answers else text).replace("\N{RIGHT SINGLE QUOTATION MARK}", "'").strip()
    )


def _without_thoughts(text: str) -> str:
    """Return the text after the reasoning block, or before it; an unclosed block ends the text.

    Where the chat template opened the block, the reply only closes it.
    """
    behind = _OPENED.split(_CLOSED.split(text)[-1])[0]
    before = _OPENED.split(text)[0] if _OPENED.search(text) else ""
    return behind if behind.strip() else before


def json_objects(text: str) -> list[Mapping[str, Any]]:
    """Return the outermost JSON objects of a text in order; bad JSON is repaired.

    Fences, single quotes, bare words, stray or missing commas and a missing end are tolerated.
    """
    start = text.find("{")
    if start < 0:
        return []
    try:
        found = json_repair.loads(text[start:].translate(_CURLY))
    except (ValueError, RecursionError):  # nested deeper than any reply
        return []
    return [one for one in (found if isinstance(found, list) else [found]) if isinstance(one, dict)]


def parse_yes_no(reply: str | None) -> bool | None:
    """Return whether a reply begins with yes or no, else None; reasoning is skipped."""
    found = re.match(r"\W*(?:answer\W+)?(yes|no)\b", tidy(reply), re.I)
    return found[1].lower() == "yes" if found else None


def parse_rating(reply: str | None, low: int, high: int) -> int | None:
    """Return the one whole number from `low` to `high` in a reply, or None."""
    numbers = {int(n) for n in re.findall(r"(?<![\w.])\d{1,9}(?![\w]|\.\d)", tidy(reply))}
    inside = [n for n in numbers if low <= n <= high]
    return inside[0] if len(inside) == 1 else None
