"""The groundedness check on its own."""

import pytest

from agent.answering.support import Text, is_refusal, support

LINES = [
    Text("Welcome to the harbour tour."),
    Text("The gate code is 7391."),
    Text("The last ferry leaves at half past nine, says Captain Smith."),
    Text("The museum is closed on Monday. Adults 14,50"),
    Text("图书馆在三楼 每天九点开门"),
]


@pytest.mark.parametrize(
    ("answer", "question"),
    [
        ("7391", "What is the gate code?"),
        ("The gate code is 7391.", "What is the gate code?"),
        ("At half past 9", "When does the last ferry leave?"),
        ("Captain Smith", "Who says so?"),
        ("It does not open on Mondays", "When is the museum open?"),
        ("No, it is closed then.", "Is the museum open on Mondays?"),
        ("Yes", "Is the museum closed on Mondays?"),
        ("14.50", "What do adults pay?"),
        ("在三楼", "图书馆在哪里"),
    ],
)
def test_what_the_lines_hold_is_supported(answer: str, question: str) -> None:
    assert support(answer, LINES, question).enough


@pytest.mark.parametrize(
    ("answer", "question", "missing"),
    [
        ("9999", "What is the gate code?", ("9999",)),
        ("The gate code is 7392.", "What is the gate code?", ("7392",)),
        ("It was Captain Miller", "Who says so?", ("miller",)),
        ("The gate code", "What is the gate code?", ()),
        ("Bananas and pears", "What is sold?", ()),
        ("在地下停车场", "图书馆在哪里", ()),
        ("Yes", "Does the elephant dance?", ()),
        ("", "What is the gate code?", ()),
    ],
)
def test_what_they_do_not_hold_is_not(answer: str, question: str, missing: tuple[str, ...]) -> None:
    found = support(answer, LINES, question)
    assert not found.enough
    assert found.missing == missing


@pytest.mark.parametrize("text", ["not known", "Not known.", " NOT KNOWN! "])
def test_the_sentinel_is_a_refusal(text: str) -> None:
    assert is_refusal(text)


@pytest.mark.parametrize("text", ["It is not known to many.", "unknown", "I do not know", "", "no"])
def test_nothing_else_is_a_refusal(text: str) -> None:
    assert not is_refusal(text)
