"""Scene text: the detections of a frame as text: counts, locations and relations.

Boxes -> text, for the aspects that a question requests (Video-RAG, arXiv 2411.13093v4, section
3.2). The published text is quadratic in the boxes, with one relation per pair and no time; here a
pair has all its relations, a record has its time, and whole items are dropped over a token cap.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

from agent.records import Aspect
from tools.evidence import Evidence

Side = Literal["overlapping", "left of", "right of", "above", "below"]
Box = tuple[float, float, float, float]  # left, top, right, bottom; from the upper left corner

ROUNDING = 1e-6  # pixels: so far may a whole pixel be off as a fraction of a side, and back
COLUMNS = ("left", "centre", "right")
ROWS = ("upper", "middle", "lower")


@dataclass(frozen=True, slots=True)
class Thing:
    """One detected object: its name in the frame ("boat 2"), its label and its box."""

    name: str
    label: str
    box: Box


@dataclass(frozen=True, slots=True)
class Relation:
    """The spatial relation of the first of two objects to the second."""

    first: int
    second: int
    sides: tuple[Side, ...]


def name_things(labels: Sequence[str], boxes: Sequence[Sequence[float]]) -> tuple[Thing, ...]:
    """Return the objects of a frame; several of one label are numbered, by confidence."""
    totals, seen = Counter(labels), Counter[str]()
    things = []
    for label, (left, top, right, bottom) in zip(labels, boxes, strict=True):
        seen[label] += 1
        name = f"{label} {seen[label]}" if totals[label] > 1 else label
        things.append(Thing(name, label, (left, top, right, bottom)))
    return tuple(things)


def sides_of(one: Box, other: Box) -> tuple[Side, ...]:
    """Return all relations of a box to another, by strict inequalities.

    Boxes that only touch have none, as in the published code.
    """
    left, top, right, bottom = one
    other_left, other_top, other_right, other_bottom = other
    across = left < other_right and other_left < right
    down = top < other_bottom and other_top < bottom
    holds: dict[Side, bool] = {
        "overlapping": across and down,
        "left of": right < other_left,
        "right of": other_right < left,
        "above": bottom < other_top,
        "below": other_bottom < top,
    }
    return tuple(side for side, true in holds.items() if true)


def relations(boxes: Sequence[Box], *, parity: bool = False) -> tuple[Relation, ...]:
    """Return the relations of all pairs that have any, each pair once.

    Args:
        boxes: Boxes of one frame.
        parity: One relation per pair, the last that holds, as in the published code.
    """
    found = []
    for i, j in combinations(range(len(boxes)), 2):
        sides = sides_of(boxes[i], boxes[j])
        if sides:
            found.append(Relation(i, j, sides[-1:] if parity else sides))
    return tuple(found)


def place(box: Box) -> str:
    """Return the location of a box's centre on a 3 x 3 grid: "upper left".

    >>> place((0.0, 0.0, 0.2, 0.2))
    'upper left'
    """
    left, top, right, bottom = box
    column = COLUMNS[min(2, int(3 * (left + right) / 2))]
    row = ROWS[min(2, int(3 * (top + bottom) / 2))]
    return column if row == "middle" else f"{row} {column}"


def scene_items(evidence: Evidence, aspects: Collection[Aspect]) -> Iterator[str]:
    """Yield the items of a frame's scene text, the most important first.

    Counts always; locations and relations where the question requests them, those of the most
    confident objects first. A generator, for a crowd has more items than any cap.
    """
    labels, boxes = evidence.data.get("labels", ()), evidence.data.get("boxes", ())
    things = name_things(labels, boxes)
    yield evidence.text
    if "location" in aspects:
        yield from (f"{thing.name} at the {place(thing.box)}" for thing in things)
    if "relation" in aspects or "location" in aspects:
        for j, other in enumerate(things):
            for one in things[:j]:
                if sides := sides_of(one.box, other.box):
                    yield f"{one.name} {' and '.join(sides)} {other.name}"


def describe(
    records: Sequence[Evidence],
    aspects: Collection[Aspect],
    tokens: int,
    count: Callable[[str], int],
) -> tuple[Evidence, ...]:
    """Return records with scene text, together within a token cap; items are never cut.

    Every record keeps at least its counts, which the prompt's own budget may still drop as a whole.
    The remaining tokens are shared evenly; what a record does not use goes to those after it.

    Args:
        records: Evidence with `labels` and `boxes` (fractions of the frame) in its data; one
            without is returned unchanged.
        aspects: Aspects that the question requests.
        tokens: Cap on the tokens of all texts together.
        count: Counts the tokens of a text.

    Returns:
        The records with their new texts; `shortened` in the data of one with items dropped.
    """
    told, room = [], tokens
    for left, record in zip(range(len(records), 0, -1), records, strict=True):
        share, used, kept, whole = room // left, 0, list[str](), True
        for item in scene_items(record, aspects):
            cost = count(f"{item}; ")
            if kept and used + cost > share:
                whole = False
                break
            kept.append(item)
            used += cost
        room = max(0, room - used)
        data = record.data if whole else {**record.data, "shortened": True}
        told.append(replace(record, text="; ".join(kept), data=data))
    return tuple(told)


def pixel_box(box: Sequence[float], width: int, height: int) -> tuple[int, int, int, int]:
    """Return a box in the published format: left, top, width, height in whole pixels."""
    left, top, right, bottom = box
    sides = left * width, top * height, (right - left) * width, (bottom - top) * height
    x, y, across, down = (int(side + ROUNDING) for side in sides)
    return x, y, across, down


def published_scene(
    labels: Sequence[str],
    boxes: Sequence[tuple[int, int, int, int]],
    aspects: Collection[Aspect],
) -> list[str]:
    """Return the published scene text of a frame, in our wording, one item per line.

    Objects with their boxes, then one relation per pair, then a count of each label in the order of
    first appearance; each block only if its aspect is requested. Objects are numbered from 0.

    Args:
        labels: Label of each object.
        boxes: Left, top, width and height in whole pixels.
        aspects: Aspects that the question requests.
    """
    items = []
    if "location" in aspects:
        items += [
            f"object {i}: {label} {list(box)}"
            for i, (label, box) in enumerate(zip(labels, boxes, strict=True))
        ]
    if "relation" in aspects:
        edges = [(float(x), float(y), float(x + w), float(y + h)) for x, y, w, h in boxes]
        items += [
            f"object {r.first} ({labels[r.first]}) {r.sides[-1]} object {r.second} "
            f"({labels[r.second]})"
            for r in relations(edges, parity=True)
        ]
    if "number" in aspects:
        items += [f"count of {label}: {number}" for label, number in Counter(labels).items()]
    return items
