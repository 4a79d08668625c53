"""The search tables of evidence: vectors, their index, and full text."""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from agent.library.database import Database, marks
from agent.library.rows import evidence_from
from agent.text import search_words, searched_pairs
from tools.errors import DeletedError
from tools.evidence import Evidence

_OF_RUNS = "run IN (SELECT value FROM json_each(?))"  # any number of them


@dataclass(frozen=True, slots=True)
class Vector:
    """A record in a search index: its row, run and kind; its vector where one is stored."""

    row: int
    run: int
    kind: str
    vector: bytes | None


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

    def search_text(
        self, text: str, runs: Iterable[int], limit: int, kinds: Collection[str] = ()
    ) -> list[int]:
        """Return the rows with any of the words of a text, best BM25 rank first.

        Scripts without spaces are searched by character bigrams.

        Args:
            text: What is searched for.
            runs: Only their evidence.
            limit: Rows, at most.
            kinds: Only these kinds; empty for all.
        """
        words = [word.replace('"', "") for word in search_words(text)]
        pairs = searched_pairs(text)
        found = [f'"{word}"' for word in words]
        found += [f'pairs : "{pair}"{"" if len(pair) > 1 else " *"}' for pair in pairs]
        query = " OR ".join(found)
        if not query:
            return []
        of_kind = f" AND kind IN ({marks(list(kinds))})" if kinds else ""
        rows = self._db.rows(
            "SELECT evidence.id FROM evidence_text JOIN evidence ON evidence.id ="
            f" evidence_text.rowid WHERE evidence_text MATCH ? AND {_OF_RUNS}{of_kind}"
            " ORDER BY bm25(evidence_text), evidence.id LIMIT ?",
            [query, json.dumps(list(runs)), *kinds, limit],
        )
        return [row["id"] for row in rows]

    # Over several videos

    def latest_runs(self) -> dict[int, str]:
        """Return the latest run of each tool on each video, with the video's hash."""
        rows = self._db.rows("SELECT max(id) AS id, video FROM runs GROUP BY video, tool")
        return {row["id"]: row["video"] for row in rows}

    def paths(self) -> dict[str, Path]:
        """Return the latest path of every known video by its hash."""
        rows = self._db.rows("SELECT sha256, path FROM videos ORDER BY added, sha256")
        return {row["sha256"]: Path(row["path"]) for row in rows}

    def knows_size(self, size: int) -> bool:
        """Say whether a known file has so many bytes; else a new file cannot be a copy of one."""
        return self._db.row("SELECT 1 FROM files WHERE size = ?", (size,)) is not None

    def stored_vectors(self, model: str, runs: Iterable[int]) -> list[Vector]:
        """Return all records of some runs by row, with the vectors that a model made of them."""
        rows = self._db.rows(
            "SELECT id, run, kind, vector FROM evidence LEFT JOIN embeddings"
            f" ON evidence = id AND model = ? WHERE {_OF_RUNS} ORDER BY id",
            (model, json.dumps(list(runs))),
        )
        return [Vector(*row) for row in rows]

    def records(self, rows: Iterable[int]) -> dict[int, tuple[str, Evidence]]:
        """Return records by row, each with the hash of its video; those that are gone are not."""
        found = self._db.rows(
            "SELECT evidence.*, tool, tag, video FROM evidence JOIN runs ON runs.id = run"
            " WHERE evidence.id IN (SELECT value FROM json_each(?))",
            (json.dumps(list(rows)),),
        )
        return {row["id"]: (row["video"], evidence_from(row)) for row in found}


def _joined(runs: Sequence[int]) -> str:
    return ",".join(map(str, runs))
