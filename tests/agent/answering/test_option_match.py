import pytest

from agent.answering.option_match import letters, match_option
from agent.models.embedding import SentenceEmbeddings


def test_only_letters_that_exist_are_offered() -> None:
    assert letters(2) == "A or B"
    assert letters(4) == "A, B, C or D"
    assert letters(26).endswith("Y or Z")


@pytest.mark.parametrize(
    ("text", "choice", "how"),
    [
        ("B", 1, "letter"),
        ("It is a dog.", 1, "mention"),
        ("The feline slept on the sofa, a kitten really", 0, "meaning"),
        ("", None, "none"),
        ("It is a cat or a dog.", None, "none"),
        ("D", None, "none"),
    ],
)
def test_a_free_text_means_one_option_or_none(
    text: str, choice: int | None, how: str, embedder: SentenceEmbeddings
) -> None:
    match = match_option(text, ["a cat", "a dog", "a steam engine"], embedder)
    assert (match.choice, match.how) == (choice, how)


def test_the_text_of_an_option_stands_before_its_letter(embedder: SentenceEmbeddings) -> None:
    assert match_option("B", ["vitamin C", "C", "B"], embedder).choice == 2


def test_a_single_option_can_still_be_meant(embedder: SentenceEmbeddings) -> None:
    assert match_option("seven", ["7"], embedder).choice == 0
