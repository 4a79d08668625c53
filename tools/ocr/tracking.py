"""Track text over time.

Steps between the rows of single pictures (`columns`) and the evidence: the same row in consecutive
pictures becomes one row with a start and an end (`follow_rows`), and rows that are on screen
together become one block (`group_blocks`). A row added to a slide is thus a block of its own, and
unchanged rows are not reported again.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from tools.ocr.rows import LABELS, Box, Piece, Row, reading_order

SAME_PLACE = 0.5  # vertical overlap and left edge, as for one row
MAX_GAP_S = 3.0  # a row that the engine missed for this long is still the same row
UNFINISHED_S = 3.0  # a row seen for at most this long that then grows was being typed
SAME_SPAN = 0.6  # intersection over union of the times of two rows of one block
ROLLED = 2.0  # heights by which each line of credits moves up
CREDITS = 3  # lines that roll at one time, at least; one that moved may be on a page turned over
SLIP_LETTERS = 6  # from this length on, words one letter apart are hardly ever both real


@dataclass(frozen=True, slots=True)
class Block:
    """Rows that are on screen together, in reading order."""

    rows: tuple[Row, ...]

    @property
    def start_s(self) -> float:
        """When the first of the rows appears."""
        return min(row.start_s for row in self.rows)

    @property
    def end_s(self) -> float:
        """When the last of the rows disappears."""
        return max(row.end_s for row in self.rows)

    @property
    def text(self) -> str:
        """The rows, joined by `LABELS`."""
        return LABELS.join(row.text for row in self.rows)


def follow_rows(pictures: Iterable[Sequence[Row]]) -> list[Row]:
    """Merge the same row over consecutive pictures, keeping the most confident reading.

    Args:
        pictures: The rows of each distinct picture, in time order.

    Returns:
        Rows ordered by the time they appear, from top to bottom.
    """
    done: list[Row] = []
    live: list[Row] = []
    for rows in pictures:
        if not rows:
            continue
        waiting = [row for row in live if rows[0].start_s - row.end_s <= MAX_GAP_S]
        done += [row for row in live if row not in waiting]
        live = _match(waiting, rows)
    return sorted(done + live, key=lambda row: (row.start_s, row.box.top))


def _match(waiting: list[Row], rows: Sequence[Row]) -> list[Row]:
    """Match tracked rows with the rows of the new picture, one to one."""
    left = list(waiting)
    live: list[Row] = []
    # Equal texts first: a near reading must not take the partner of an exact one.
    for row in sorted(rows, key=lambda row: all(row.text != old.text for old in left)):
        same = [old for old in left if is_same_row(old, row)]
        if same:
            old = min(same, key=lambda old: _distance(old.box, row.box))
            left.remove(old)
            best = max(old, row, key=lambda one: one.confidence)
            best = replace(best, start_s=old.start_s, end_s=row.end_s)
            parts = _placed(best, row)
            live.append(replace(best, box=row.box, first_box=old.came_at, parts=parts))
            continue
        live.append(row)
        left = [old for old in left if not _was_unfinished(old, row)]
    return live + left


def _placed(best: Row, row: Row) -> tuple[Piece, ...]:
    """Return the pieces of the best reading at their current positions."""
    if len(best.pieces) != len(row.pieces):
        return best.parts
    pairs = zip(best.parts, row.parts, strict=True)
    return tuple(replace(piece, box=now.box) for piece, now in pairs)


def _distance(one: Box, other: Box) -> float:
    return abs(one.left - other.left) + abs(one.top - other.top)


def is_same_row(old: Row, new: Row) -> bool:
    """Return whether two readings are one row: equal text anywhere, or one slip at one place."""
    if _plain(old.text) == _plain(new.text):
        return True
    return _at_one_place(old.box, new.box) and differs_by_a_slip(old.text, new.text)


def differs_by_a_slip(one: str, other: str) -> bool:
    """Return whether two texts differ by one letter in one long word: an OCR slip.

    A digit is never a slip (7391 is not 7397, a clock counts), nor is a single letter (option A,
    option B) or one in a short word, nor a character without case (Chinese).
    """
    words, others = one.casefold().split(), other.casefold().split()
    if len(words) != len(others):
        return False
    pairs = [pair for pair in zip(words, others, strict=True) if pair[0] != pair[1]]
    return len(pairs) == 1 and _one_letter_apart(*pairs[0])


def _one_letter_apart(word: str, other: str) -> bool:
    if min(len(word), len(other)) < SLIP_LETTERS:
        return False
    start = 0
    while start < min(len(word), len(other)) and word[start] == other[start]:
        start += 1
    end = 0
    while end < min(len(word), len(other)) - start and word[-1 - end] == other[-1 - end]:
        end += 1
    rests = word[start : len(word) - end], other[start : len(other) - end]
    return all(len(rest) <= 1 and (not rest or rest.upper() != rest.lower()) for rest in rests)


def _was_unfinished(old: Row, new: Row) -> bool:
    """Return whether `old` is `new` while it was being typed, thus not evidence of its own."""
    begun, whole = _plain(old.text), _plain(new.text)
    return (
        old.end_s - old.start_s <= UNFINISHED_S
        and _at_one_place(old.box, new.box)
        and whole.startswith(begun)
        # "Score 1" is not the beginning of "Score 12".
        and not (begun[-1:].isdigit() and re.match(r"[\d.,:]", whole[len(begun) :]))
    )


def _at_one_place(one: Box, other: Box) -> bool:
    return one.overlap(other) >= SAME_PLACE and abs(one.left - other.left) <= SAME_PLACE * max(
        one.height, other.height
    )


def _plain(text: str) -> str:
    """Return the text without what OCR varies in arbitrarily: case, spaces, punctuation.

    Points, commas and colons inside a number stay: 3.50 is not 350.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()  # full-width comma -> comma
    bare = re.sub(r"(?<!\d)[.,;:!?'\"。、|]+|[.,;:!?'\"。、|]+(?!\d)", "", folded)
    return re.sub(r"\s+", "", bare)


