"""Remove rows that are partial readings of another row: text sliding in, blurred, half covered.

A sign that moves into the picture reads "LD", "GOLD", "RIGOLD" before it reads "MARIGOLD"; as
evidence of their own, those would be retrieved and cited.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import replace

from tools.ocr.rows import Box, Row
from tools.ocr.tracking import MAX_GAP_S, SAME_PLACE, SLIP_LETTERS, UNFINISHED_S

ONE_SAMPLE_S = 1.5  # frames are sampled once a second
AT_EDGE = 0.005  # of the picture's width
SURE = 0.9  # minimum confidence of a row of single letters; knots and vents look like O


def join_fragments(rows: Sequence[Row]) -> list[Row]:
    """Join short-lived fragments with the row that they are part of, and drop stray letters.

    Args:
        rows: Rows ordered by the time they appear.

    Returns:
        The same, without the fragments; their time is added to the row that they belong to.
    """
    kept: list[Row] = []
    for row in sorted((row for row in rows if not _is_stray(row)), key=_weight, reverse=True):
        home = next((whole for whole in kept if is_fragment(row, whole)), None)
        if home is None:
            kept.append(row)
        else:
            kept[kept.index(home)] = _joined(home, row)
    kept = [row for row in kept if not _is_blend(row, kept)]
    return sorted(kept, key=lambda row: (row.start_s, row.box.top))


def _weight(row: Row) -> tuple[bool, int, float]:
    return (row.end_s - row.start_s > UNFINISHED_S, len(_letters(row.text)), row.confidence)


def _joined(whole: Row, part: Row) -> Row:
    first = part if part.start_s < whole.start_s else whole
    return replace(
        whole,
        start_s=first.start_s,
        end_s=max(whole.end_s, part.end_s),
        first_box=first.came_at,
    )


def _is_stray(row: Row) -> bool:
    """Return whether a row is only single letters, seen once or with low confidence."""
    if any(len(word) > 1 or word.isdigit() for word in row.text.split()):
        return False
    return row.end_s - row.start_s <= ONE_SAMPLE_S or row.confidence < SURE


def is_fragment(row: Row, whole: Row) -> bool:
    """Return whether a short-lived row shows a part of another row.

    It is cut off by the edge of the picture, or it is long ("cat" is not part of "chart") and its
    letters are most of the other's, in the same order. Its numbers are numbers of the other
    ("Score 1" is not part of "Score 12").
    """
    letters, others = _letters(row.text), _letters(whole.text)
    cut = _touches_edge(row.box) and letters in others
    most = SLIP_LETTERS <= len(letters) >= len(others) / 2 and _in_order(letters, others)
    return (
        row.end_s - row.start_s <= UNFINISHED_S
        and (cut or most)
        and _in_order(re.findall(r"\d+", row.text), re.findall(r"\d+", whole.text))
        and _follow_each_other(row, whole)
    )


def _follow_each_other(row: Row, other: Row) -> bool:
    """Return whether two rows can be one that moved along its line."""
    earlier, later = sorted((row, other), key=lambda one: one.start_s)
    gap_s = later.start_s - earlier.end_s
    one, two = earlier.box, later.came_at
    if gap_s > MAX_GAP_S or one.overlap(two) < SAME_PLACE:
        return False
    # If visible at the same time, they are one text only where they overlap.
    return gap_s >= 0 or min(one.right, two.right) > max(one.left, two.left)


def _is_blend(row: Row, rows: Sequence[Row]) -> bool:
    """Return whether a row, seen once, is the next row followed by the end of the previous one."""
    if row.end_s - row.start_s > ONE_SAMPLE_S:
        return False
    return any(
        after.start_s == row.end_s
        and after.came_at.overlap(row.box) >= SAME_PLACE
        and row.text.startswith(after.text)
        and _ends_before(row, row.text.removeprefix(after.text), rows)
        for after in rows
    )


def _ends_before(row: Row, rest: str, rows: Sequence[Row]) -> bool:
    """Return whether a row shown there until `row` appeared ends in `rest`."""
    return bool(_letters(rest)) and any(
        before.end_s == row.start_s
        and before.box.overlap(row.box) >= SAME_PLACE
        and _letters(before.text).endswith(_letters(rest))
        for before in rows
    )


def _touches_edge(box: Box) -> bool:
    return box.left <= AT_EDGE or box.right >= 1 - AT_EDGE


def _letters(text: str) -> str:
    """Return the letters and digits, without case and accents."""
    split = unicodedata.normalize("NFKD", text.casefold())
    return "".join(filter(str.isalnum, split))


def _in_order(part: Sequence[str], whole: Sequence[str]) -> bool:
    rest = iter(whole)
    return all(one in rest for one in part)
