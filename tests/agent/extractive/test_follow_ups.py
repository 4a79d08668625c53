import pytest

from agent.extractive.follow_ups import ALIKE, TOGETHER, resolve
from agent.models.embedding import SentenceEmbeddings

PRICE = "How much do I pay as a student to get in?"
SHUT = "At what time does the museum shut in the evening?"
CAPITAL = "What is the capital of France?"
KNOTS = "Who leads the course on knots?"


@pytest.mark.parametrize(
    ("before", "answer", "question", "meant"),
    [
        (PRICE, "9.00", "And as a child?", "How much do I pay as a child to get in?"),
        (PRICE, "9.00", "And as a family?", "How much do I pay as a family to get in?"),
        (SHUT, "17:45", "And on Sundays?", "At what time does the museum shut on Sundays?"),
        (
            SHUT,
            "17:45",
            "What about the library?",
            "At what time does the library shut in the evening?",
        ),
        (CAPITAL, "Paris", "And of Germany?", "What is the capital of Germany?"),
        ("What does the captain eat?", "an apple", "and the cook?", "What does the cook eat?"),
    ],
)
def test_what_is_new_takes_the_place_of_what_is_like_it(
    embedder: SentenceEmbeddings, before: str, answer: str, question: str, meant: str
) -> None:
    understood = resolve(question, before, answer, embedder)
    assert understood.question == meant
    assert understood.how == ALIKE


@pytest.mark.parametrize(
    ("before", "answer", "question", "meant"),
    [
        (SHUT, "17:45", "And when does it open?", "When does the museum open?"),
        (KNOTS, "Mara Lind", "What is her phone number?", "What is Mara Lind's phone number?"),
        (
            KNOTS,
            "Mara Lind",
            "How long does it last?",
            "How long does the course on knots last?",
        ),
        ("How heavy is the pendulum?", "28 kg", "How long is it?", "How long is the pendulum?"),
        ("Who built the ship?", "Jonas Falk", "When did he do so?", "When did Jonas Falk do so?"),
        ("Where do we meet?", "at the harbour", "What is there?", "What is at the harbour?"),
    ],
)
def test_a_pronoun_stands_for_what_was_spoken_of(
    embedder: SentenceEmbeddings, before: str, answer: str, question: str, meant: str
) -> None:
    understood = resolve(question, before, answer, embedder)
    assert understood.question == meant
    assert " is " in understood.how


@pytest.mark.parametrize(
    "question",
    [
        "How many boats are on the picture?",
        "Is there a café?",
        "Does the lecturer say when she is back?",
        "And what is the name of the captain?",
        "Wo ist der Ausgang?",
    ],
)
def test_a_question_that_stands_alone_is_left_alone(
    embedder: SentenceEmbeddings, question: str
) -> None:
    understood = resolve(question, SHUT, "17:45", embedder)
    assert (understood.question, understood.how) == (question, "")


@pytest.mark.parametrize(
    "question", ["And what about adults?", "What is his name?", "And her hat?"]
)
def test_where_no_words_fit_both_questions_are_read_together(
    embedder: SentenceEmbeddings, question: str
) -> None:
    understood = resolve(question, PRICE, "", embedder)
    assert understood.question == f"{PRICE} {question}"
    assert understood.how == TOGETHER
