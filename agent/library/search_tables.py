"""The search tables of evidence: vectors, their index, and full text."""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from agent.library.database import Database, marks
from agent.text import search_words, searched_pairs
from tools.errors import DeletedError


class SearchTables:
    """The part of a library for retrieval."""

    _db: Database

    def save_embeddings(
        self, model: str, rows: Sequence[int], vectors: npt.NDArray[np.float32]
    ) -> None:
        """Store unit vectors [n, dimensions] of evidence rows, made by an embedding model."""
        with self._db.write() as db:
            db.executemany(
                "INSERT OR REPLACE INTO embeddings VALUES (?, ?, ?)",
                [(row, model, v.tobytes()) for row, v in zip(rows, vectors, strict=True)],
            )

    def embeddings(self, model: str, runs: Iterable[int]) -> dict[int, npt.NDArray[np.float32]]:
        """Return the stored unit vectors of the evidence of some runs, by row."""
        ids = list(runs)
        rows = self._db.rows(
            "SELECT evidence, vector FROM embeddings JOIN evidence ON evidence.id = evidence"
            f" WHERE model = ? AND run IN ({marks(ids)})",
            [model, *ids],
        )
        return {row["evidence"]: np.frombuffer(row["vector"], np.float32) for row in rows}

    def kept_index(self, model: str, runs: Sequence[int], evidence: str) -> bytes | None:
        """Return the vector index stored for exactly these records; None without one."""
        row = self._db.row(
            "SELECT faiss FROM indexes WHERE model = ? AND runs = ? AND evidence = ?"
            " AND video = (SELECT video FROM runs WHERE id = ?)",
            (model, _joined(runs), evidence, next(iter(runs), None)),
        )
        return bytes(row["faiss"]) if row else None

    def keep_index(self, model: str, runs: Sequence[int], evidence: str, faiss: bytes) -> None:
        """Store the vector index of a video's runs, replacing the previous one."""
        with self._db.write() as db:
            video = db.execute("SELECT video FROM runs WHERE id = ?", (runs[0],)).fetchone()
            if video is None:
                raise DeletedError
            db.execute("DELETE FROM indexes WHERE video = ? AND model = ?", (video[0], model))
            db.execute(
                "INSERT INTO indexes VALUES (?, ?, ?, ?, ?)",
                (video[0], model, _joined(runs), evidence, faiss),
            )

    def search_text(self, text: str, runs: Iterable[int], limit: int) -> list[int]:
        """Return the rows with any of the words of a text, best BM25 rank first.

        Scripts without spaces are searched by character bigrams.
        """
        words = [word.replace('"', "") for word in search_words(text)]
        pairs = searched_pairs(text)
        found = [f'"{word}"' for word in words]
        found += [f'pairs : "{pair}"{"" if len(pair) > 1 else " *"}' for pair in pairs]
        ids, query = list(runs), " OR ".join(found)
        if not query:
            return []
        rows = self._db.rows(
            "SELECT evidence.id FROM evidence_text JOIN evidence ON evidence.id ="
            f" evidence_text.rowid WHERE evidence_text MATCH ? AND run IN ({marks(ids)})"
            " ORDER BY bm25(evidence_text), evidence.id LIMIT ?",
            [query, *ids, limit],
        )
        return [row["id"] for row in rows]


def _joined(runs: Sequence[int]) -> str:
    return ",".join(map(str, runs))
