"""Retrieval: the few evidence records relevant to a question, from all that the tools found.

Dense rankings (inner product of unit vectors in FAISS), of each record alone and of speech with
what was said around it, and a sparse one (BM25 in SQLite) are combined by reciprocal rank fusion
(Cormack et al., SIGIR 2009). Video-RAG's rule, every record above a cosine threshold, is available
for comparison.
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
CONTEXT = 2  # records of speech before and after one, as the context of its meaning
CONTEXT_WEIGHT = 0.7  # of the next record, its square of the one after that
LEXICAL_WEIGHT = 0.5  # of the ranking by words, against 1 for each by meaning
FURTHER_WEIGHT = 0.5  # of all options and requests together, against 1 for the question


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
    raw = embedder.embed_queries(list(queries), unit=False)
    cosines = view.cosines(embedder, raw / np.linalg.norm(raw, axis=1, keepdims=True))
    if settings.rule == "threshold":
        least = embedder.unrelated + settings.threshold * (1 - embedder.unrelated)
        chosen = by_threshold(view.vectors(embedder), raw, least)
    else:
        place = {row: i for i, row in enumerate(view.rows)}
        found = [library.search_text(q, runs, len(place)) for q in queries]
        lexical = [[place[row] for row in rows] for rows in found]
        around = in_context(cosines, view.records)
        rankings = [*nearest_first(cosines), *nearest_first(around), *lexical]
        weights = query_weights(len(queries))
        words = [LEXICAL_WEIGHT * weight for weight in weights]
        chosen = fuse(rankings, [*weights, *weights, *words])[: settings.top_k]
    records = view.records
    evidence = [replace(records[i], score=round(float(cosines[i].max()), 4)) for i in chosen]
    return Hits(tuple(evidence), max(0.0, float(cosines[:, 0].max())))


def _by_words(
    library: Library, view: EvidenceView, runs: Sequence[int], queries: Sequence[str], top_k: int
) -> Hits:
    place = {row: i for i, row in enumerate(view.rows)}
    found = [library.search_text(query, runs, len(place)) for query in queries]
    weights = query_weights(len(queries))
    chosen = fuse([[place[row] for row in rows] for rows in found], weights)[:top_k]
    return Hits(tuple(view.records[i] for i in chosen), 1.0 if chosen else 0.0)


def query_weights(count: int) -> list[float]:
    """Return the weights of the rankings of a question and of further queries, such as its options.

    >>> query_weights(3)
    [1.0, 0.25, 0.25]
    """
    return [1.0, *[FURTHER_WEIGHT / (count - 1)] * (count - 1)] if count > 1 else [1.0]


def by_threshold(
    documents: npt.NDArray[np.float32], queries: npt.NDArray[np.float32], threshold: float
) -> list[int]:
    """Retrieve as Video-RAG: cosine to the mean query strictly above a threshold.

    Args:
        documents: Unit vectors [n, dimensions].
        queries: Query vectors [m, dimensions] in the model's own lengths; their mean is normalised.
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


def in_context(
    cosines: npt.NDArray[np.float32], records: Sequence[Evidence]
) -> npt.NDArray[np.float32]:
    """Return the cosines of records [n, m], those of speech averaged with what was said around.

    A record of speech is often half a sentence, and what it is about was said just before. The
    average costs no further vectors.

    Args:
        cosines: Cosines of records and queries [n, m].
        records: The records, in time order.
    """
    spoken = [i for i, record in enumerate(records) if record.kind == "speech"]
    if not spoken:
        return cosines
    steps = np.arange(-CONTEXT, CONTEXT + 1)
    share = CONTEXT_WEIGHT ** np.abs(steps)
    padded = np.pad(cosines[spoken], ((CONTEXT, CONTEXT), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, len(steps), axis=0)  # [k, m, steps]
    averaged = cosines.copy()
    averaged[spoken] = windows @ (share / share.sum()).astype(np.float32)
    return averaged


def fuse(rankings: Sequence[Sequence[int]], weights: Sequence[float]) -> list[int]:
    """Fuse rankings by weighted reciprocal rank; ties go to the smaller position."""
    scores: dict[int, float] = {}
    for ranking, weight in zip(rankings, weights, strict=True):
        for rank, position in enumerate(ranking, start=1):
            scores[position] = scores.get(position, 0.0) + weight / (RRF_CONSTANT + rank)
    return sorted(scores, key=lambda position: (-scores[position], position))
