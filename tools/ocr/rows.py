"""Text layout: boxes, rows with their pieces, and reading order."""

from collections.abc import Sequence
from dataclasses import dataclass

SAME_ROW = 0.5  # vertical overlap over the smaller height
LABELS = " | "  # between separate labels of one row
STACKED = 1.5  # line heights: rows of one column are at most this far apart


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle as fractions of the picture's width and height, origin at the top left."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def height(self) -> float:
        """Fraction of the picture's height."""
        return self.bottom - self.top

    def overlap(self, other: "Box") -> float:
        """Return the vertical overlap over the smaller of the two heights."""
        shared = min(self.bottom, other.bottom) - max(self.top, other.top)
        return shared / max(min(self.height, other.height), 1e-9)

    def shares_columns(self, other: "Box") -> bool:
        """Return whether a vertical line crosses both."""
        return self.left < other.right and other.left < self.right

    def is_above(self, other: "Box") -> bool:
        """Return whether its centre is higher."""
        return self.top + self.bottom < other.top + other.bottom

    def union(self, other: "Box") -> "Box":
        """Return the smallest rectangle around both."""
        return Box(
            min(self.left, other.left),
            min(self.top, other.top),
            max(self.right, other.right),
            max(self.bottom, other.bottom),
        )


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a row: one of several labels side by side, or a cell of a table's row.

    Attributes:
        parts: The texts of a label, if several: a name and the year under it.
    """

    text: str
    box: Box
    parts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """A row of text, with its position, confidence and time on screen.

    Attributes:
        box: Its last position.
        first_box: Its first position, if it was seen before; it may have moved since.
        parts: Its pieces from left to right, if there are several.
    """

    text: str
    box: Box
    confidence: float
    start_s: float
    end_s: float
    first_box: Box | None = None
    parts: tuple[Piece, ...] = ()

    @property
    def came_at(self) -> Box:
        """Its first position."""
        return self.first_box or self.box

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """Its pieces from left to right, at least one.

        If the text contains `LABELS`, they are what it separates.
        """
        return self.parts or (Piece(self.text, self.box),)


def reading_order(rows: Sequence[Row]) -> list[Row]:
    """Return rows from top to bottom, and columns side by side one after the other.

    After T. Breuel, "High performance document layout analysis" (2003): of two rows one above the
    other, the upper comes first; of two side by side the left one, unless a row between them spans
    both. Here the second rule applies only to columns that face each other, so that scattered texts
    are read from the top.
    """
    left = sorted(rows, key=lambda row: (row.box.top, row.box.left))
    columns = _columns([row.box for row in left])
    order = {id(row): column for row, column in zip(left, columns, strict=True)}
    boxes = [row.box for row in left]
    before = {
        (id(one), id(other))
        for one in left
        for other in left
        if _comes_first(one.box, other.box, boxes)
        and (one.box.shares_columns(other.box) or _face(order[id(one)], order[id(other)]))
    }
    told: list[Row] = []
    while left:
        free = (row for row in left if all((id(one), id(row)) not in before for one in left))
        told.append(next(free, left[0]))  # a cycle, as with skewed text: the topmost
        left.remove(told[-1])
    return told


def _comes_first(one: Box, other: Box, boxes: Sequence[Box]) -> bool:
    if one.shares_columns(other):
        return one.is_above(other)
    upper, lower = (one, other) if one.is_above(other) else (other, one)
    return one.left < other.left and not any(
        upper.is_above(box)
        and box.is_above(lower)
        and box.shares_columns(one)
        and box.shares_columns(other)
        for box in boxes
    )


def _columns(boxes: Sequence[Box]) -> list[list[Box]]:
    """Return for each box, given from top to bottom, its column of stacked boxes."""
    columns: list[list[Box]] = []
    for box in boxes:
        home = next((column for column in reversed(columns) if _stacked(column[-1], box)), None)
        columns.append([] if home is None else home)
        columns[-1].append(box)
    return columns


def _stacked(upper: Box, lower: Box) -> bool:
    near = lower.top - upper.bottom <= STACKED * min(upper.height, lower.height)
    return near and upper.shares_columns(lower)


def _face(one: Sequence[Box], other: Sequence[Box]) -> bool:
    return any(here.overlap(there) >= SAME_ROW for here in one for there in other)