def group_blocks(rows: Sequence[Row], max_chars: int) -> list[Block]:
    """Group rows that are on screen at about the same time, at most `max_chars` long.

    Rows that roll up the screen, as credits do, are one block of any length, in their order.

    Args:
        rows: Rows ordered by the time they appear.
        max_chars: A block that would be longer is split between rows; a longer row stays whole.

    Returns:
        Blocks in time order.
    """
    groups: list[list[Row]] = []
    live: list[list[Row]] = []
    credits = _credits(rows)
    for row in rows:
        live = [group for group in live if max(one.end_s for one in group) > row.start_s]
        home = next((group for group in live if _belongs(row, group, credits)), None)
        if home is None:
            home = []
            groups.append(home)
            live.append(home)
        home.append(row)
    blocks: list[Block] = []
    for group in groups:
        if id(group[0]) in credits:
            lines = sorted(group, key=lambda row: (row.start_s, row.came_at.top))
            blocks.append(Block(tuple(lines)))
        else:
            blocks += _split(group, max_chars)
    return sorted(blocks, key=lambda block: (block.start_s, block.rows[0].box.top))


def _credits(rows: Sequence[Row]) -> set[int]:
    """Return the `id` of the rows that roll up the picture together."""
    rolling = [row for row in rows if row.came_at.top - row.box.top > ROLLED * row.box.height]
    return {
        id(row)
        for row in rolling
        if sum(one.start_s < row.end_s and row.start_s < one.end_s for one in rolling) >= CREDITS
    }


def _belongs(row: Row, group: Sequence[Row], credits: set[int]) -> bool:
    if id(row) in credits or id(group[0]) in credits:
        return id(row) in credits and id(group[0]) in credits
    return group[0].end_s > row.start_s and _shared_time(group[0], row) >= SAME_SPAN


def _shared_time(one: Row, other: Row) -> float:
    shared = min(one.end_s, other.end_s) - max(one.start_s, other.start_s)
    return shared / max(max(one.end_s, other.end_s) - min(one.start_s, other.start_s), 1e-9)


def _split(group: list[Row], max_chars: int) -> Iterable[Block]:
    part: list[Row] = []
    for row in reading_order(group):
        if part and sum(len(one.text) for one in part) + len(row.text) > max_chars:
            yield Block(tuple(part))
            part = []
        part.append(row)
    yield Block(tuple(part))
