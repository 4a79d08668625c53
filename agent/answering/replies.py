"""What models wrap their replies in, and replies of few kinds: an object, yes or no, a rating."""

import ast
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any

_TAG = r"(?:think|thinking|thought|reasoning)"
_OPENED = re.compile(rf"[<\[]{_TAG}[>\]]", re.I)
_CLOSED = re.compile(rf"[<\[]/{_TAG}[>\]]", re.I)
_ANSWER_TAG = re.compile(r"<answer>(.*?)(?:</answer>|$)", re.I | re.S)


def tidy(reply: str | None) -> str:
    """Return a reply without its reasoning; wide letters and brackets become plain ones."""
    written = (reply or "").encode("utf-8", "ignore").decode()  # half of a cut emoji
    text = _without_thoughts(unicodedata.normalize("NFKC", written))
    answers = _ANSWER_TAG.findall(text)
    return (
        (answers[-1] if answers else text).replace("\N{RIGHT SINGLE QUOTATION MARK}", "'").strip()
    )


def _without_thoughts(text: str) -> str:
    """Return what stands behind the reasoning, or before it; an unfinished one ends the text.

    Where the prompt itself opened the reasoning, the reply only closes it.
    """
    behind = _OPENED.split(_CLOSED.split(text)[-1])[0]
    before = _OPENED.split(text)[0] if _OPENED.search(text) else ""
    return behind if behind.strip() else before


def parse_json(reply: str) -> Mapping[str, Any] | None:
    """Return the last JSON object of a reply; fences, single quotes, commas at the end are fine."""
    return next(
        (fields for piece in _braced(reply) if (fields := _fields(piece)) is not None), None
    )


def _braced(text: str) -> Iterator[str]:
    """Yield the outermost {...} of a text, the last first."""
    depth, start, pieces = 0, 0, []
    for place, character in enumerate(text):
        if character == "{":
            start = start if depth else place
            depth += 1
        elif character == "}" and depth:
            depth -= 1
            if not depth:
                pieces.append(text[start : place + 1])
    yield from reversed(pieces)


def _fields(piece: str) -> Mapping[str, Any] | None:
    plain = re.sub(r",\s*([}\]])", r"\1", piece)
    try:
        value = json.loads(plain)
    except (json.JSONDecodeError, RecursionError):
        try:
            value = ast.literal_eval(plain)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            return None
    return value if isinstance(value, dict) else None


def parse_yes_no(reply: str | None) -> bool | None:
    """Return whether a reply begins with yes or no, or None; reasoning is passed over."""
    found = re.match(r"\W*(?:answer\W+)?(yes|no)\b", tidy(reply), re.I)
    return found[1].lower() == "yes" if found else None


def parse_rating(reply: str | None, low: int, high: int) -> int | None:
    """Return the one whole number from `low` to `high` in a reply, or None."""
    numbers = {int(n) for n in re.findall(r"(?<![\w.])\d{1,9}(?![\w]|\.\d)", tidy(reply))}
    inside = [n for n in numbers if low <= n <= high]
    return inside[0] if len(inside) == 1 else None
