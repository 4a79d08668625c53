import pytest

from agent.extractive.rank import (
    answering_row,
    clear_row,
    expected_kind,
    expected_pattern,
    fits,
    meant_row,
)
from agent.models.embedding import SentenceEmbeddings
from agent.records import Question
from tools.evidence import Evidence

PRICES = "Tickets | Adults 14.50 | Students 9.00 | Families 33.00"
TOWER = "Built 1869 | Height 41 m | Range 22 sea miles"
BOATS = "Departures | 10:15 Gull Island | 10:40 Lantern Rock"


@pytest.mark.parametrize(
    ("question", "record", "meant"),
    [
        ("How much do I pay as a student to get in?", PRICES, "Students 9.00"),
        ("How much is it for a family?", PRICES, "Families 33.00"),
        ("How tall is the lighthouse?", TOWER, "Height 41 m"),
        ("How far can its light be seen?", TOWER, "Range 22 sea miles"),
        ("When does the boat to Gull Island leave?", BOATS, "10:15 Gull Island"),
    ],
)
def test_of_several_rows_the_one_that_is_asked_about_is_given(
    embedder: SentenceEmbeddings, question: str, record: str, meant: str
) -> None:
    whole = Evidence("ocr", "text", 1.0, 2.0, record, id="ocr:3")
    piece = Evidence("ocr", "text", 1.0, 2.0, record.rpartition(" | ")[0], id="ocr:3")
    found = meant_row(Question(question), piece, [whole], embedder)
    assert found.text == meant
    assert (found.id, found.start_s, found.end_s) == ("ocr:3", 1.0, 2.0)


@pytest.mark.parametrize(
    ("question", "record"),
    [
        ("What do students like?", PRICES),  # no telling what an answer looks like
        ("When was it built?", TOWER),  # one row alone holds a date
        ("How much is that?", "Soup 4.20 | Soups 4.30"),  # none stands out
        ("How much does a student pay?", "Students 9.00"),
    ],
)
def test_where_none_stands_out_the_line_stays(
    embedder: SentenceEmbeddings, question: str, record: str
) -> None:
    line = Evidence("ocr", "text", 1.0, 2.0, record, id="ocr:3")
    assert meant_row(Question(question), line, [line], embedder) == line


def test_a_row_is_clear_only_if_no_other_has_as_many_words_of_the_question() -> None:
    assert clear_row("Which boat goes to Heron Bay?", "Gull Island | Heron Bay") == "Heron Bay"
    assert clear_row("Which bay?", "Heron Bay | Old Bay") == ""
    assert clear_row("Which bay?", "Heron Bay") == ""


@pytest.mark.parametrize(
    ("question", "row"),
    [
        ("Which number do I ring?", "Phone 0555 274 609"),
        ("When does it open?", "Saturday 10:00 - 12:30"),
        ("What is it about?", "Knots | Saturday 10:00 - 12:30 | Phone 0555 274 609"),
        ("Which number is it?", "Knots | Saturday 10:00 - 12:30 | Phone 0555 274 609"),
    ],
)
def test_a_quotation_is_the_one_row_that_answers(question: str, row: str) -> None:
    text = "Knots | Saturday 10:00 - 12:30 | Phone 0555 274 609"
    assert answering_row(Question(question), text) == row


@pytest.mark.parametrize(
    ("text", "is_time"),
    [
        ("9:30 - 17:45", True),
        ("9.30 - 17.45", True),
        ("at 9.30", True),
        ("7.15 p.m.", True),
        ("Adults 14.50", False),
        ("Coffee 3.50", False),
        ("at half past nine", True),
    ],
)
def test_a_price_is_no_time(text: str, is_time: bool) -> None:
    question = "When does the museum open?"
    assert expected_kind(question) == "time"
    assert fits(text, expected_pattern(question)) is is_time
