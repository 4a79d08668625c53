"""Video-RAG as published: the strict request, raw query vectors, one document a frame."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.library.retrieval import by_threshold
from agent.models.embedding import SentenceEmbeddings
from agent.records import Question, Request
from agent.video_rag import published
from agent.video_rag.entities import published_filter
from agent.video_rag.published import (
    filter_note,
    lettered,
    published_request,
    texts_by_frame,
)
from tools.evidence import Evidence

QUESTION = "How many boats are left of the red lighthouse?"
CLEAN = '{"ASR": "the bell rang", "DET": ["boat", "red boat"], "TYPE": ["number", "location"]}'
WHOLE = Request("the bell rang", ("boat", "red boat"), ("location", "number"), "model")
NOTHING = Request(source="model")


@pytest.fixture
def nouns(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tagger to which every word is a noun, save "red"."""
    tags = {"red": "ADJ"}
    monkeypatch.setattr(
        published, "find_tagger", lambda: lambda text: [tags.get(w, "NOUN") for w in text.split()]
    )


@pytest.mark.parametrize("reply", [CLEAN, f" {CLEAN}\n"])
@pytest.mark.usefixtures("nouns")
def test_plain_json_is_a_request(reply: str) -> None:
    assert published_request(reply, QUESTION) == WHOLE


@pytest.mark.parametrize(
    "reply",
    [
        f"```json\n{CLEAN}\n```",
        f"Sure: {CLEAN}",
        f"{CLEAN} I hope this helps.",
        CLEAN.replace("]}", "],}"),
        CLEAN.replace('"', "\N{LEFT DOUBLE QUOTATION MARK}"),
        CLEAN.replace('"', "'"),
        CLEAN.lower(),
        f"{CLEAN}\n{CLEAN}",
        f"{CLEAN}\n\nQuestion: Why?",
        "null",
        "[]",
        "I cannot help",
        "",
        CLEAN[:40],
    ],
)
@pytest.mark.usefixtures("nouns")
def test_every_other_reply_requests_nothing_and_no_rule_stands_in(reply: str) -> None:
    assert published_request(reply, QUESTION) == NOTHING


@pytest.mark.parametrize(
    ("fields", "entities"),
    [
        ('"DET": "boat"', ("b", "o", "a", "t")),
        ('"DET": {"1": "boat"}', ("1",)),
        ('"DET": ["boat", "boat"]', ("boat", "boat")),
        ('"DET": ["boat", 3]', ()),
        ('"DET": null', ()),
        ('"TYPE": []', ()),
        ('"DET": ["video game", "music video", "Video", "video"]',
         ("video game", "music video", "Video")),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("nouns")
def test_entities_are_what_the_published_loop_makes_of_det(
    fields: str, entities: tuple[str, ...]
) -> None:
    assert published_request(f"{{{fields}}}", QUESTION).entities == entities


@pytest.mark.parametrize(
    ("kinds", "aspects"),
    [
        ('["Number"]', ()),
        ('["relationship"]', ()),
        ('["count"]', ()),
        ('["number", "relation", "location"]', ("location", "number", "relation")),
        ('["order"]', ()),
        ("null", ()),
    ],
)
def test_aspects_count_as_they_are_spelt(kinds: str, aspects: tuple[str, ...]) -> None:
    assert published_request(f'{{"TYPE": {kinds}}}', QUESTION).aspects == aspects


@pytest.mark.parametrize(
    ("said", "query"), [('""', ""), ('"null"', "null"), ("null", None), ('"a b"', "a b")]
)
def test_any_text_in_asr_is_a_query(said: str, query: str | None) -> None:
    request = published_request(f'{{"ASR": {said}}}', QUESTION)
    queries = published.channel_queries({"question": Question("Why?"), "request": request})
    assert queries["speech"] == ["Why?", *([] if query is None else [query])]


def test_the_filter_goes_by_parts_of_speech() -> None:
    tags = {"red": "ADJ", "man": "NOUN", "the": "DET", "in": "ADP", "Ann": "PROPN"}
    phrases = ["the man", "red man", "Ann", "video", "man in red"]
    assert published_filter(
        phrases, lambda phrase: [tags.get(word, "NOUN") for word in phrase.split()]
    ) == ("red man",)


def test_without_the_tagger_it_is_said_what_stands_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published, "find_tagger", lambda: None)
    assert published_request('{"DET": ["the man"]}', QUESTION).entities == ("man",)
    assert "own rules" in filter_note()
    monkeypatch.setattr(published, "find_tagger", lambda: str.split)
    assert filter_note() == ""


def test_options_are_queries_as_video_mme_has_them() -> None:
    assert lettered(Question("Why?", ("a boat", "a bell"))) == ["A. a boat", "B. a bell"]


def test_a_document_is_what_is_new_on_a_sampled_frame() -> None:
    seen = [
        Evidence("ocr", "text", 0, 9, "Harbour"),
        Evidence("ocr", "text", 0, 1, "Gate 4"),
        Evidence("ocr", "text", 3, 5, "Ferry"),
        Evidence("ocr", "text", 6, 6.4, "between two frames"),
        Evidence("ocr", "text", 8, 9, "Ferry"),
    ]
    documents = texts_by_frame(seen, [0.0, 4.0, 4.0, 8.0])
    assert [(one.start_s, one.text) for one in documents] == [(0, "Harbour; Gate 4"), (4, "Ferry")]


@pytest.fixture(scope="module")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> SentenceEmbeddings:
    """A tiny BERT of random weights with mean pooling and, like Contriever, raw vectors."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizer

    folder: Path = tmp_path_factory.mktemp("bert")
    letters = [chr(code) for code in range(97, 123)]
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{c}" for c in letters)]
    (folder / "vocab.txt").write_text("\n".join(words))
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"num_hidden_layers": 2, "num_attention_heads": 2}
    config = BertConfig(vocab_size=len(words), hidden_size=32, intermediate_size=64, **sizes)
    model = BertModel(config)
    model.encoder.layer[-1].output.LayerNorm.weight.data.uniform_(0.1, 3)  # so lengths differ
    model.save_pretrained(folder / "bert")
    BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder / "bert")
    encoder = Transformer(str(folder / "bert"))
    pooling = Pooling(config.hidden_size)
    SentenceTransformer(modules=[encoder, pooling], device="cpu").save(str(folder / "model"))
    return SentenceEmbeddings(str(folder / "model"), "cpu", offline=True, batch=8)


def test_queries_are_averaged_in_their_raw_lengths(tiny_bert: SentenceEmbeddings) -> None:
    """The mean of unit vectors would retrieve another set at some thresholds."""
    texts = [f"{a}{b} {b}{a}" for a in "abcdefghij" for b in "klmnop"]
    documents = tiny_bert.embed(texts)
    queries = ["a", "the long query about boats in the harbour", "zz zz"]
    raw, unit = tiny_bert.embed(queries, unit=False), tiny_bert.embed(queries)
    lengths = np.linalg.norm(raw, axis=1)
    assert lengths.max() > 1.01 * lengths.min()
    np.testing.assert_allclose(raw / lengths[:, None], unit, atol=1e-6)
    mean = raw.astype(float).mean(axis=0)
    cosines = documents.astype(float) @ mean / np.linalg.norm(mean)
    order, differing = np.sort(cosines), 0
    for threshold in ((order[1:] + order[:-1]) / 2)[np.diff(order) > 1e-5]:
        expected = np.flatnonzero(cosines > threshold).tolist()
        assert by_threshold(documents, raw, threshold) == expected
        differing += by_threshold(documents, unit, threshold) != expected
    assert differing > 0
