"""Retrieval: the few evidence records that bear on a question, from all that tools found.

Two rankings, by meaning (inner product of unit vectors in FAISS) and by words (BM25 in SQLite),
are fused by reciprocal rank (Cormack et al., SIGIR 2009). Video-RAG's rule, every record above a
cosine threshold, is there by name for comparison.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from agent.library.rows import Passage
from agent.library.store import Library
from agent.models.embedding import SentenceEmbeddings
from agent.settings import RetrievalSettings
from agent.text import search_words
from tools.evidence import Evidence

RRF_CONSTANT = 60  # Cormack et al.: ranks are damped by 1 / (60 + rank)
FURTHER_WEIGHT = 0.5  # of options and requests beside the question itself


@dataclass(frozen=True, slots=True)
class Hits:
    """What was found for a question.

    Attributes:
        evidence: Best first; `score` is the cosine of the record to the nearest query.
        relevance: Cosine of the best record to the question, 0 to 1.
    """

    evidence: tuple[Evidence, ...]
    relevance: float


def embed_missing(
    library: Library,
    embedder: SentenceEmbeddings,
    runs: Sequence[int],
    passages: Sequence[Passage],
) -> dict[int, npt.NDArray[np.float32]]:
    """Return the unit vectors of the passages of some runs by row; those not known are made."""
    vectors = library.embeddings(embedder.name, runs)
    missing = [passage for passage in passages if passage.row not in vectors]
    if missing:
        made = embedder.embed([passage.evidence.text for passage in missing])
        rows = [passage.row for passage in missing]
        library.save_embeddings(embedder.name, rows, made)
        vectors |= zip(rows, made, strict=True)
    return vectors


def retrieve(
    library: Library,
    embedder: SentenceEmbeddings,
    runs: Sequence[int],
    queries: Sequence[str],
    settings: RetrievalSettings,
) -> Hits:
    """Return the records that bear on the queries; the first query is the question itself."""
    passages = library.passages(runs)
    if not passages:
        return Hits((), 0.0)
    vectors = embed_missing(library, embedder, runs, passages)
    documents = np.stack([vectors[p.row] for p in passages])
    asked = embedder.embed(list(queries))
    cosines = documents @ asked.T  # [passages, queries]
    if settings.rule == "threshold":
        chosen = by_threshold(documents, asked, settings.threshold)
    else:
        place = {p.row: i for i, p in enumerate(passages)}
        found = [library.search_text(search_words(q), runs, len(passages)) for q in queries]
        lexical = [[place[row] for row in rows] for rows in found]
        weights = [1.0, *[FURTHER_WEIGHT] * (len(queries) - 1)] * 2
        chosen = fuse([*by_meaning(documents, asked), *lexical], weights)[: settings.top_k]
    evidence = [
        replace(passages[i].evidence, score=round(float(cosines[i].max()), 4)) for i in chosen
    ]
    return Hits(tuple(evidence), max(0.0, float(cosines[:, 0].max())))


def by_threshold(
    documents: npt.NDArray[np.float32], queries: npt.NDArray[np.float32], threshold: float
) -> list[int]:
    """Return Video-RAG's choice: cosine to the mean of the queries strictly above a threshold.

    Args:
        documents: Unit vectors [n, dimensions].
        queries: Query vectors [m, dimensions]; their mean is normalised.
        threshold: The paper's default is 0.3 (section 3.3).

    Returns:
        Positions in their original order, that is, in time order.
    """
    mean = queries.mean(axis=0)
    length = float(np.linalg.norm(mean))
    if length == 0:
        return []
    return [int(i) for i in np.flatnonzero(documents @ (mean / length) > threshold)]


def by_meaning(
    documents: npt.NDArray[np.float32], queries: npt.NDArray[np.float32]
) -> list[list[int]]:
    """Return for each query the positions of all documents, nearest first."""
    import faiss

    index = faiss.IndexFlatIP(documents.shape[1])
    index.add(documents)
    _, positions = index.search(queries, len(documents))
    return [[int(i) for i in row] for row in positions]


def fuse(rankings: Sequence[Sequence[int]], weights: Sequence[float]) -> list[int]:
    """Join rankings by weighted reciprocal rank; ties go to the smaller position."""
    scores: dict[int, float] = {}
    for ranking, weight in zip(rankings, weights, strict=True):
        for rank, position in enumerate(ranking, start=1):
            scores[position] = scores.get(position, 0.0) + weight / (RRF_CONSTANT + rank)
    return sorted(scores, key=lambda position: (-scores[position], position))
