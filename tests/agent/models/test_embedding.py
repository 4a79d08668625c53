from pathlib import Path

import numpy as np
import pytest

from agent.models.embedding import SentenceEmbeddings
from tools.errors import MissingError

TEXTS = ["The gate code is 7391.", "The last ferry leaves at nine.", "A dog sleeps."]


def test_vectors_have_unit_length_and_one_type(embedder: SentenceEmbeddings) -> None:
    vectors = embedder.embed(TEXTS)
    assert vectors.shape == (3, 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_alike_in_meaning_is_near(embedder: SentenceEmbeddings) -> None:
    asked = embedder.embed(["Which number opens the gate?", "When does the boat depart?"])
    cosines = asked @ embedder.embed(TEXTS).T
    assert [int(row.argmax()) for row in cosines] == [0, 1]


def test_a_vector_does_not_depend_on_its_company(
    embedder: SentenceEmbeddings, embedding_model: Path
) -> None:
    alone = np.stack([embedder.embed([text])[0] for text in TEXTS])
    small = SentenceEmbeddings(str(embedding_model), "cpu", offline=True, batch=2)
    np.testing.assert_allclose(embedder.embed(TEXTS), alone, atol=1e-5)
    np.testing.assert_allclose(small.embed(TEXTS), alone, atol=1e-5)


def test_odd_texts_have_vectors_too(embedder: SentenceEmbeddings) -> None:
    vectors = embedder.embed(["", "\N{PILE OF POO}", "x" * 100_000])
    assert np.isfinite(vectors).all()


def test_it_tells_the_bytes_of_its_weights(
    embedder: SentenceEmbeddings, embedding_model: Path
) -> None:
    stored = (embedding_model / "model.safetensors").stat().st_size
    assert stored // 2 <= embedder.memory_bytes <= stored * 3


def test_langchains_interface_gives_the_same_numbers(embedder: SentenceEmbeddings) -> None:
    documents = embedder.embed_documents(TEXTS[:2])
    assert isinstance(documents[0][0], float)
    np.testing.assert_allclose(documents, embedder.embed(TEXTS[:2]), atol=1e-6)
    np.testing.assert_allclose(embedder.embed_query(TEXTS[0]), documents[0], atol=1e-5)


def test_offline_nothing_is_fetched() -> None:
    with pytest.raises(MissingError, match="--set offline=false"):
        SentenceEmbeddings("somebody/some-model", "cpu", offline=True, batch=1)


@pytest.mark.parametrize("damage", ["empty", "no weights", "cut weights", "broken config"])
def test_a_broken_folder_is_named(tmp_path: Path, embedding_model: Path, damage: str) -> None:
    for file in embedding_model.rglob("*"):
        if file.is_file() and damage != "empty":
            copy = tmp_path / file.relative_to(embedding_model)
            copy.parent.mkdir(exist_ok=True)
            copy.write_bytes(file.read_bytes() if file.stat().st_size < 1_000_000 else b"")
    weights = tmp_path / "model.safetensors"
    if damage == "no weights":
        weights.unlink()
    if damage == "cut weights":
        weights.write_bytes(b"\x10" + b"\0" * 20)
    if damage == "broken config":
        (tmp_path / "config.json").write_text("{")
    with pytest.raises(
        MissingError, match=r"(?s)cannot be loaded.*--set embedder\.model="
    ) as error:
        SentenceEmbeddings(str(tmp_path), "cpu", offline=True, batch=1)
    assert str(tmp_path) in str(error.value)
