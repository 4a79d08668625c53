"""A question fetches what it needs once, and the index of vectors is kept with the library."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.library.retrieval import retrieve
from agent.library.store import Library
from agent.models.embedding import SentenceEmbeddings
from agent.session import Session
from agent.settings import RetrievalSettings

Open = Callable[..., Session]
QUESTION = "What is the gate code?"


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every statement that any connection runs from now on."""
    told: list[str] = []
    real = sqlite3.connect

    def connect(*args: Any, **options: Any) -> sqlite3.Connection:
        db = real(*args, **options)
        db.set_trace_callback(told.append)
        return db

    monkeypatch.setattr("agent.library.database.sqlite3.connect", connect)
    return told


def test_a_warm_question_fetches_no_evidence_and_opens_nothing_anew(
    open_session: Open, scripted: Any, harbour: Path, statements: list[str]
) -> None:
    session = open_session(scripted())
    session.ask(harbour, QUESTION)
    statements.clear()
    session.ask(harbour, QUESTION)
    run = [s.strip() for s in statements if not s.startswith("--")]
    assert not [s for s in run if "vector" in s or "faiss" in s or "ORDER BY start_s" in s]
    assert not [s for s in run if "journal_mode" in s or s.startswith(("BEGIN", "INSERT"))]
    searches = [s for s in run if "MATCH" in s]
    assert len(searches) == 1
    looked_up = [s for s in run if "MATCH" not in s and "PRAGMA" not in s]
    assert len(looked_up) <= 6


def test_another_program_reads_the_index_and_no_vectors(
    open_session: Open, scripted: Any, harbour: Path, statements: list[str]
) -> None:
    first = open_session(scripted())
    answer = first.ask(harbour, QUESTION)
    first.library.close()
    second = open_session(scripted())
    statements.clear()
    again = second.ask(harbour, QUESTION)
    assert again.evidence == answer.evidence
    assert len([s for s in statements if "SELECT faiss" in s]) == 1
    assert len([s for s in statements if "ORDER BY start_s" in s]) == 1
    assert not [s for s in statements if "FROM embeddings" in s]


@pytest.fixture
def indexed(open_session: Open, harbour: Path) -> tuple[Library, int]:
    """A library with an index of the vectors of one run, and this run."""
    session = open_session()
    session.index(harbour)
    (run,) = session.library.runs(session.probe(harbour).sha256)
    return session.library, run.id


def test_cosines_are_those_of_the_vectors(
    indexed: tuple[Library, int], embedder: SentenceEmbeddings
) -> None:
    library, run = indexed
    view = library.view([run])
    texts = [record.text for record in view.records]
    assert len(texts) == 3
    queries = embedder.embed([QUESTION, "ferry"])
    expected = embedder.embed(texts) @ queries.T
    np.testing.assert_allclose(view.cosines(embedder, queries), expected, atol=1e-5)
    np.testing.assert_allclose(view.vectors(embedder), embedder.embed(texts), atol=1e-5)


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE indexes SET faiss = x'00010203'",
        "UPDATE indexes SET evidence = 'of other records'",
        "DELETE FROM indexes",
    ],
)
def test_an_index_that_does_not_fit_is_built_again(
    indexed: tuple[Library, int], embedder: SentenceEmbeddings, harm: str
) -> None:
    library, run = indexed
    hits = retrieve(library, embedder, [run], [QUESTION], RetrievalSettings())
    with library._db.write() as db:
        assert db.execute(harm).rowcount == 1
    with Library(library.folder) as again:
        found = retrieve(again, embedder, [run], [QUESTION], RetrievalSettings())
        assert found == hits
        again.view([run]).index(embedder, keep=True)
    assert "7391" in hits.evidence[0].text


def test_the_index_goes_with_its_video(indexed: tuple[Library, int]) -> None:
    library, _ = indexed
    count = "SELECT count(*) FROM indexes"
    assert library._db.rows(count)[0][0] == 1
    library.delete(library.entries()[0].video)
    assert library._db.rows(count)[0][0] == 0
    assert library.view([1]).passages == ()
