import pytest

from agent.state import Question
from agent.video_rag.reading import clear_row, meant_row
from tools.evidence import Evidence

PRICES = "Tickets | Adults 14.50 | Students 9.00"


@pytest.mark.parametrize(
    ("question", "text", "meant"),
    [
        ("How much do I pay as a student to get in?", PRICES, "Students 9.00"),
        ("How much are the tickets?", PRICES, PRICES),  # the row that is meant holds no price
        ("How much is it for a family?", PRICES, PRICES),
        ("When do students pay, and when adults?", PRICES, PRICES),
        ("What do students like?", PRICES, PRICES),  # no telling what an answer looks like
        (
            "When does the boat to Gull Island leave?",
            "Departures | 10:15 Gull Island | 10:40 Lantern Rock",
            "10:15 Gull Island",
        ),
        ("How much does a student pay?", "Students 9.00", "Students 9.00"),
    ],
)
def test_of_several_rows_the_one_that_is_asked_about_stays(
    question: str, text: str, meant: str
) -> None:
    line = Evidence("ocr", "text", 1.0, 2.0, text, id="ocr:3")
    found = meant_row(Question(question), line)
    assert found.text == meant
    assert (found.id, found.start_s, found.end_s) == ("ocr:3", 1.0, 2.0)


def test_a_row_is_clear_only_if_no_other_has_as_many_words_of_the_question() -> None:
    assert clear_row("Which boat goes to Heron Bay?", "Gull Island | Heron Bay") == "Heron Bay"
    assert clear_row("Which bay?", "Heron Bay | Old Bay") == ""
    assert clear_row("Which bay?", "Heron Bay") == ""
