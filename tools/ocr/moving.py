"""Join what moves or counts to one row: a ticker with its whole text, a clock with both its values.

Between `follow_rows` and the blocks: a line that slides by is read as another part of its text in
each picture, and a clock as another number, so that each would be many rows of a second.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from itertools import pairwise

from tools.ocr.rows import LABELS, SAME_ROW, Row
from tools.ocr.tracking import MAX_GAP_S, SAME_PLACE, UNFINISHED_S

SHARED_LETTERS = 8  # that two parts of a ticker have in common, at least
SHARED = 0.4  # of the shorter part
SLID = 0.02  # of the picture's width, between two parts of a ticker
PERIOD = 16  # letters: a shorter ticker that repeats itself is not noticed
COUNTED = 4  # readings of a clock; fewer may be a score
TO = " … "  # between the first and the last value of a clock

Joins = Callable[[Row, Row], bool]


def join_moving(rows: Sequence[Row]) -> list[Row]:
    """Join the parts of each ticker, and the readings of each clock.

    Args:
        rows: Rows ordered by the time they appear.

    Returns:
        The same, each ticker and each clock as one row over its whole span.
    """
    found: list[Row] = []
    for chain in _chains(rows, _slides_on):
        found.append(_whole_ticker(chain) if len(chain) > 1 else chain[0])
    joined: list[Row] = []
    for chain in _chains(sorted(found, key=_place), _counts_on):
        joined += [_whole_clock(chain)] if _is_clock(chain) else chain
    return sorted(joined, key=_place)


def _place(row: Row) -> tuple[float, float]:
    return row.start_s, row.box.top


def _chains(rows: Sequence[Row], joins: Joins) -> list[list[Row]]:
    """Return the rows in chains, each row following the one before."""
    chains: list[list[Row]] = []
    live: list[list[Row]] = []
    for row in rows:
        live = [chain for chain in live if row.start_s - chain[-1].end_s <= MAX_GAP_S]
        home = next((chain for chain in live if joins(chain[-1], row)), None)
        if home is None:
            home = []
            chains.append(home)
            live.append(home)
        home.append(row)
    return chains


def _slides_on(old: Row, new: Row) -> bool:
    """Return whether a row is what the same line shows after it slid to the left."""
    if new.start_s < old.end_s or old.box.overlap(new.came_at) < SAME_ROW:
        return False
    shared = _shared(old.text, new.text)
    if shared.size < max(SHARED_LETTERS, SHARED * min(len(old.text), len(new.text))):
        return False
    return _x(old, shared.a) - _x(new, shared.b, came=True) >= SLID


@dataclass(frozen=True, slots=True)
class _Shared:
    """The longest text that two texts share: where it begins in each, and its length."""

    a: int
    b: int
    size: int


def _shared(one: str, other: str) -> _Shared:
    return _Shared(*SequenceMatcher(None, one, other, autojunk=False).find_longest_match())


def _x(row: Row, letter: int, *, came: bool = False) -> float:
    """Return about where a letter of a row is, as a fraction of the picture's width."""
    box = row.came_at if came else row.box
    return box.left + (box.right - box.left) * letter / max(len(row.text), 1)


def _whole_ticker(chain: Sequence[Row]) -> Row:
    text = chain[0].text
    for old, new in pairwise(chain):
        shared = _shared(old.text, new.text)
        text = text[: len(text) - len(old.text) + shared.a] + new.text[shared.b :]
    return _over(chain, _once(text).replace(LABELS, " "))


def _once(text: str) -> str:
    """Return a text that repeats itself up to where it begins again."""
    ends = range(PERIOD, len(text) - SHARED_LETTERS + 1)
    return next((text[:end].rstrip() for end in ends if text.startswith(text[end:])), text)


def _over(chain: Sequence[Row], text: str) -> Row:
    """Return one row over the whole span of a chain."""
    first, last = chain[0], chain[-1]
    return replace(
        last,
        text=text,
        start_s=first.start_s,
        first_box=first.came_at,
        confidence=sum(row.confidence for row in chain) / len(chain),
        parts=(),
    )


def _counts_on(old: Row, new: Row) -> bool:
    """Return whether a row is the next reading of a clock: one word differs, in its numbers."""
    return (
        new.start_s >= old.end_s
        and max(old.end_s - old.start_s, new.end_s - new.start_s) <= UNFINISHED_S
        and old.box.overlap(new.came_at) >= SAME_PLACE
        and abs(old.box.left - new.came_at.left) <= old.box.height
        and _counting_word(old, new) is not None
    )


def _counting_word(old: Row, new: Row) -> int | None:
    """Return the number of the only word that differs, if it differs only in its numbers."""
    words, others = old.text.split(), new.text.split()
    if len(words) != len(others):
        return None
    differ = [n for n, (one, other) in enumerate(zip(words, others, strict=True)) if one != other]
    if len(differ) != 1:
        return None
    word = differ[0]
    same = re.sub(r"\d+", "#", words[word]) == re.sub(r"\d+", "#", others[word])
    return word if same else None


def _is_clock(chain: Sequence[Row]) -> bool:
    """Return whether readings are enough, of one and the same word, and only rise or only fall."""
    words = {_counting_word(old, new) for old, new in pairwise(chain)}
    if len(chain) < COUNTED or len(words) != 1:
        return False
    (word,) = words
    assert word is not None  # as `_counts_on` made the chain
    values = [[int(n) for n in re.findall(r"\d+", row.text.split()[word])] for row in chain]
    rises = {old < new for old, new in pairwise(values)}
    return len(rises) == 1 and all(old != new for old, new in pairwise(values))


def _whole_clock(chain: Sequence[Row]) -> Row:
    word = _counting_word(chain[0], chain[1])
    assert word is not None
    first, last = chain[0].text.split()[word], chain[-1].text.split()[word]
    words = chain[-1].text.split()
    words[word] = f"{first}{TO}{last}"
    parts = tuple(
        replace(part, text=part.text.replace(last, words[word], 1)) for part in chain[-1].parts
    )
    return replace(_over(chain, " ".join(words)), parts=parts)
