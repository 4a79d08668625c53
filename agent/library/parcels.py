"""What a library knows of one video, as plain values, to be carried to a library elsewhere.

Finished runs with their evidence and vectors, captions and replies go along; frames, which are
sampled anew where they are needed, and runs that have not finished do not. Row ids differ between
libraries, so a run is known again by its tag and a record by its number within the run.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.library.database import Database

Rows = tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Parcel:
    """The rows about one video, each a mapping of columns to values without its id.

    Attributes:
        videos: One row.
        files: Where it was seen; a file is known again only with the same size and time.
        runs: Finished runs.
        evidence: Their records, each with the tag of its run.
        embeddings: Vectors, each with the tag of the run and the number of its record.
        captions: Of clips.
        replies: Of chat models.
    """

    videos: Rows
    files: Rows
    runs: Rows
    evidence: Rows
    embeddings: Rows
    captions: Rows
    replies: Rows


class Parcels:
    """The part of a library that gives and takes what is known of a video."""

    _db: Database

    def pack(self, sha256: str) -> Parcel:
        """Return what is known of a video, which may be nothing."""
        records = "evidence JOIN runs ON runs.id = run"
        vectors = f"{records} JOIN embeddings ON evidence = evidence.id"
        return Parcel(
            self._taken("SELECT * FROM videos WHERE sha256 = ?", sha256),
            self._taken("SELECT * FROM files WHERE video = ?", sha256),
            self._taken("SELECT * FROM runs WHERE video = ? ORDER BY id", sha256),
            self._taken(f"SELECT evidence.*, tag FROM {records} WHERE video = ?", sha256),
            self._taken(
                f"SELECT tag, number, model, vector FROM {vectors} WHERE video = ?", sha256
            ),
            self._taken("SELECT * FROM captions WHERE video = ? ORDER BY id", sha256),
            self._taken("SELECT * FROM replies WHERE video = ? ORDER BY id", sha256),
        )

    def unpack(self, parcel: Parcel) -> None:
        """Add what another library knew of a video, in one transaction; what is here stays.

        Raises:
            StorageError: The library cannot be written.
        """
        with self._db.write() as db:
            for table in ("videos", "files", "captions", "replies"):
                for row in getattr(parcel, table):
                    _insert(db, table, row)
            new = {row["tag"]: id for row in parcel.runs if (id := _insert(db, "runs", row))}
            records = dict[tuple[str, int], int | None]()
            for row in parcel.evidence:
                if row["tag"] in new:
                    values = {**row, "run": new[row["tag"]]}
                    del values["tag"]
                    records[row["tag"], row["number"]] = _insert(db, "evidence", values)
            for row in parcel.embeddings:
                if record := records.get((row["tag"], row["number"])):
                    vector = {"evidence": record, "model": row["model"], "vector": row["vector"]}
                    _insert(db, "embeddings", vector)

    def _taken(self, sql: str, sha256: str) -> Rows:
        rows = (dict(row) for row in self._db.rows(sql, (sha256,)))
        return tuple({key: row[key] for key in row if key != "id"} for row in rows)


def _insert(db: sqlite3.Connection, table: str, row: Mapping[str, Any]) -> int | None:
    """Insert a row; return its id, None if there is one like it."""
    columns: Sequence[str] = list(row)
    done = db.execute(
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
        " ON CONFLICT DO NOTHING",
        list(row.values()),
    )
    return done.lastrowid if done.rowcount else None
