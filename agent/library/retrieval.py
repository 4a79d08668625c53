"""Retrieval: the few evidence records relevant to a question, from all that the tools found.

A dense ranking (inner product of unit vectors in FAISS) and a sparse one (BM25 in SQLite) are
combined by reciprocal rank fusion (Cormack et al., SIGIR 2009). Video-RAG's rule, every record
above a cosine threshold, is available for comparison.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from agent.library.store import Library
from agent.library.view import EvidenceView
from agent.models.embedding import SentenceEmbeddings
from agent.settings import RetrievalSettings
from tools.evidence import Evidence

RRF_CONSTANT = 60  # Cormack et al.: ranks are damped by 1 / (60 + rank)
FURTHER_WEIGHT = 0.5  # of queries from options and requests, against 1 for the question


@dataclass(frozen=True, slots=True)
class Hits:
    """The records retrieved for a question.

    Attributes:
        evidence: Best first; `score` is the cosine of the record to the nearest query.
        relevance: Cosine of the best record to the question, 0 to 1.
    """

    evidence: tuple[Evidence, ...]
    relevance: float


def retrieve(
    library: Library,
    embedder: SentenceEmbeddings | None,
    runs: Sequence[int],
    queries: Sequence[str],
    settings: RetrievalSettings,
) -> Hits:
    """Return the records relevant to the queries; the first query is the question itself.

    Without an embedding model only words are compared; any word in common counts as relevant.
    """
    view = library.view(runs)
    if not view.passages:
        return Hits((), 0.0)
    if embedder is None:
        return _by_words(library, view, runs, queries, settings.top_k)
    asked = embedder.embed_queries(list(queries))
    cosines = view.cosines(embedder, asked)
    if settings.rule == "threshold":
        chosen = by_threshold(view.vectors(embedder), asked, settings.threshold)
    else:
        place = {row: i for i, row in enumerate(view.rows)}
        found = [library.search_text(q, runs, len(place)) for q in queries]
        lexical = [[place[row] for row in rows] for rows in found]
        weights = [1.0, *[FURTHER_WEIGHT] * (len(queries) - 1)] * 2
        chosen = fuse([*nearest_first(cosines), *lexical], weights)[: settings.top_k]
    records = view.records
    evidence = [replace(records[i], score=round(float(cosines[i].max()), 4)) for i in chosen]
    return Hits(tuple(evidence), max(0.0, float(cosines[:, 0].max())))


def _by_words(
    library: Library, view: EvidenceView, runs: Sequence[int], queries: Sequence[str], top_k: int
) -> Hits:
    place = {row: i for i, row in enumerate(view.rows)}
    found = [library.search_text(query, runs, len(place)) for query in queries]
    weights = [1.0, *[FURTHER_WEIGHT] * (len(queries) - 1)]
    chosen = fuse([[place[row] for row in rows] for rows in found], weights)[:top_k]
    return Hits(tuple(view.records[i] for i in chosen), 1.0 if chosen else 0.0)


def by_threshold(
    documents: npt.NDArray[np.float32], queries: npt.NDArray[np.float32], threshold: float
) -> list[int]:
    """Retrieve as Video-RAG: cosine to the mean query strictly above a threshold.

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


def nearest_first(cosines: npt.NDArray[np.float32]) -> list[list[int]]:
    """Return for each query the positions of all records, nearest first.

    Args:
        cosines: Cosines of records and queries [n, m].
    """
    order = np.argsort(-cosines, axis=0, kind="stable")
    return [[int(i) for i in column] for column in order.T]


def fuse(rankings: Sequence[Sequence[int]], weights: Sequence[float]) -> list[int]:
    """Fuse rankings by weighted reciprocal rank; ties go to the smaller position."""
    scores: dict[int, float] = {}
    for ranking, weight in zip(rankings, weights, strict=True):
        for rank, position in enumerate(ranking, start=1):
            scores[position] = scores.get(position, 0.0) + weight / (RRF_CONSTANT + rank)
    return sorted(scores, key=lambda position: (-scores[position], position))
