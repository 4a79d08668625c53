"""What is known about videos, on disk: one SQLite file (WAL) beside a folder of frames.

A run of a tool is stored in one transaction when it has finished, so a kill at any point leaves
nothing that looks done. Several processes may share a library: `Library.claim` lets only one of
them do a piece of work, and the operating system frees the claim of a process that dies.
"""

import json
import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from filelock import FileLock

from agent.library.chats import Chats
from tools.errors import InputError, StorageError
from tools.evidence import ChannelReport, Evidence
from tools.media.video import SubtitleTrack, Video

SCHEMA_VERSION = 2
READABLE = (0, 1, SCHEMA_VERSION)  # 0: empty; 1: had no pieces yet
SCHEMA = """
CREATE TABLE IF NOT EXISTS videos (
    sha256 TEXT PRIMARY KEY,
    path TEXT NOT NULL,                 -- where it was seen last
    probe TEXT NOT NULL,                -- JSON of tools.media.video.Video
    added TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE TABLE IF NOT EXISTS files (      -- spares hashing a file that has not changed
    path TEXT PRIMARY KEY,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    video TEXT NOT NULL REFERENCES videos ON DELETE CASCADE
);
CREATE TABLE IF NOT EXISTS runs (
    id INTEGER PRIMARY KEY,
    video TEXT NOT NULL REFERENCES videos ON DELETE CASCADE,
    tool TEXT NOT NULL,
    key TEXT NOT NULL,                  -- hash of tool, version, options, sampling, model
    settings TEXT NOT NULL,             -- the same in words, JSON
    status TEXT NOT NULL CHECK (status IN ('ok', 'empty')),
    seconds REAL NOT NULL,
    reason TEXT NOT NULL DEFAULT '',
    finished TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
    UNIQUE (video, tool, key)
);
CREATE TABLE IF NOT EXISTS pieces (     -- what a run that has not finished did so far
    video TEXT NOT NULL REFERENCES videos ON DELETE CASCADE,
    tool TEXT NOT NULL,
    key TEXT NOT NULL,                  -- as of the run
    name TEXT NOT NULL,
    value TEXT NOT NULL,                -- JSON
    PRIMARY KEY (video, tool, key, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS evidence (
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    number INTEGER NOT NULL,            -- position within the run
    kind TEXT NOT NULL,
    start_s REAL NOT NULL,
    end_s REAL NOT NULL,
    text TEXT NOT NULL,
    score REAL NOT NULL,
    data TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS evidence_by_run ON evidence (run, number);
CREATE TABLE IF NOT EXISTS embeddings (
    evidence INTEGER NOT NULL REFERENCES evidence ON DELETE CASCADE,
    model TEXT NOT NULL,
    vector BLOB NOT NULL,               -- float32, unit length
    PRIMARY KEY (evidence, model)
) WITHOUT ROWID;
CREATE VIRTUAL TABLE IF NOT EXISTS evidence_text USING fts5 (
    text, content = 'evidence', content_rowid = 'id', tokenize = 'porter unicode61'
);
CREATE TRIGGER IF NOT EXISTS evidence_added AFTER INSERT ON evidence BEGIN
    INSERT INTO evidence_text (rowid, text) VALUES (new.id, new.text);
END;
CREATE TRIGGER IF NOT EXISTS evidence_gone AFTER DELETE ON evidence BEGIN
    INSERT INTO evidence_text (evidence_text, rowid, text) VALUES ('delete', old.id, old.text);
END;
"""


@dataclass(frozen=True, slots=True)
class Run:
    """A finished run of a tool on a video."""

    id: int
    tool: str
    report: ChannelReport
    settings: Mapping[str, Any]
    finished: str


@dataclass(frozen=True, slots=True)
class Passage:
    """A stored evidence record and its row in the library."""

    row: int
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class LibraryEntry:
    """A known video: where it was seen last, when it was added, bytes of frames on disk."""

    video: Video
    added: str
    frame_bytes: int
    runs: tuple[Run, ...]

    @property
    def by_tool(self) -> dict[str, list[Run]]:
        """The finished runs of each tool; there is one for each clip or reply that is kept."""
        tools = dict.fromkeys(run.tool for run in self.runs)
        return {tool: [run for run in self.runs if run.tool == tool] for tool in tools}


