from dataclasses import replace

import pytest

from tools.ocr.fragments import join_fragments
from tools.ocr.rows import Box, Row
from tools.ocr.tracking import follow_rows


def row(
    text: str,
    start_s: float,
    end_s: float,
    left: float = 0.1,
    top: float = 0.5,
    confidence: float = 0.99,
) -> Row:
    return Row(
        text, Box(left, top, left + 0.02 * len(text), top + 0.06), confidence, start_s, end_s
    )


def spans(rows: list[Row]) -> list[tuple[str, float, float]]:
    return [(row.text, row.start_s, row.end_s) for row in rows]


def test_text_that_slides_in_is_told_once_from_its_first_letters_on() -> None:
    texts = ["LD", "GOLD", "IGOLD", "RIGOLD"]
    rows = [row(text, n, n + 1, left=0) for n, text in enumerate(texts)]
    ship = [row("MARIGOLD", 4, 5, left=0.02), row("MARIGOLD", 5, 30, left=0.6)]
    found = join_fragments(follow_rows([[one] for one in [*rows, *ship]]))
    assert spans(found) == [("MARIGOLD", 0, 30)]
    assert found[0].box.left == 0.6


def test_a_sign_that_drives_past_is_told_once() -> None:
    passing = [("Fishmarket", 0.06), ("6 Fishmàrket", 0.27), ("6 Fishmarket", 0.5)]
    rows = [row(text, n, n + 1, left) for n, (text, left) in enumerate(passing)]
    rows[1] = replace(rows[1], confidence=0.97)
    rows.append(row("6 Fi hmàrket", 3, 4, left=0.74, confidence=0.88))
    assert spans(join_fragments(rows)) == [("6 Fishmarket", 0, 4)]


@pytest.mark.parametrize(
    ("glimpse", "stays"),
    [
        ("Score 1", "Score 12"),  # another figure
        ("Platform 4", "Platform 5"),
        ("cat", "chart"),  # short, and whole in the picture
        ("Heron Bay", "Gull Island"),
        ("Chapter A", "Chapter B"),
        ("Answer B", "Answer"),
        ("Agenda", "A longer sentence that ends so on the same day"),  # few of its letters
    ],
)
def test_texts_of_their_own_stay(glimpse: str, stays: str) -> None:
    rows = [row(glimpse, 0, 1), row(stays, 1, 20)]
    assert spans(join_fragments(rows)) == [(glimpse, 0, 1), (stays, 1, 20)]


def test_a_part_far_off_or_long_before_or_long_lived_stays() -> None:
    whole = row("6 Fishmarket", 10, 20)
    for other in (
        row("Fishmarket", 9, 10, top=0.1),
        row("Fishmarket", 2, 3),
        row("Fishmarket", 4, 10),
        row("Fishmarket", 12, 14, left=0.7),  # beside it at the same time
    ):
        assert len(join_fragments(sorted([other, whole], key=lambda one: one.start_s))) == 2


def test_a_blend_of_two_rows_that_change_places_is_dropped() -> None:
    before, after = row("11:05 Old Fort Pier B", 0, 9), row("11:05 Old Fort CANCELLED", 10, 30)
    blend = row("11:05 Old Fort CANCELLEDr B", 9, 10)
    assert join_fragments([before, blend, after]) == [before, after]
    alone = [row("Question", 0, 9, top=0.1), row("Answer B", 9, 10), row("Answer", 10, 30)]
    assert len(join_fragments(alone)) == 3


def test_stray_letters_are_dropped_and_figures_and_sure_letters_stay() -> None:
    rows = [
        row("O", 0, 6, confidence=0.7),
        row("n", 0, 1),
        row("O O", 0, 9, confidence=0.55),
        row("A", 0, 9),
        row("7", 0, 1, confidence=0.6),
        row("N No", 0, 1),
    ]
    assert {one.text for one in join_fragments(rows)} == {"A", "7", "N No"}
