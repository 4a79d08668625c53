"""The real packed weights, read by the real loading code."""

from pathlib import Path

import numpy as np
import pytest

from agent.models.embedding import SentenceEmbeddings
from agent.models.multilingual_e5 import load_packed
from agent.models.packed_e5 import read_packed
from tools.errors import MissingError
from tools.model_files.store import ModelStore

NAME = "multilingual-e5-small"
ENGLISH = ["The key hangs behind the stove.", "Tickets cost nine euros.", "It rained all night."]
OTHERS = {
    "German": [
        "Der Schlüssel hängt hinter dem Ofen.",
        "Karten kosten neun Euro.",
        "Es regnete die ganze Nacht.",
    ],
    "French": [
        "La clé est derrière le poêle.",
        "Les billets coûtent neuf euros.",
        "Il a plu toute la nuit.",
    ],
    "Japanese": ["鍵はストーブの後ろにある。", "チケットは9ユーロです。", "一晩中雨が降った。"],
}


@pytest.fixture(scope="module")
def folder(models_folder: Path) -> Path:
    return ModelStore(models_folder).find(NAME)


@pytest.fixture(scope="module")
def e5(folder: Path) -> SentenceEmbeddings:
    return SentenceEmbeddings(NAME, "cpu", offline=True, batch=4, source=str(folder))


@pytest.mark.parametrize("language", OTHERS)
def test_a_translation_is_nearer_than_anything_else(e5: SentenceEmbeddings, language: str) -> None:
    cosines = e5.embed(ENGLISH) @ e5.embed(OTHERS[language]).T
    assert cosines.argmax(axis=0).tolist() == [0, 1, 2]
    assert cosines.argmax(axis=1).tolist() == [0, 1, 2]


def test_a_question_finds_its_answer_in_another_language(e5: SentenceEmbeddings) -> None:
    asked = e5.embed_queries(["Where is the key?", "What is the price of a ticket?"])
    cosines = asked @ e5.embed(OTHERS["German"]).T
    assert cosines.argmax(axis=1).tolist() == [0, 1]


def test_vectors_have_unit_length_and_depend_on_the_text_alone(e5: SentenceEmbeddings) -> None:
    together = e5.embed([*ENGLISH, "x" * 100_000, ""])
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(e5.embed(ENGLISH[:1])[0], together[0], atol=1e-5)
    same = e5.embed(["Schlu\u0308ssel  hinten", "Schlüssel hinten"])  # two marks for one letter
    np.testing.assert_allclose(same[0], same[1], atol=1e-5)


def test_what_is_asked_and_what_is_searched_are_told_apart(e5: SentenceEmbeddings) -> None:
    assert float(e5.embed_queries(ENGLISH[:1])[0] @ e5.embed(ENGLISH[:1])[0]) < 0.999


def test_similarities_are_alike_for_all_models(
    e5: SentenceEmbeddings, embedder: SentenceEmbeddings
) -> None:
    for model in (e5, embedder):
        asked = model.embed_queries(["How are volcanoes made?", ENGLISH[0]])
        unlike, same = model.similarity(model.embed(ENGLISH) @ asked.T).T
        assert unlike.max() < 0.3
        assert same[0] > 0.6
        assert float(model.similarity(np.ones(1, np.float32))[0]) == pytest.approx(1)


def test_the_words_stay_packed(e5: SentenceEmbeddings, folder: Path) -> None:
    words = read_packed(folder / "e5-small-q4.bin").sizes.vocabulary * 384 * 4
    assert e5.memory_bytes < words / 2


@pytest.mark.parametrize("harm", ["another file", "cut"])
def test_a_damaged_file_is_named(tmp_path: Path, folder: Path, harm: str) -> None:
    whole = (folder / "e5-small-q4.bin").read_bytes()
    damaged = tmp_path / "e5-small-q4.bin"
    damaged.write_bytes(b"GGUF" + whole[4:100] if harm == "another file" else whole[:1_000_000])
    with pytest.raises(ValueError, match="is no file of" if harm == "another file" else "was cut"):
        load_packed(damaged, "cpu")
    with pytest.raises(MissingError, match="cannot be loaded"):
        SentenceEmbeddings(str(tmp_path), "cpu", offline=True, batch=1)
