"""Layout analysis: join the texts of one picture to rows, or separate them into labels and columns.

Texts on one baseline are a row of a table ("Coffee 3.50"), separate labels ("Petrel | Juno") or
lines of two columns. The cues, strongest first: values beside labels in successive rows are a
table; a change of background in the gap separates two panels; wide lines on both sides are columns
of prose; a single gap much wider than a word space separates labels.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise

from tools.ocr.rows import LABELS, SAME_ROW, Box, Piece, Row

# Lengths in line heights, that is heights of the engine's boxes, about 1.4 times the font size. On
# the demo video, gaps after a time or a badge are at most 0.7, all others 0.9 to 6.3.
PHRASE_GAP = 0.75
LABEL_GAP = 1.5  # a lone gap without a change of background, or the widest on its line
LINE_STEP = 2.0  # between two rows that one gutter runs through
MIN_GUTTER = 0.5  # width that the gaps of a gutter share
PROSE = 6.0  # mean width of the lines on both sides of a gutter between columns of prose
CARD_STEP = 0.5  # between the two lines of a card: a name and the text under it
MAX_HEIGHT_RATIO = 2.0  # taller beside smaller than this is another row (vertical text, a logo)
VALUE = re.compile(r"[^\w]*(?=\S*\d)[\d\W]+[^\W\d]{0,3}\W*")  # 3.50, 9:30 - 17:45, 41 m, 20 km

Parted = Callable[[Box, Box], bool]
Line = list[Row]  # pieces on one baseline, from left to right


@dataclass(frozen=True, slots=True)
class Gap:
    """The space between two neighbours on a line.

    Attributes:
        line: Number of the line, from the top.
        place: Number of the left neighbour on it.
        width: In line heights.
        parted: Whether the background changes in it.
    """

    line: int
    place: int
    left: Row
    right: Row
    width: float
    parted: bool

    @property
    def height(self) -> float:
        """Line height as a fraction of the picture's height."""
        return max(self.left.box.height, self.right.box.height)

    @property
    def top(self) -> float:
        """Upper edge of the line."""
        return min(self.left.box.top, self.right.box.top)

    @property
    def bottom(self) -> float:
        """Lower edge of the line."""
        return max(self.left.box.bottom, self.right.box.bottom)


Gutter = list[Gap]  # gaps of successive lines, one under the other


def join_rows(
    pieces: Iterable[Row], aspect: float = 1.0, parted: Parted = lambda left, right: False
) -> list[Row]:
    """Join the pieces of one picture that belong to one row.

    Args:
        pieces: What the engine found, in any order.
        aspect: Width of the picture over its height.
        parted: Whether the background changes between two pieces side by side.

    Returns:
        Rows, topmost first. Separate labels in a row are joined by `LABELS`.
    """
    lines = [_phrases(line, aspect) for line in _baselines(pieces)]
    gaps = [gap for number, line in enumerate(lines) for gap in _gaps(number, line, aspect, parted)]
    apart = [g for g in _gutters(gaps, lines, aspect) if _parts(g, lines, aspect)]
    cuts = {(gap.line, gap.place) for gutter in apart for gap in gutter}
    rows: list[Row] = []
    for region in _regions(len(lines), apart):
        rows += _arranged([_cut(lines[number], number, cuts) for number in region])
    return sorted(rows, key=lambda row: (row.box.top, row.box.left))


def _baselines(pieces: Iterable[Row]) -> list[Line]:
    lines: list[Line] = []
    for piece in sorted(pieces, key=lambda piece: (piece.box.top + piece.box.bottom, piece.text)):
        home = next((line for line in reversed(lines) if _on_line(line, piece)), None)
        if home is None:
            lines.append([piece])
        else:
            home.append(piece)
    return [sorted(line, key=lambda piece: piece.box.left) for line in lines]


def _on_line(line: Line, piece: Row) -> bool:
    heights = [line[0].box.height, piece.box.height]
    alike = max(heights) <= MAX_HEIGHT_RATIO * min(heights)
    return alike and line[0].box.overlap(piece.box) >= SAME_ROW


def _phrases(line: Line, aspect: float) -> Line:
    """Join the words of a line with no more than a word space between them."""
    parts = [[line[0]]]
    for left, right in pairwise(line):
        if _width(left, right, aspect) < PHRASE_GAP:
            parts[-1].append(right)
        else:
            parts.append([right])
    return [replace(_joined(part), parts=()) for part in parts]


def _width(left: Row, right: Row, aspect: float) -> float:
    height = max(left.box.height, right.box.height, 1e-9)
    return (right.box.left - left.box.right) * aspect / height


def _gaps(number: int, line: Line, aspect: float, parted: Parted) -> Iterator[Gap]:
    for place, (left, right) in enumerate(pairwise(line)):
        width = _width(left, right, aspect)
        yield Gap(number, place, left, right, width, parted(left.box, right.box))


def _gutters(gaps: Iterable[Gap], lines: Sequence[Line], aspect: float) -> list[Gutter]:
    """Chain vertically aligned gaps with no text in between."""
    gutters: list[Gutter] = []
    for gap in gaps:
        home = next((g for g in reversed(gutters) if _runs_on(g, gap, lines, aspect)), None)
        if home is None:
            gutters.append([gap])
        else:
            home.append(gap)
    return gutters


