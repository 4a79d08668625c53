"""The search index over all videos: vectors in FAISS, words in SQLite, ranks fused.

It fuses ranks as one video is searched (`agent.library.retrieval`, "fused"), but a word weighs as
much as meaning and no record has a context. The vectors stay in memory and follow the library: a
finished run never changes, so that the difference between the runs in the index and those in the
library is all that must be added or removed.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from threading import RLock
from typing import Any

import numpy as np
import numpy.typing as npt

from agent.library.retrieval import fuse, query_weights
from agent.library.store import Library
from agent.models.embedding import SentenceEmbeddings
from tools.errors import DeletedError

DEPTH = 1000  # of each ranking; a record below adds less than 1/1060 to a fused score
RUNS_AT_ONCE = 64  # whose vectors are read together, which bounds the memory for it
LEAST_COSINE = -2.0  # below any inner product of unit vectors

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Ranking:
    """Records for a query, best first.

    Attributes:
        rows: Their rows in the library.
        cosines: Cosine to the nearest query by row, rounded; empty where only words were compared.
        with_words: Those with a word of a query.
        relevance: Largest cosine to the first query, at least 0; 1 for any word in common where
            only words were compared.
    """

    rows: tuple[int, ...]
    cosines: dict[int, float] = field(default_factory=dict)
    with_words: frozenset[int] = frozenset()
    relevance: float = 0.0


class VectorIndex:
    """The vectors of all records of some runs in one FAISS index; thread-safe."""

    def __init__(self, library: Library, embedder: SentenceEmbeddings) -> None:
        """Begin empty; `follow` fills it."""
        self._library = library
        self._embedder = embedder
        self._faiss: Any = None
        self._rows: Ints = np.empty(0, np.int64)  # by position in the FAISS index
        self._runs: Ints = np.empty(0, np.int64)
        self._kinds: list[str] = []  # numbered
        self._kind: Ints = np.empty(0, np.int64)
        self._known: set[int] = set()
        self._lock = RLock()

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def runs(self) -> frozenset[int]:
        """The runs whose records are in the index."""
        return frozenset(self._known)

    def follow(self, wanted: Collection[int], alive: Collection[int]) -> None:
        """Add the wanted runs that are not in the index; remove those neither wanted nor alive.

        Args:
            wanted: Runs to be searched.
            alive: Further runs that may stay.
        """
        with self._lock:
            self._remove(self._known.difference(wanted, alive))
            new = sorted(set(wanted) - self._known)
            for start in range(0, len(new), RUNS_AT_ONCE):
                self._add(new[start : start + RUNS_AT_ONCE])

    def nearest(
        self,
        queries: Floats,
        runs: Collection[int],
        kinds: Collection[str] = (),
        also: Collection[int] = (),
    ) -> tuple[list[Ints], dict[int, float], float]:
        """Rank the records of some runs by cosine.

        Args:
            queries: Unit vectors [n, dimensions].
            runs: Only their records.
            kinds: Only these kinds; empty for all.
            also: Rows of which the cosine is wanted, too.

        Returns:
            The best rows for each query, nearest first, ties by row; the largest cosine of each of
            these and of `also`; and the largest one to the first query.
        """
        with self._lock:
            among = self._among(runs, kinds)
            if not among.any():
                return [np.empty(0, np.int64) for _ in queries], {}, 0.0
            rows, cosines = self._rows[among], self._cosines(queries)[:, among]
        rankings = [_best(row, rows) for row in cosines]
        wanted = np.flatnonzero(np.isin(rows, np.fromiter(also, np.int64)))
        chosen = np.unique(np.concatenate([*rankings, wanted]))
        most = cosines.max(axis=0)
        found = {int(rows[i]): round(float(most[i]), 4) for i in chosen}
        return [rows[ranking] for ranking in rankings], found, max(0.0, float(cosines[0].max()))

    def _among(self, runs: Collection[int], kinds: Collection[str]) -> npt.NDArray[np.bool_]:
        among = np.isin(self._runs, np.fromiter(runs, np.int64))
        if kinds:
            numbers = [i for i, kind in enumerate(self._kinds) if kind in kinds]
            among &= np.isin(self._kind, numbers)
        return among

    def _cosines(self, queries: Floats) -> Floats:
        """Return the similarities [queries, positions].

        A range search computes each inner product by itself, so that equal vectors have equal
        cosines wherever they lie in the index.
        """
        cosines = np.empty((len(queries), len(self)), np.float32)
        ends, values, places = self._faiss.range_search(queries, LEAST_COSINE)
        for i, row in enumerate(cosines):
            row[places[ends[i] : ends[i + 1]]] = values[ends[i] : ends[i + 1]]
        return self._embedder.similarity(cosines)

    def _remove(self, runs: Collection[int]) -> None:
        if not runs:
            return
        import faiss

        gone = np.isin(self._runs, np.fromiter(runs, np.int64))
        if gone.any():
            self._faiss.remove_ids(faiss.IDSelectorBatch(np.flatnonzero(gone)))  # closes the gaps
            self._rows, self._runs = self._rows[~gone], self._runs[~gone]
            self._kind = self._kind[~gone]
        self._known -= set(runs)

    def _add(self, runs: Sequence[int]) -> None:
        import faiss

        found = self._library.stored_vectors(self._embedder.name, runs)
        if any(one.vector is None for one in found):
            self._embed([one.row for one in found if one.vector is None])
            found = self._library.stored_vectors(self._embedder.name, runs)
        found = [one for one in found if one.vector is not None]  # the rest was deleted meanwhile
        if found:
            vectors = np.frombuffer(b"".join(one.vector or b"" for one in found), np.float32)
            vectors = vectors.reshape(len(found), -1)
            if self._faiss is None:
                self._faiss = faiss.IndexFlatIP(vectors.shape[1])
            self._faiss.add(vectors)
            self._rows = np.append(self._rows, [one.row for one in found])
            self._runs = np.append(self._runs, [one.run for one in found])
            self._kind = np.append(self._kind, [self._number(one.kind) for one in found])
        self._known |= set(runs)

    def _number(self, kind: str) -> int:
        if kind not in self._kinds:
            self._kinds.append(kind)
        return self._kinds.index(kind)

    def _embed(self, rows: Sequence[int]) -> None:
        """Store the vectors of records that have none yet."""
        texts = {row: record.text for row, (_, record) in self._library.records(rows).items()}
        if not texts:
            return
        vectors = self._embedder.embed(list(texts.values()))
        try:
            self._library.save_embeddings(self._embedder.name, list(texts), vectors)
        except DeletedError:  # of some of them; the others are made at the next search
            return


def _best(cosines: Floats, rows: Ints) -> Ints:
    """Return the positions of the `DEPTH` largest cosines, ties by row."""
    order: Ints = np.lexsort((rows, -cosines))[:DEPTH]
    return order


def rank(
    library: Library,
    index: VectorIndex | None,
    embedder: SentenceEmbeddings | None,
    queries: Sequence[str],
    runs: Collection[int],
    kinds: Collection[str] = (),
) -> Ranking:
    """Rank the records of some runs for some queries; the first one counts twice as much.

    Args:
        library: Holds the records.
        index: Their vectors, which must hold the runs; None compares words alone.
        embedder: Embeds the queries; None compares words alone.
        queries: The question, then further ones such as its options.
        runs: Only their records.
        kinds: Only these kinds; empty for all.
    """
    weights = query_weights(len(queries))
    lexical = [library.search_text(query, runs, DEPTH, kinds) for query in queries]
    words = frozenset(row for ranking in lexical for row in ranking)
    if index is None or embedder is None:
        return Ranking(tuple(fuse(lexical, weights)), {}, words, 1.0 if words else 0.0)
    asked = embedder.embed_queries(list(queries))
    dense, cosines, relevance = index.nearest(asked, runs, kinds, words)
    rankings = [*(ranking.tolist() for ranking in dense), *lexical]
    return Ranking(tuple(fuse(rankings, [*weights, *weights])), cosines, words, relevance)
