import pytest

from tools.ocr.columns import Parted, is_value, join_rows
from tools.ocr.rows import Box, Row, reading_order

HEIGHT = 0.05


def row(text: str, left: float, top: float, height: float = HEIGHT, confidence: float = 0.9) -> Row:
    return Row(text, Box(left, top, left + 0.02 * len(text), top + height), confidence, 0, 1)


def grid(
    lefts: list[float], lines: list[list[str]], step: float = 0.08, top: float = 0.1
) -> list[Row]:
    """Return the texts of a picture; an empty one is a gap."""
    return [
        row(text, left, top + step * n)
        for n, line in enumerate(lines)
        for left, text in zip(lefts, line, strict=True)
        if text
    ]


def told(pieces: list[Row], parted: Parted = lambda left, right: False) -> list[str]:
    return [row.text for row in reading_order(join_rows(pieces, 1.0, parted))]


def edge_at(*places: float) -> Parted:
    return lambda left, right: any(left.right <= x <= right.left for x in places)


def test_a_label_and_its_value_are_one_row_of_two_cells() -> None:
    pieces = [
        row("3.50", left=0.8, top=0.31),
        row("Menu", left=0.1, top=0.1),
        row("Coffee", left=0.1, top=0.3, confidence=0.7),
        row("2.80", left=0.8, top=0.4),
        row("Tea", left=0.1, top=0.41),
    ]
    rows = join_rows(pieces)
    assert [row.text for row in rows] == ["Menu", "Coffee 3.50", "Tea 2.80"]
    assert rows[1].confidence == pytest.approx(0.8)
    assert (rows[1].box.left, rows[1].box.bottom) == (0.1, pytest.approx(0.36))
    assert [piece.text for piece in rows[1].pieces] == ["Coffee", "3.50"]
    assert [(piece.text, piece.box) for piece in rows[0].pieces] == [("Menu", rows[0].box)]


def test_tall_text_beside_rows_joins_none_of_them() -> None:
    pieces = [row("SIDE", 0, 0.1, height=0.5), row("a", 0.1, 0.2), row("b", 0.1, 0.4)]
    assert told(pieces) == ["SIDE", "a", "b"]


def test_two_panels_are_read_one_after_the_other_and_tables_in_them_stay() -> None:
    lines = [
        ["Opening hours", "Tickets", ""],
        ["Tue - Sun", "Adults", "14.50"],
        ["9:30 - 17:45", "Students", "9.00"],
        ["", "Families", "33.00"],
        ["Monday closed", "Under 12", "free"],
    ]
    assert told(grid([0.05, 0.45, 0.8], lines), edge_at(0.4)) == [
        "Opening hours",
        "Tue - Sun",
        "9:30 - 17:45",
        "Monday closed",
        "Tickets",
        "Adults 14.50",
        "Students 9.00",
        "Families 33.00",
        "Under 12 free",
    ]


def test_wide_lines_on_one_ground_are_columns_between_title_and_footer() -> None:
    lines = [
        ["It needs no fuel at", "Wind does not always"],
        ["all and is soon built", "blow where we need"],
        ["", "electric power"],
    ]
    title = row("What wind power costs us and what it gives", 0.05, 0.0)
    footer = row("From the yearly report of the energy agency", 0.05, 0.5)
    pieces = [title, footer, *grid([0.05, 0.55], lines)]
    left, right = ([line[side] for line in lines if line[side]] for side in (0, 1))
    assert told(pieces) == [title.text, *left, *right, footer.text]


@pytest.mark.parametrize(
    ("lefts", "lines"),
    [
        ([0.1, 0.6], [["Monday", "9:30 - 17:45"], ["Tuesday", "closed"], ["Friday", "10:00"]]),
        ([0.1, 0.6], [["Norway", "Oslo"], ["Sweden", "Malmo"], ["Finland", "Turku"]]),
        ([0.1, 0.35, 0.75], [["10:15", "Gull Island", "Pier A"], ["10:40", "Old Fort", "Pier C"]]),
        ([0.1, 0.4, 0.7], [["Club", "Played", "Won"], ["York", "38", "26"], ["Leeds", "38", "8"]]),
        ([0.1, 0.6], [["Total", "12.50"]]),
        ([0.1, 0.6], [["Password:", "heron"]]),
    ],
)
def test_rows_of_a_table_stay_together(lefts: list[float], lines: list[list[str]]) -> None:
    assert told(grid(lefts, lines)) == [" ".join(line) for line in lines]


