from tools.ocr.moving import join_moving
from tools.ocr.rows import Box, Row

NEWS = "Harbour ferry late today *** Market square closed on Monday *** Storm expected in the north"


def row(text: str, start_s: float, left: float = 0.1, top: float = 0.9, width: float = 0.4) -> Row:
    return Row(text, Box(left, top, left + width, top + 0.05), 0.9, start_s, start_s + 1)


def ticker(text: str, letters_per_s: int, shown: int = 40) -> list[Row]:
    """What a window of `shown` letters over the whole width reads each second."""
    found = []
    for second in range(-shown // letters_per_s + 1, len(text) // letters_per_s - 1):
        first = second * letters_per_s
        seen = text[max(first, 0) : first + shown].strip()
        left = max(-first, 0) / shown
        found.append(row(seen, float(second + shown), left, width=len(seen) / shown))
    return [one for one in found if len(one.text) > 12]


def told(rows: list[Row]) -> list[tuple[float, float, str]]:
    return [(one.start_s, one.end_s, one.text) for one in join_moving(rows)]


def test_a_ticker_is_one_row_with_its_whole_text() -> None:
    parts = ticker(NEWS, 8)
    assert len(parts) > 8
    assert told(parts) == [(parts[0].start_s, parts[-1].end_s, NEWS)]


def test_a_letter_cut_off_at_the_edge_is_not_part_of_the_text() -> None:
    parts = [
        row("Harbour ferry late tod|", 0, 0.5, width=0.5),
        row("ferry late today *** Ma1", 1, 0.3, width=0.7),
        row("(ate today *** Market square", 2, 0.0, width=1.0),
    ]
    assert told(parts) == [(0, 3, "Harbour ferry late today *** Market square")]


def test_a_ticker_that_begins_again_is_told_once() -> None:
    ((_, _, text),) = told(ticker(NEWS + " *** " + NEWS + " *** " + NEWS, 8))
    assert text == NEWS + " ***"


def test_lines_that_stand_still_are_no_ticker() -> None:
    lines = [row("The harbour ferry is late", 0), row("The harbour ferry is late today", 1)]
    assert told(lines) == [(one.start_s, one.end_s, one.text) for one in lines]


def test_two_tickers_do_not_mix() -> None:
    upper = ticker(NEWS, 8)
    lower = [
        Row(
            one.text.upper(),
            Box(one.box.left, 0.8, one.box.right, 0.85),
            0.9,
            one.start_s,
            one.end_s,
        )
        for one in upper
    ]
    both = sorted(upper + lower, key=lambda one: (one.start_s, one.box.top))
    assert sorted(text for _, _, text in told(both)) == sorted([NEWS, NEWS.upper()])


def test_a_clock_is_one_row_with_its_first_and_last_value() -> None:
    shown = [row(f"Home 2 | 09:{58 + n} | Away 1" if n < 2 else f"Home 2 | 10:0{n - 2} | Away 1", n)
             for n in range(6)]  # fmt: skip
    assert told(shown) == [(0, 6, "Home 2 | 09:58 … 10:03 | Away 1")]


def test_a_clock_that_runs_down_is_one_too() -> None:
    assert told([row(f"{9 - n} s", n) for n in range(9)]) == [(0, 9, "9 … 1 s")]


def test_a_score_beside_a_clock_ends_the_row() -> None:
    shown = [row(f"{n // 5} goals 0:1{n}", n) for n in range(10)]
    assert told(shown) == [(0, 5, "0 goals 0:10 … 0:14"), (5, 10, "1 goals 0:15 … 0:19")]


def test_numbers_that_jump_or_are_few_are_no_clock() -> None:
    jumping = [row(f"Room {n}", second) for second, n in enumerate([12, 7, 31, 4, 18])]
    assert len(told(jumping)) == 5
    assert len(told([row(f"Score {n}", n) for n in range(3)])) == 3
