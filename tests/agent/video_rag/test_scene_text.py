"""Specification video-rag.md, section 5: R6, R7, B4 and the cap of B6."""

import re
from collections import Counter
from itertools import combinations, product
from random import Random
from typing import Any, cast

import numpy as np
import pytest

from agent.records import Aspect
from agent.video_rag import scene_text as scene
from agent.video_rag.scene_text import (
    Box,
    describe,
    name_things,
    pixel_box,
    place,
    published_scene,
    relations,
    scene_items,
    sides_of,
)
from tools.evidence import Evidence

FLAGS: tuple[Aspect, ...] = ("location", "number", "relation")


def words(text: str) -> int:
    return len(text.split())


def seen(labels: list[str], boxes: list[Box], start_s: float = 0.0) -> Evidence:
    counts = Counter(labels)
    text = ", ".join(f"{n} {label}" for label, n in counts.items())
    data = {"labels": labels, "boxes": boxes, "frame": int(start_s)}
    return Evidence("detect", "objects", start_s, start_s + 1, text, 0.5, data)


def spans(one: tuple[float, float], other: tuple[float, float]) -> str:
    """How two intervals of whole numbers lie, found by listing the points between their ends."""
    halves = [{x for x in range(2 * int(a) + 1, 2 * int(b))} for a, b in (one, other)]
    if halves[0] & halves[1]:
        return "shared"
    return "before" if one[1] < other[0] else "behind" if other[1] < one[0] else "touching"


def expected_sides(one: Box, other: Box) -> set[str]:
    across = spans((one[0], one[2]), (other[0], other[2]))
    down = spans((one[1], one[3]), (other[1], other[3]))
    if across == down == "shared":
        return {"overlapping"}
    names = {("x", "before"): "left of", ("x", "behind"): "right of"}
    names |= {("y", "before"): "above", ("y", "behind"): "below"}
    return {names[k] for k in (("x", across), ("y", down)) if k in names}


def random_box(random: Random) -> Box:
    left, top = random.randrange(20), random.randrange(20)
    return left, top, left + random.randrange(1, 12), top + random.randrange(1, 12)


def test_all_relations_of_random_pairs_by_strict_inequalities() -> None:
    random, combos = Random(0), set()
    for _ in range(50_000):
        one, other = random_box(random), random_box(random)
        found = sides_of(one, other)
        assert set(found) == expected_sides(one, other)
        combos.add(found)
    lengths = Counter(len(combo) for combo in combos)
    assert lengths == {0: 1, 1: 5, 2: 4}  # as the specification saw them


def test_touching_boxes_have_no_relation() -> None:
    assert sides_of((0, 0, 5, 5), (5, 0, 9, 5)) == ()
    assert sides_of((0, 0, 5, 5), (5, 6, 9, 9)) == ("above",)


def test_parity_keeps_the_last_relation_of_a_pair_and_the_default_keeps_all() -> None:
    boxes: list[Box] = [(0, 0, 1, 1), (5, 5, 6, 6), (0, 5, 1, 6), (0, 0, 9, 9)]
    told, compat = relations(boxes), relations(boxes, parity=True)
    assert [(r.first, r.second, r.sides) for r in told][:2] == [
        (0, 1, ("left of", "above")),
        (0, 2, ("above",)),
    ]
    assert [(r.first, r.second) for r in compat] == [(r.first, r.second) for r in told]
    for one, other in zip(told, compat, strict=True):
        assert other.sides == (one.sides[-1],)


def test_published_scenes_hold_the_published_facts() -> None:
    random = Random(1)
    for _ in range(200):
        number = random.randrange(6)
        labels = [random.choice(["cat", "dog", "cup"]) for _ in range(number)]
        boxes = [
            (int(a), int(b), int(c - a), int(d - b))
            for a, b, c, d in (random_box(random) for _ in range(number))
        ]
        for asked in product((False, True), repeat=3):
            aspects = [flag for flag, on in zip(FLAGS, asked, strict=True) if on]
            items = published_scene(labels, boxes, aspects)
            assert facts(items) == published_facts(labels, boxes, aspects)


def facts(items: list[str]) -> list[tuple[Any, ...]]:
    """Read our wording back."""
    found: list[tuple[Any, ...]] = []
    for item in items:
        if match := re.fullmatch(r"object (\d+): (\w+) \[(\d+), (\d+), (\d+), (\d+)\]", item):
            found.append((int(match[1]), match[2], *map(int, match.groups()[2:])))
        elif match := re.fullmatch(r"object (\d+) \(\w+\) ([a-z ]+) object (\d+) \(\w+\)", item):
            found.append((int(match[1]), match[2], int(match[3])))
        else:
            match = re.fullmatch(r"count of (\w+): (\d+)", item)
            assert match, item
            found.append((match[1], int(match[2])))
    return found


def published_facts(
    labels: list[str], boxes: list[tuple[int, int, int, int]], aspects: list[Aspect]
) -> list[tuple[Any, ...]]:
    """What the specification says: blocks in this order, the last relation wins."""
    found: list[tuple[Any, ...]] = []
    if "location" in aspects:
        found += [(i, labels[i], *box) for i, box in enumerate(boxes)]
    if "relation" in aspects:
        order = ["overlapping", "left of", "right of", "above", "below"]
        for i, j in combinations(range(len(boxes)), 2):
            (x, y, w, h), (a, b, c, d) = boxes[i], boxes[j]
            sides = expected_sides((x, y, x + w, y + h), (a, b, a + c, b + d))
            if sides:
                found.append((i, max(sides, key=order.index), j))
    if "number" in aspects:
        found += [(label, labels.count(label)) for label in dict.fromkeys(labels)]
    return found