class Library:
    """The store of videos, tool runs, evidence and embeddings in one folder."""

    def __init__(self, folder: Path) -> None:
        """Open or create a library. `StorageError` when the folder cannot be used."""
        self.folder = folder.expanduser().resolve()
        self._file = self.folder / "library.sqlite"
        with _storage_errors(self.folder):
            (self.folder / "locks").mkdir(parents=True, exist_ok=True)
        lock = self._lock("schema")
        try:
            self._create_schema()
        finally:
            lock.release()

    @property
    def models(self) -> Path:
        """Folder for downloaded and converted weights."""
        return self.folder / "models"

    @cached_property
    def chats(self) -> Chats:
        """What was asked and answered in chats."""
        return Chats(self.folder)

    def frames_folder(self, video: Video, key: str) -> Path:
        """Folder of the frames that were sampled from a video in one way."""
        return self.folder / "frames" / video.sha256 / key

    @contextmanager
    def claim(self, video: Video, name: str, key: str) -> Iterator[None]:
        """Hold the right to do one piece of work; other processes and threads wait."""
        lock = self._lock(f"{video.sha256[:16]}-{name}-{key[:16]}")
        try:
            yield
        finally:
            lock.release()

    # Videos

    def known_file(self, path: Path) -> Video | None:
        """Return the video at a path that was probed before and has not changed since."""
        try:
            stat = path.stat()
        except (OSError, ValueError):  # what is wrong with the path is for `probe` to say
            return None
        row = self._row(
            "SELECT probe FROM files JOIN videos ON video = sha256"
            " WHERE files.path = ? AND size = ? AND mtime_ns = ?",
            (str(path), stat.st_size, stat.st_mtime_ns),
        )
        return _video_from_json(row["probe"], path) if row else None

    def add_video(self, video: Video) -> None:
        """Remember a probed video and the file in which it was found."""
        stat = video.path.stat()
        with self._write() as db:
            db.execute(
                "INSERT INTO videos (sha256, path, probe) VALUES (?, ?, ?)"
                " ON CONFLICT DO UPDATE SET path = excluded.path, probe = excluded.probe",
                (video.sha256, str(video.path), _video_to_json(video)),
            )
            db.execute(
                "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)",
                (str(video.path), stat.st_size, stat.st_mtime_ns, video.sha256),
            )

    def video(self, sha256: str) -> Video | None:
        """Return a known video by its whole hash, with the path where it was seen last."""
        row = self._row("SELECT path, probe FROM videos WHERE sha256 = ?", (sha256,))
        return _video_from_json(row["probe"], Path(row["path"])) if row else None

    def entries(self) -> list[LibraryEntry]:
        """Return every known video, oldest first."""
        rows = self._rows("SELECT sha256, path, probe, added FROM videos ORDER BY added, sha256")
        return [
            LibraryEntry(
                video=_video_from_json(row["probe"], Path(row["path"])),
                added=row["added"],
                frame_bytes=_size(self.folder / "frames" / row["sha256"]),
                runs=tuple(self.runs(row["sha256"])),
            )
            for row in rows
        ]

    def find(self, name: str) -> LibraryEntry:
        """Return the one video whose path, file name or hash prefix this is.

        Raises:
            InputError: None or several match.
        """
        found = [
            entry
            for entry in self.entries()
            if entry.video.sha256.startswith(name)
            or name in (str(entry.video.path), entry.video.path.name)
            or Path(name).absolute() == entry.video.path
        ]
        if len(found) != 1:
            number = "no video" if not found else f"{len(found)} videos"
            raise InputError(
                f"{number} in the library match {name!r}; give the hash that "
                f"`reelgraph library list` shows"
            )
        return found[0]

    def delete(self, video: Video) -> None:
        """Remove all that is known about a video, with the chats that quote it; the file stays."""
        self.chats.forget(video.sha256)
        with self._write() as db:
            db.execute("DELETE FROM videos WHERE sha256 = ?", (video.sha256,))
        with _storage_errors(self.folder):
            shutil.rmtree(self.folder / "frames" / video.sha256, ignore_errors=True)
            for lock in (self.folder / "locks").glob(f"{video.sha256[:16]}-*"):
                lock.unlink(missing_ok=True)

    # Runs and evidence

    def finished_run(self, video: Video, tool: str, key: str) -> Run | None:
        """Return the finished run of a tool with these very settings, if there is one."""
        row = self._row(
            f"{_RUNS} WHERE video = ? AND tool = ? AND key = ?", (video.sha256, tool, key)
        )
        return _run(row) if row else None

    def runs(self, sha256: str) -> list[Run]:
        """Return all finished runs on a video."""
        return [_run(row) for row in self._rows(f"{_RUNS} WHERE video = ? ORDER BY id", (sha256,))]

    def save_run(
        self,
        video: Video,
        key: str,
        settings: Mapping[str, Any],
        report: ChannelReport,
        evidence: Sequence[Evidence],
    ) -> Run:
        """Store a finished run and its evidence in one transaction and return it."""
        with self._write() as db:
            db.execute(
                "DELETE FROM runs WHERE video = ? AND tool = ? AND key = ?",
                (video.sha256, report.tool, key),
            )
            db.execute(
                "DELETE FROM pieces WHERE video = ? AND tool = ? AND key = ?",
                (video.sha256, report.tool, key),
            )
            run = db.execute(
                "INSERT INTO runs (video, tool, key, settings, status, seconds, reason)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    *(video.sha256, report.tool, key, _json(settings)),
                    *(report.status, report.seconds, report.reason),
                ],
            ).lastrowid
            db.executemany(
                "INSERT INTO evidence (run, number, kind, start_s, end_s, text, score, data)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (run, n, e.kind, e.start_s, e.end_s, e.text, e.score, _json(e.data))
                    for n, e in enumerate(evidence)
                ],
            )
        saved = self.finished_run(video, report.tool, key)
        if saved is None:
            raise StorageError(f"the run of {report.tool} vanished from {self.folder}")
        return saved

    def pieces(self, video: Video, tool: str, key: str) -> dict[str, Any]:
        """Return what a run with these very settings did before it was stopped or killed."""
        rows = self._rows(
            "SELECT name, value FROM pieces WHERE video = ? AND tool = ? AND key = ?",
            (video.sha256, tool, key),
        )
        return {row["name"]: json.loads(row["value"]) for row in rows}

    def save_piece(self, video: Video, tool: str, key: str, name: str, value: Any) -> None:
        """Keep a piece of a run, a value of plain JSON, until the run is saved."""
        with self._write() as db:
            db.execute(
                "INSERT OR REPLACE INTO pieces VALUES (?, ?, ?, ?, ?)",
                (video.sha256, tool, key, name, _json(value)),
            )

    def count_evidence(self, runs: Iterable[int]) -> int:
        """Return how many evidence records some runs made together."""
        ids = list(runs)
        row = self._row(f"SELECT count(*) FROM evidence WHERE run IN ({_marks(ids)})", ids)
        return int(row[0]) if row else 0

    def passages(self, runs: Iterable[int]) -> list[Passage]:
        """Return the evidence of some runs in time order."""
        ids = list(runs)
        rows = self._rows(
            "SELECT evidence.*, tool FROM evidence JOIN runs ON runs.id = run"
            f" WHERE run IN ({_marks(ids)}) ORDER BY start_s, end_s, evidence.id",
            ids,
        )
        return [Passage(row["id"], _evidence(row)) for row in rows]

    # Search

    def save_embeddings(
        self, model: str, rows: Sequence[int], vectors: npt.NDArray[np.float32]
    ) -> None:
        """Store unit vectors [n, dimensions] of evidence rows, made by an embedding model."""
        with self._write() as db:
            db.executemany(
                "INSERT OR REPLACE INTO embeddings VALUES (?, ?, ?)",
                [(row, model, v.tobytes()) for row, v in zip(rows, vectors, strict=True)],
            )

    def embeddings(self, model: str, runs: Iterable[int]) -> dict[int, npt.NDArray[np.float32]]:
        """Return the stored unit vectors of the evidence of some runs, by row."""
        ids = list(runs)
        rows = self._rows(
            "SELECT evidence, vector FROM embeddings JOIN evidence ON evidence.id = evidence"
            f" WHERE model = ? AND run IN ({_marks(ids)})",
            [model, *ids],
        )
        return {row["evidence"]: np.frombuffer(row["vector"], np.float32) for row in rows}

    def search_text(self, words: Sequence[str], runs: Iterable[int], limit: int) -> list[int]:
        """Return the rows that hold any of the words, best BM25 rank first."""
        ids, query = list(runs), " OR ".join('"' + w.replace('"', "") + '"' for w in words)
        if not query:
            return []
        rows = self._rows(
            "SELECT evidence.id FROM evidence_text JOIN evidence ON evidence.id ="
            f" evidence_text.rowid WHERE evidence_text MATCH ? AND run IN ({_marks(ids)})"
            " ORDER BY bm25(evidence_text), evidence.id LIMIT ?",
            [query, *ids, limit],
        )
        return [row["id"] for row in rows]

    # SQLite and locks

    def _lock(self, name: str) -> FileLock:
        """Take an operating-system lock; it is freed when the process dies."""
        lock = FileLock(self.folder / "locks" / f"{name}.lock", thread_local=False)
        with _storage_errors(self.folder):
            lock.acquire()
        return lock

    def _create_schema(self) -> None:
        with _storage_errors(self.folder), closing(self._connect()) as db:
            found = db.execute("PRAGMA user_version").fetchone()[0]
            if found not in READABLE:
                raise StorageError(
                    f"the library {self.folder} has format {found}, this program reads "
                    f"{SCHEMA_VERSION}; choose another folder with --set library=DIR"
                )
            if found != SCHEMA_VERSION:
                db.executescript(f"{SCHEMA} PRAGMA user_version = {SCHEMA_VERSION};")

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._file, timeout=60, isolation_level=None)
        db.row_factory = sqlite3.Row
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA foreign_keys = ON")
        return db

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        """Run statements in one transaction; rolled back when anything is raised."""
        with _storage_errors(self.folder), closing(self._connect()) as db:
            db.execute("BEGIN IMMEDIATE")
            with db:
                yield db

    def _rows(self, sql: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        with _storage_errors(self.folder), closing(self._connect()) as db:
            return db.execute(sql, values).fetchall()

    def _row(self, sql: str, values: Sequence[Any]) -> sqlite3.Row | None:
        return next(iter(self._rows(sql, values)), None)


_RUNS = "SELECT runs.*, (SELECT count(*) FROM evidence WHERE run = runs.id) AS count FROM runs"


@contextmanager
def _storage_errors(folder: Path) -> Iterator[None]:
    """Turn what disks and SQLite raise into one clear line."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise StorageError(
            f"cannot use the library in {folder}: {error}; free some space or choose another "
            f"folder with --set library=DIR"
        ) from error


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, allow_nan=False)


def _marks(values: Sequence[Any]) -> str:
    return ", ".join("?" * len(values))


def _size(folder: Path) -> int:
    return sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())


def _video_to_json(video: Video) -> str:
    values = asdict(video) | {"fps": str(video.fps) if video.fps else None}
    del values["path"]
    return _json(values)


def _video_from_json(text: str, path: Path) -> Video:
    values = json.loads(text)
    values["fps"] = Fraction(values["fps"]) if values["fps"] else None
    values["subtitles"] = tuple(SubtitleTrack(**track) for track in values["subtitles"])
    return Video(path=path, **values)


def _run(row: sqlite3.Row) -> Run:
    report = ChannelReport(
        tool=row["tool"],
        status=row["status"],
        count=row["count"],
        seconds=row["seconds"],
        reason=row["reason"],
        cached=True,
    )
    settings = json.loads(row["settings"])
    return Run(row["id"], row["tool"], report, settings, row["finished"])


def _evidence(row: sqlite3.Row) -> Evidence:
    return Evidence(
        tool=row["tool"],
        kind=row["kind"],
        start_s=row["start_s"],
        end_s=row["end_s"],
        text=row["text"],
        score=row["score"],
        data=json.loads(row["data"]),
        id=f"{row['tool']}:{row['number']}",
    )
