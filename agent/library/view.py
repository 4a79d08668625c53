"""A view of the evidence of some runs with its vectors: fetched once and shared."""

from collections.abc import Sequence
from hashlib import sha256
from threading import RLock
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from agent.library.rows import Passage
from agent.models.embedding import SentenceEmbeddings
from tools.evidence import Evidence

Vectors = npt.NDArray[np.float32]


class _Store(Protocol):
    """The part of the library that a view uses."""

    def passages(self, runs: Sequence[int]) -> list[Passage]: ...

    def embeddings(self, model: str, runs: Sequence[int]) -> dict[int, Vectors]: ...

    def save_embeddings(self, model: str, rows: Sequence[int], vectors: Vectors) -> None: ...

    def kept_index(self, model: str, runs: Sequence[int], evidence: str) -> bytes | None: ...

    def keep_index(self, model: str, runs: Sequence[int], evidence: str, faiss: bytes) -> None: ...


class EvidenceView:
    """The evidence of some finished runs, in time order; a finished run is immutable.

    Attributes:
        passages: The records with their row ids.
        records: The records alone.
        rows: Their row ids in the library.
    """

    def __init__(self, library: _Store, runs: tuple[int, ...]) -> None:
        """Fetch the records; vectors are fetched on first use."""
        self.passages: tuple[Passage, ...] = tuple(library.passages(runs))
        self.records: tuple[Evidence, ...] = tuple(one.evidence for one in self.passages)
        self.rows = [one.row for one in self.passages]
        self._library = library
        self._runs = runs
        self._indexes: dict[str, Any] = {}
        self._vectors: dict[str, Vectors] = {}
        self._lock = RLock()

    def vectors(self, embedder: SentenceEmbeddings) -> Vectors:
        """Return the unit vectors [records, dimensions]; missing ones are computed."""
        with self._lock:
            if embedder.name not in self._vectors:
                index = self.index(embedder)
                self._vectors[embedder.name] = index.reconstruct_n(0, index.ntotal)
            return self._vectors[embedder.name]

    def cosines(self, embedder: SentenceEmbeddings, queries: Vectors) -> Vectors:
        """Return the similarities [records, queries] of all records with unit vectors."""
        nearest, positions = self.index(embedder).search(queries, len(self.passages))
        cosines = np.empty((len(self.passages), len(queries)), np.float32)
        for query, places in enumerate(positions):
            cosines[places, query] = nearest[query]
        return embedder.similarity(cosines)

    def index(self, embedder: SentenceEmbeddings, *, keep: bool = False) -> Any:
        """Return the FAISS index of the vectors; the stored one where it matches the records.

        Args:
            embedder: Computes the missing vectors.
            keep: Whether to store the index in the library, for later processes.
        """
        with self._lock:
            if embedder.name not in self._indexes:
                found = self._kept(embedder.name)
                self._indexes[embedder.name] = found or self._build(embedder)
                if keep and not found:
                    self._keep(embedder.name)
            return self._indexes[embedder.name]

    def _kept(self, model: str) -> Any:
        import faiss

        blob = self._library.kept_index(model, self._runs, _digest(self.rows))
        if blob is None:
            return None
        try:
            index = faiss.deserialize_index(np.frombuffer(blob, np.uint8))
        except RuntimeError:  # it is corrupt
            return None
        return index if index.ntotal == len(self.passages) else None

    def _keep(self, model: str) -> None:
        import faiss

        blob = faiss.serialize_index(self._indexes[model]).tobytes()
        self._library.keep_index(model, self._runs, _digest(self.rows), blob)

    def _build(self, embedder: SentenceEmbeddings) -> Any:
        import faiss

        known = self._library.embeddings(embedder.name, self._runs)
        missing = [passage for passage in self.passages if passage.row not in known]
        if missing:
            made = embedder.embed([passage.evidence.text for passage in missing])
            rows = [passage.row for passage in missing]
            self._library.save_embeddings(embedder.name, rows, made)
            known |= zip(rows, made, strict=True)
        vectors = np.stack([known[row] for row in self.rows])
        index = faiss.IndexFlatIP(vectors.shape[1])
        index.add(vectors)
        return index


def _digest(rows: Sequence[int]) -> str:
    return sha256(" ".join(map(str, rows)).encode()).hexdigest()