def test_a_box_in_pixels_is_published_as_corner_and_size() -> None:
    assert pixel_box((0.25, 0.5, 0.75, 1.0), 640, 480) == (160, 240, 320, 240)


@pytest.mark.parametrize("width", [336, 640, 1280, 1920, 3840])
def test_the_published_pixels_come_back_from_unrounded_fractions_alone(width: int) -> None:
    """Float boxes and boxes of whole pixels; with four digits up to a third are off by one."""
    random = np.random.default_rng(0)
    height = width * 9 // 16
    floats = np.sort(random.uniform(0, 1, (2000, 2, 2)), axis=1) * [width, height]
    boxes = np.concatenate([floats, np.floor(floats)]).reshape(-1, 4)
    expected = [(int(x), int(y), int(a - x), int(b - y)) for x, y, a, b in boxes]
    fractions = [tuple(map(float, box)) for box in boxes / [width, height, width, height]]
    assert [pixel_box(box, width, height) for box in fractions] == expected
    rounded = [pixel_box([round(side, 4) for side in box], width, height) for box in fractions]
    off = np.mean([ours != theirs for ours, theirs in zip(rounded, expected, strict=True)])
    assert off > 0.04


@pytest.mark.parametrize(
    ("box", "where"),
    [
        ((0.0, 0.0, 0.2, 0.2), "upper left"),
        ((0.4, 0.4, 0.6, 0.6), "centre"),
        ((0.0, 0.4, 0.2, 0.6), "left"),
        ((0.4, 0.9, 0.6, 1.0), "lower centre"),
        ((0.9, 0.9, 1.0, 1.0), "lower right"),
        ((1.0, 1.0, 1.0, 1.0), "lower right"),
        ((0.0, 0.0, 1.0, 1.0), "centre"),
    ],
)
def test_places(box: Box, where: str) -> None:
    assert place(box) == where


def test_things_of_one_label_are_numbered() -> None:
    names = [t.name for t in name_things(["boat", "tower", "boat"], [(0, 0, 1, 1)] * 3)]
    assert names == ["boat 1", "tower", "boat 2"]


def test_a_scene_tells_counts_places_and_every_relation() -> None:
    record = seen(["boat", "tower"], [(0.1, 0.1, 0.2, 0.2), (0.7, 0.7, 0.9, 0.9)])
    assert list(scene_items(record, ["number"])) == ["1 boat, 1 tower"]
    assert list(scene_items(record, ["location"])) == [
        "1 boat, 1 tower",
        "boat at the upper left",
        "tower at the lower right",
        "boat left of and above tower",
    ]
    assert list(scene_items(record, ["relation"]))[1:] == ["boat left of and above tower"]


def crowd(number: int, start_s: float) -> Evidence:
    random = Random(number)
    corners = [(random.random() * 0.9, random.random() * 0.9) for _ in range(number)]
    return seen(["person"] * number, [(x, y, x + 0.05, y + 0.05) for x, y in corners], start_s)


def test_a_crowd_stays_within_the_cap_and_no_item_is_cut() -> None:
    records = [crowd(50, second) for second in range(8)]
    whole = [set(scene_items(record, FLAGS)) for record in records]
    told = describe(records, FLAGS, 400, words)
    assert sum(words(one.text) for one in told) <= 400
    for one, items in zip(told, whole, strict=True):
        kept = one.text.split("; ")
        assert set(kept) <= items
        assert kept[0] == "50 person"
        assert one.data["shortened"]
        assert len(kept) < len(items)
    assert describe(records, FLAGS, 400, words) == told


def test_a_crowd_is_described_without_looking_at_every_pair(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pairs: list[int] = []
    monkeypatch.setattr(scene, "sides_of", lambda one, other: pairs.append(1) or ("above",))
    describe([crowd(300, 0)], ["relation"], 100, words)
    assert len(pairs) < 30


def test_room_that_a_plain_picture_leaves_goes_to_the_next() -> None:
    plain, busy = crowd(1, 0), crowd(20, 1)
    alone = describe([busy], FLAGS, 100, words)[0].text
    (first,) = describe([plain], FLAGS, 100, words)
    after = describe([plain, busy], FLAGS, 100 + words(first.text), words)[1].text
    assert after == alone


def test_with_room_for_all_nothing_is_left_out() -> None:
    records = [crowd(12, 0), crowd(3, 1)]
    told = describe(records, FLAGS, 10**6, words)
    assert [one.text.split("; ") for one in told] == [list(scene_items(r, FLAGS)) for r in records]
    assert all("shortened" not in one.data for one in told)


def test_a_record_without_boxes_stays_as_it_is() -> None:
    record = Evidence("sensor", "objects", 0, 1, "three gulls")
    assert describe([record], FLAGS, 100, words) == (record,)
    assert describe([], FLAGS, 100, words) == ()
    assert cast("dict[str, Any]", record.data) == {}
