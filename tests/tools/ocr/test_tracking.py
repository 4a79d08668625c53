from dataclasses import replace

import pytest

from tools.ocr.rows import Box, Piece, Row
from tools.ocr.tracking import (
    differs_by_a_slip,
    follow_rows,
    group_blocks,
)


def row(
    text: str,
    start_s: float = 0,
    end_s: float = 1,
    top: float = 0.1,
    left: float = 0.1,
    confidence: float = 0.9,
    height: float = 0.05,
) -> Row:
    box = Box(left, top, left + 0.02 * len(text), top + height)
    return Row(text, box, confidence, start_s, end_s)


def spans(rows: list[Row]) -> list[tuple[str, float, float]]:
    return [(row.text, row.start_s, row.end_s) for row in rows]


@pytest.mark.parametrize(
    ("one", "other", "slip"),
    [
        ("Professor Mueller", "Professor Muelier", True),
        ("Schedules", "Schedule", True),
        ("The gate code is 7391", "The gate code is 7397", False),
        ("Chapter A", "Chapter B", False),
        ("PromptSection II", "PromptSection III", False),
        ("cat", "car", False),
        ("12:00:01", "12:00:02", False),
        ("第一章内容简介", "第二章内容简介", False),
        ("one two", "one", False),
        ("conference", "difference", False),
    ],
)
def test_only_a_letter_in_a_long_word_is_a_slip(one: str, other: str, slip: bool) -> None:
    assert differs_by_a_slip(one, other) is slip
    assert differs_by_a_slip(other, one) is slip


def test_one_row_over_time_keeps_its_surest_reading() -> None:
    rows = follow_rows(
        [
            [row("Professor Muelier", 0, 2, confidence=0.8)],
            [row("Professor Mueller", 2, 5, confidence=0.95)],
            [row("Professor Mueller.", 5, 9, confidence=0.9)],
        ]
    )
    assert spans(rows) == [("Professor Mueller", 0, 9)]


def test_figures_are_never_merged() -> None:
    pictures = [[row(f"Score {n}", n, n + 1)] for n in range(3)]
    assert spans(follow_rows(pictures)) == [("Score 0", 0, 1), ("Score 1", 1, 2), ("Score 2", 2, 3)]
    prices = [[row("3.50", 0, 5)], [row("350", 5, 9)], [row("-5", 9, 15)], [row("5", 15, 20)]]
    assert len(follow_rows(prices)) == 4


def test_spaces_and_closing_points_are_no_difference() -> None:
    for one, other in (
        ("Lecture 7: Hash tables", "Lecture7: Hash tables"),
        ("+49 30 1234567", "+4930 1234567"),
        ("The gate code is 7391.", "The gate code is 7391"),
        ("开会\uff0c九点", "开会,九点"),
    ):
        assert len(follow_rows([[row(one, 0, 4)], [row(other, 4, 8)]])) == 1
    for one, other in (("3.50", "350"), ("09:00", "0900"), ("Grade A+", "Grade A-"), ("C", "C#")):
        assert len(follow_rows([[row(one, 0, 4)], [row(other, 4, 8)]])) == 2


def test_equal_texts_in_one_picture_stay_apart() -> None:
    pictures = [
        [row("3.50", start, start + 4, left=left) for left in (0.1, 0.8)] for start in (0, 4)
    ]
    rows = follow_rows(pictures)
    assert spans(rows) == [("3.50", 0, 8)] * 2
    assert sorted(row.box.left for row in rows) == [0.1, 0.8]


def test_a_near_reading_elsewhere_is_another_text() -> None:
    near = [[row("Conference", 0, 4)], [row("Conferences", 4, 8, top=0.6)]]
    assert len(follow_rows(near)) == 2
    moved = [[row("Conference", 0, 4)], [row("Conference", 4, 8, top=0.6)]]
    assert spans(follow_rows(moved)) == [("Conference", 0, 8)]


def test_a_short_miss_is_bridged_and_a_long_one_is_not() -> None:
    title, other = row("Opening hours", 0, 4), row("Something else", 4, 6, top=0.5)
    assert spans(follow_rows([[title], [other], [row("Opening hours", 6, 9)]]))[0] == (
        "Opening hours",
        0,
        9,
    )
    later = follow_rows([[title], [], [row("Opening hours", 60, 70)]])
    assert spans(later) == [("Opening hours", 0, 4), ("Opening hours", 60, 70)]


