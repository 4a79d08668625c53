"""Retrieval: the few evidence records that bear on a question, from all that tools found.

Two rankings, by meaning (inner product of unit vectors in FAISS) and by words (BM25 in SQLite),
are fused by reciprocal rank (Cormack et al., SIGIR 2009). Video-RAG's rule, every record above a
cosine threshold, is there by name for comparison.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from agent.embedding import SentenceEmbeddings
from agent.library import Library, Passage
from agent.settings import RetrievalSettings
from agent.text import words
from tools.evidence import Evidence

RRF_CONSTANT = 60  # Cormack et al.: ranks are damped by 1 / (60 + rank)
CONTEXT_GAP_S = 4.0  # speech this close belongs to the same train of thought


@dataclass(frozen=True, slots=True)
class Hits:
    """What was found for a question.

    Attributes:
        evidence: Best first; `score` is the cosine of the record to the nearest query.
        relevance: Cosine of the best record to the question, 0 to 1.
    """

    evidence: tuple[Evidence, ...]
    relevance: float


def embed_missing(library: Library, embedder: SentenceEmbeddings, runs: Sequence[int]) -> int:
    """Embed the evidence of some runs that has no vector yet; return how many records."""
    known = library.embeddings(embedder.name, runs)
    passages = library.passages(runs)
    texts = with_context(passages)
    missing = [i for i, passage in enumerate(passages) if passage.row not in known]
    if missing:
        vectors = embedder.embed([texts[i] for i in missing])
        library.save_embeddings(embedder.name, [passages[i].row for i in missing], vectors)
    return len(missing)


def with_context(passages: Sequence[Passage]) -> list[str]:
    """Return the text to embed for each record: a line of speech with the lines around it."""
    texts = [passage.evidence.text for passage in passages]
    speech = [i for i, passage in enumerate(passages) if passage.evidence.kind == "speech"]
    for before, i in pairwise(speech):
        if passages[i].evidence.start_s - passages[before].evidence.end_s <= CONTEXT_GAP_S:
            texts[i] = f"{passages[before].evidence.text} {passages[i].evidence.text}"
    return texts


def retrieve(
    library: Library,
    embedder: SentenceEmbeddings,
    runs: Sequence[int],
    queries: Sequence[str],
    settings: RetrievalSettings,
) -> Hits:
    """Return the records that bear on the queries; the first query is the question itself."""
    passages = library.passages(runs)
    vectors = library.embeddings(embedder.name, runs)
    if not passages:
        return Hits((), 0.0)
    documents = np.stack([vectors[p.row] for p in passages])
    asked = embedder.embed(list(queries))
    cosines = documents @ asked.T  # [passages, queries]
    if settings.rule == "threshold":
        chosen = by_threshold(documents, asked, settings.threshold)
    else:
        lexical = [library.search_text(words(q), runs, len(passages)) for q in queries]
        order = {p.row: i for i, p in enumerate(passages)}
        rankings = [*by_meaning(documents, asked), *([order[r] for r in rows] for rows in lexical)]
        chosen = fuse(rankings)[: settings.top_k]
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


def fuse(rankings: Sequence[Sequence[int]]) -> list[int]:
    """Join rankings by reciprocal rank; ties go to the smaller position."""
    scores: dict[int, float] = {}
    for ranking in rankings:
        for rank, position in enumerate(ranking, start=1):
            scores[position] = scores.get(position, 0.0) + 1 / (RRF_CONSTANT + rank)
    return sorted(scores, key=lambda position: (-scores[position], position))


def merge_neighbours(evidence: Sequence[Evidence], gap_s: float) -> list[Evidence]:
    """Join records of one tool that follow each other closely; the result is in time order."""
    merged: list[Evidence] = []
    for item in sorted(evidence, key=lambda e: (e.tool, e.start_s, e.end_s)):
        last = merged[-1] if merged else None
        if (
            last is not None
            and last.kind == item.kind == "speech"
            and item.tool == last.tool
            and item.start_s - last.end_s <= gap_s
        ):
            merged[-1] = replace(
                last,
                end_s=max(last.end_s, item.end_s),
                text=f"{last.text} {item.text}",
                score=max(last.score, item.score),
            )
        else:
            merged.append(item)
    return sorted(merged, key=lambda e: (e.start_s, e.end_s, e.tool))