def _runs_on(gutter: Gutter, gap: Gap, lines: Sequence[Line], aspect: float) -> bool:
    last = gutter[-1]
    left = max(one.left.box.right for one in [*gutter, gap])
    right = min(one.right.box.left for one in [*gutter, gap])
    if last.line == gap.line or (right - left) * aspect < MIN_GUTTER * gap.height:
        return False
    free = Box(left, last.bottom, right, gap.top)
    between = [row.box for line in lines[last.line + 1 : gap.line] for row in line]
    if any(map(free.shares_columns, between)):
        return False
    # One column may have a line where the other has none: the nearest of them counts.
    sides = gap.left.box, gap.right.box
    here = [box.bottom for box in between if any(map(box.shares_columns, sides))]
    return gap.top - max([last.bottom, *here]) <= LINE_STEP * gap.height


def _parts(gutter: Gutter, lines: Sequence[Line], aspect: float) -> bool:
    """Return whether a gutter separates texts, rather than cells of table rows."""
    lefts, rights = [gap.left.text for gap in gutter], [gap.right.text for gap in gutter]
    parted = 2 * sum(gap.parted for gap in gutter) >= len(gutter)
    if len(gutter) == 1:
        return parted or _parts_alone(gutter[0], lines[gutter[0].line], aspect)
    if _mostly_values(rights) and not _mostly_values(lefts):
        return False
    if parted or _changes_kind(lefts, rights):
        return True
    if _mostly_values(rights):
        return False  # numbers beside numbers
    firsts = [lines[gap.line][0].text.split()[0] for gap in gutter]
    if _mostly_values(firsts):
        return False  # a timetable: the text belongs to its time
    if _mostly_values(lefts):  # of labels further left; the next label may have its own
        return any(gap.place + 2 < len(lines[gap.line]) for gap in gutter)
    sides = [gap.left for gap in gutter], [gap.right for gap in gutter]
    return all(_mean_width(side, aspect) >= PROSE for side in sides)


def _parts_alone(gap: Gap, line: Line, aspect: float) -> bool:
    """Return whether a gap on one line only, on one background, separates two labels."""
    values = is_value(gap.left.text), is_value(gap.right.text)
    widest = max(_width(left, right, aspect) for left, right in pairwise(line))
    return widest >= LABEL_GAP and values[0] == values[1] and not gap.left.text.endswith(":")


def is_value(text: str) -> bool:
    """Return whether a text is a number, price, time or measure, as found beside a label."""
    return VALUE.fullmatch(text) is not None


def _mostly_values(texts: Sequence[str]) -> bool:
    return 2 * sum(map(is_value, texts)) > len(texts)


def _changes_kind(lefts: Sequence[str], rights: Sequence[str]) -> bool:
    """Return whether two lines are names side by side and a value under each."""
    kinds = [{is_value(left), is_value(right)} for left, right in zip(lefts, rights, strict=True)]
    return kinds in ([{True}, {False}], [{False}, {True}])


def _mean_width(rows: Sequence[Row], aspect: float) -> float:
    widths = [(row.box.right - row.box.left) * aspect / max(row.box.height, 1e-9) for row in rows]
    return sum(widths) / len(widths)


def _regions(lines: int, gutters: Sequence[Gutter]) -> list[list[int]]:
    """Group the numbers of the lines that share a gutter."""
    region = list(range(lines))
    for gutter in gutters:
        joined = {region[gap.line] for gap in gutter}
        region = [min(joined) if one in joined else one for one in region]
    order = sorted(range(lines), key=lambda number: (region[number], number))
    return [list(group) for _, group in groupby(order, key=lambda number: region[number])]


def _cut(line: Line, number: int, cuts: set[tuple[int, int]]) -> list[Row]:
    """Split a line at its cuts."""
    parts = [[line[0]]]
    for place, piece in enumerate(line[1:]):
        if (number, place) in cuts:
            parts.append([piece])
        else:
            parts[-1].append(piece)
    return [_joined(part) for part in parts]


def _arranged(lines: Sequence[list[Row]]) -> list[Row]:
    """Return the rows of a region: labels in a row, cards in a row, or columns."""
    if len(lines) == 1:
        return _label_rows(lines[0])
    if len(lines) == 2 and (cards := _cards(lines[0], lines[1])):
        return _label_rows(cards)
    return [row for line in lines for row in line]


def _cards(upper: Sequence[Row], lower: Sequence[Row]) -> list[Row]:
    """Join each text with the one close under it; none when some text has two such neighbours."""
    cards = {id(row): [row] for row in upper}
    alone: list[list[Row]] = []
    for row in lower:
        over = [one for one in upper if one.box.shares_columns(row.box)]
        if not over:
            alone.append([row])
            continue
        card = cards[id(over[0])]
        step = row.box.top - over[0].box.bottom
        if len(over) > 1 or len(card) > 1 or step > CARD_STEP * row.box.height:
            return []
        card.append(row)
    made = [_joined(card) for card in [*cards.values(), *alone]]
    return sorted(made, key=lambda row: row.box.left)


def _label_rows(labels: Sequence[Row]) -> list[Row]:
    """Return one row of labels; a single letter beside words is not one (see `fragments`)."""
    strays = [row for row in labels if _is_stray(row, labels)]
    row = [label for label in labels if label not in strays]
    return [*strays, *([_joined(row, LABELS)] if row else [])]


def _is_stray(row: Row, labels: Sequence[Row]) -> bool:
    return len(row.text) == 1 and not row.text.isdigit() and any(len(o.text) > 1 for o in labels)


def _joined(rows: Sequence[Row], separator: str = " ") -> Row:
    """Merge several rows into one, with them as its pieces."""
    if len(rows) == 1:
        return rows[0]
    box = rows[0].box
    for row in rows[1:]:
        box = box.union(row.box)
    return replace(
        rows[0],
        text=separator.join(row.text for row in rows),
        box=box,
        confidence=sum(row.confidence for row in rows) / len(rows),
        parts=tuple(Piece(row.text, row.box, tuple(p.text for p in row.parts)) for row in rows),
    )