def test_text_being_typed_is_told_once_it_stands() -> None:
    typed = [[row(text, n, n + 1)] for n, text in enumerate(["def", "def add(", "def add(a, b):"])]
    assert spans(follow_rows(typed)) == [("def add(a, b):", 2, 3)]
    counted = [[row("Score: 1", 0, 1)], [row("Score: 12", 1, 2)]]
    assert len(follow_rows(counted)) == 2
    kept = [[row("Answer:", 0, 20)], [row("Answer: B", 20, 30)]]
    assert spans(follow_rows(kept)) == [("Answer:", 0, 20), ("Answer: B", 20, 30)]


def test_a_row_added_later_is_a_block_of_its_own() -> None:
    slide = [row("Agenda", 0, 30), row("Budget", 0, 30, top=0.3), row("Party", 22, 30, top=0.5)]
    blocks = group_blocks(slide, max_chars=400)
    assert [(block.text, block.start_s, block.end_s) for block in blocks] == [
        ("Agenda | Budget", 0, 30),
        ("Party", 22, 30),
    ]


def test_pieces_stand_where_the_row_was_seen_last() -> None:
    def labels(start_s: float, left: float, confidence: float, text: str) -> Row:
        pieces = [row(part, left=left + 0.4 * n) for n, part in enumerate(text.split(" | "))]
        parts = tuple(Piece(piece.text, piece.box) for piece in pieces)
        whole = row(text, start_s, start_s + 1, left=left, confidence=confidence)
        return replace(whole, parts=parts)

    before = labels(0, 0.1, 0.95, "Petrel | Halcyon")
    after = labels(1, 0.2, 0.9, "Petrel | Halcyon.")
    (found,) = follow_rows([[before], [after]])
    assert found.text == "Petrel | Halcyon"
    assert [(p.text, round(p.box.left, 3)) for p in found.pieces] == [
        ("Petrel", 0.2),
        ("Halcyon", 0.6),
    ]
    parted_or_not = follow_rows([[before], [row("Petrel Halcyon", 1, 2, confidence=0.5)]])
    assert spans(parted_or_not) == [("Petrel | Halcyon", 0, 2)]


def test_a_block_tells_columns_one_after_the_other() -> None:
    rows = [
        row(text, 0, 9, top=0.1 * n, left=left)
        for left, column in ((0.1, ["Left", "one"]), (0.6, ["Right", "two"]))
        for n, text in enumerate(column)
    ]
    blocks = group_blocks(sorted(rows, key=lambda one: one.box.top), max_chars=400)
    assert [block.text for block in blocks] == ["Left | one | Right | two"]


def test_a_block_is_split_between_rows_only() -> None:
    rows = [row("x" * 30, 0, 9, top=top) for top in (0.1, 0.2, 0.3)] + [
        row("y" * 90, 0, 9, top=0.4)
    ]
    sizes = [[len(row.text) for row in block.rows] for block in group_blocks(rows, max_chars=60)]
    assert sizes == [[30, 30], [30], [90]]


def test_credits_that_roll_are_one_block_in_order() -> None:
    names = [f"Person number {n}" for n in range(40)]
    pictures = [
        [
            row(name, second, second + 1, top=top)
            for n, name in enumerate(names)
            if 0 <= (top := 0.9 + 0.1 * n - 0.15 * second) <= 0.95
        ]
        for second in range(34)
    ]
    (block,) = group_blocks(follow_rows(pictures), max_chars=100)
    assert [one.text for one in block.rows] == names
    assert (block.start_s, block.end_s) == (0, 33)


def test_a_title_that_stands_beside_credits_is_a_block_of_its_own() -> None:
    pictures = [
        [row("THE END", second, second + 1, top=0.02)]
        + [
            row(f"Person number {n}", second, second + 1, top=0.3 + 0.2 * n - 0.1 * second)
            for n in range(3)
        ]
        for second in range(3)
    ]
    blocks = group_blocks(follow_rows(pictures), max_chars=100)
    assert sorted(block.text for block in blocks) == [
        "Person number 0 | Person number 1 | Person number 2",
        "THE END",
    ]