def test_a_table_on_coloured_tags_stays_together() -> None:
    lines = [["Coffee", "3.50"], ["Tea", "2.80"]]
    assert told(grid([0.1, 0.6], lines), edge_at(0.5)) == ["Coffee 3.50", "Tea 2.80"]


def test_two_tables_side_by_side_are_columns() -> None:
    lines = [["Coffee", "3.50", "Juice", "4.00"], ["Tea", "2.80", "Water", "1.00"]]
    lines.append(["Cocoa", "3.90", "Milk", "1.50"])
    assert told(grid([0.05, 0.3, 0.6, 0.85], lines)) == [
        *("Coffee 3.50", "Tea 2.80", "Cocoa 3.90"),
        *("Juice 4.00", "Water 1.00", "Milk 1.50"),
    ]


def test_labels_side_by_side_are_pieces_and_words_of_a_name_are_not() -> None:
    pieces = [row("Petrel", 0.05, 0.5), row("Grey", 0.3, 0.5), row("Marten", 0.39, 0.505)]
    (found,) = join_rows([*pieces, row("Juno", 0.8, 0.5)])
    assert found.text == "Petrel | Grey Marten | Juno"
    assert [(piece.text, round(piece.box.left, 2)) for piece in found.pieces] == [
        ("Petrel", 0.05),
        ("Grey Marten", 0.3),
        ("Juno", 0.8),
    ]


@pytest.mark.parametrize("edges", [(0.25, 0.65), ()])
def test_a_name_keeps_what_stands_close_under_it(edges: tuple[float, ...]) -> None:
    names = grid(
        [0.05, 0.35, 0.75], [["Petrel", "Juno", "Halcyon"], ["1871", "1897", "1903"]], 0.06
    )
    (found,) = join_rows(names, 1.0, edge_at(*edges))
    assert found.text == "Petrel 1871 | Juno 1897 | Halcyon 1903"
    assert [piece.text for piece in found.pieces] == found.text.split(" | ")
    assert found.pieces[1].parts == ("Juno", "1897")
    assert found.pieces[1].box == Box(0.35, 0.1, 0.43, pytest.approx(0.21))


def test_signs_far_apart_do_not_share_a_gutter() -> None:
    lines = [["Cloakroom", "Way out"], ["Toilets", "Shop"]]
    rows = join_rows(grid([0.1, 0.6], lines, step=0.4), 1.0, edge_at(0.5))
    assert [row.text for row in rows] == ["Cloakroom | Way out", "Toilets | Shop"]


def test_a_lone_letter_beside_a_word_is_no_label() -> None:
    pieces = [row("Fishmarket", 0.1, 0.4), row("I", 0.8, 0.4)]
    assert {row.text for row in join_rows(pieces)} == {"Fishmarket", "I"}
    answers = [row(letter, 0.2 * n, 0.4) for n, letter in enumerate("ABC")]
    assert told(answers) == ["A | B | C"]


def test_gaps_are_measured_in_line_heights() -> None:
    pieces = [row("Grey", 0.1, 0.5), row("Marten", 0.2, 0.5)]  # 0.02 apart, 0.05 high
    assert [row.text for row in join_rows(pieces, aspect=1.8)] == ["Grey Marten"]
    assert [row.text for row in join_rows(pieces, aspect=5)] == ["Grey | Marten"]


def test_a_long_name_among_labels_leaves_a_narrower_gap() -> None:
    pieces = [row("Petrel", 0.05, 0.5), row("Grey Marten", 0.4, 0.5), row("Juno", 0.665, 0.5)]
    assert told(pieces) == ["Petrel | Grey Marten | Juno"]
    assert told(pieces[1:]) == ["Grey Marten Juno"]


@pytest.mark.parametrize("text", ["3.50", "9:30 - 17:45", "41 m", "€4", "1 : 20 000", "12%"])
def test_figures_are_values(text: str) -> None:
    assert is_value(text)


@pytest.mark.parametrize("text", ["free", "Under 12", "Pier A", "14 November", "-", "B-52 wing"])
def test_words_are_no_values(text: str) -> None:
    assert not is_value(text)


def test_speech_bubbles_that_take_turns_are_read_from_the_top() -> None:
    talk = [
        row(text, left, top)
        for text, left, top in [
            ("Are you there?", 0.05, 0.1),
            ("Just came in", 0.6, 0.25),
            ("Shall we meet?", 0.05, 0.4),
            ("At six", 0.6, 0.55),
        ]
    ]
    assert told(talk) == [one.text for one in talk]
