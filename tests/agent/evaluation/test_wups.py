from pathlib import Path

import nltk
import pytest

from agent.evaluation import wups as module
from agent.evaluation.wups import content_words, similarity, wups
from tools.errors import MissingError


def test_similar_words_earn_their_similarity(wordnet: Path) -> None:
    # Wu and Palmer: twice the depth of the common concept over the sum of depths: 2 * 2 / (3 + 3).
    assert similarity(["dog"], ["cat"], 0.0) == pytest.approx(2 / 3)
    assert similarity(["dog"], ["cat"], 0.9) == pytest.approx(2 / 30)  # below it, a tenth
    assert similarity(["dog"], ["dog"], 0.9) == 1.0


def test_the_worse_direction_counts_and_unlike_words_are_left_out(wordnet: Path) -> None:
    assert similarity(["dog"], ["dog", "home"], 0.0) == pytest.approx(2 / 5)
    assert similarity(["dog", "zzz"], ["dog"], 0.0) == 1.0  # as in the published script
    assert similarity([], ["dog"], 0.0) == 0.0


def test_words_are_lemmas_without_those_that_tell_nothing(wordnet: Path) -> None:
    assert content_words("The dogs are walking, not at home!") == ["dog", "walk", "not", "home"]


def test_the_best_of_several_true_answers_counts(wordnet: Path) -> None:
    assert wups("a house", [("cat",), ("house",)], "DL", 0.0) == 1.0


@pytest.mark.parametrize(("said", "worth"), [("no", 1.0), ("no dog", 0.0)])
def test_yes_no_and_counts_are_right_or_wrong(wordnet: Path, said: str, worth: float) -> None:
    assert wups(said, [("no",)], "DB", 0.0) == worth


def test_missing_files_are_said_with_their_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nltk.data, "path", [])
    module._wordnet.cache_clear()

    with pytest.raises(MissingError, match="NLTK_DATA"):
        module._wordnet()
