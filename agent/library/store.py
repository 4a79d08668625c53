"""The library on disk: one SQLite file (WAL) beside a folder of frames.

A tool run is stored in one transaction when it has finished, so a kill at any point leaves no
partial run. Several threads and processes may share a library: `Library.claim` is a lock on a
piece of work, freed by the operating system if its process dies. Outputs of chat models, captions
and replies, are stored apart from tool runs.
"""

import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, Self

from agent.library.chats import Chats
from agent.library.claims import Claims
from agent.library.database import Database, marks
from agent.library.model_tables import ModelTables
from agent.library.parcels import Parcels
from agent.library.rows import (
    CAPTIONS,
    LibraryEntry,
    Passage,
    Run,
    caption_from,
    evidence_from,
    run_from,
    to_json,
    video_from,
    video_to_json,
)
from agent.library.schema import prepare, run_tag
from agent.library.search_tables import SearchTables
from agent.library.view import EvidenceView
from agent.models import kept_prompt
from agent.text import letter_pairs
from tools.errors import DeletedError, InputError, StorageError
from tools.evidence import ChannelReport, Evidence
from tools.media.video import Video

LEAST_HASH = 4  # minimum hash digits that name a video
VIEWS = 4  # cached in memory; an hour's evidence with its vectors takes some 10 MB
_RUNS = "SELECT runs.*, (SELECT count(*) FROM evidence WHERE run = runs.id) AS count FROM runs"
_ID = re.compile(r"(?:([0-9a-f]+)/)?([^/:]+):([0-9a-f]+):(\d+)(?:@.*)?")  # @: phrases
_EVIDENCE = "SELECT evidence.*, tool, tag FROM evidence JOIN runs ON runs.id = run"


class Library(ModelTables, SearchTables, Parcels):
    """The store of videos, tool runs, evidence and embeddings in one folder.

    Thread-safe. As a context manager it is closed at the end.
    """

    def __init__(self, folder: Path) -> None:
        """Open or create a library. `StorageError` when the folder cannot be used."""
        self.folder = folder.expanduser().resolve()
        self._claims = Claims(self.folder / "locks")
        self._db = Database(self.folder / "library.sqlite")
        self._views: dict[tuple[int, ...], EvidenceView] = {}
        self._views_lock = Lock()
        with self._claims.hold("schema"):
            prepare(self._db)
        for row in self._db.rows("SELECT video FROM deleted"):
            self._sweep(row["video"])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the files; the library is unusable afterwards."""
        self._db.close()
        self.chats.close()

    @cached_property
    def chats(self) -> Chats:
        """The store of chats."""
        return Chats(self.folder)

    def frames_folder(self, video: Video, key: str) -> Path:
        """Folder of the frames of a video for one way of sampling."""
        return self.folder / "frames" / video.sha256 / key

    @contextmanager
    def claim(self, video: Video, name: str, key: str) -> Iterator[None]:
        """Hold the lock on one piece of work; other processes and threads wait.

        Raises:
            DeletedError: The video was deleted meanwhile; leftovers of the work are removed.
        """
        known = self._is_known(video)
        try:
            with self._claims.hold(f"{video.sha256[:16]}-{name}-{key[:16]}"):
                yield
        except Exception as error:
            if known and not self._is_known(video):
                self._sweep(video.sha256)
                raise DeletedError from error
            raise
        if known and not self._is_known(video):
            self._sweep(video.sha256)
            raise DeletedError

    # Videos

    def known_file(self, path: Path) -> Video | None:
        """Return the video at a path if it was probed before and has not changed since.

        A probe without tracks is from an older version, and does not count.
        """
        if not (stat := stat_of(path)):
            return None
        row = self._db.row(
            "SELECT files.path, probe FROM files JOIN videos ON video = sha256"
            " WHERE files.path = ? AND size = ? AND mtime_ns = ?"
            " AND json_extract(probe, '$.tracks') IS NOT NULL",
            (str(path), stat.st_size, stat.st_mtime_ns),
        )
        return video_from(row) if row else None

    def add_video(self, video: Video, stat: os.stat_result | None = None) -> None:
        """Store a probed video and its file.

        Args:
            video: The video.
            stat: Stat of its file, taken before hashing, so that a later change is noticed.
        """
        stat = stat or video.path.stat()
        with self._db.write() as db:
            db.execute(
                "INSERT INTO videos (sha256, path, name, probe) VALUES (?, ?, ?, ?)"
                " ON CONFLICT DO UPDATE SET path = excluded.path, name = excluded.name,"
                " probe = excluded.probe",
                (video.sha256, str(video.path), video.path.name, video_to_json(video)),
            )
            db.execute("DELETE FROM deleted WHERE video = ?", (video.sha256,))
            db.execute(
                "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)",
                (str(video.path), stat.st_size, stat.st_mtime_ns, video.sha256),
            )

    def video(self, sha256: str) -> Video | None:
        """Return a known video by its whole hash, with its latest path."""
        row = self._db.row("SELECT path, probe FROM videos WHERE sha256 = ?", (sha256,))
        return video_from(row) if row else None

    def entries(self) -> list[LibraryEntry]:
        """Return every known video, oldest first."""
        runs: dict[str, list[Run]] = {}
        for row in self._db.rows(f"{_RUNS} ORDER BY id"):
            runs.setdefault(row["video"], []).append(run_from(row))
        rows = self._db.rows("SELECT * FROM videos ORDER BY added, sha256")
        return [self._entry(row, runs.get(row["sha256"], ())) for row in rows]

    def find(self, name: str) -> LibraryEntry:
        """Return the one video with this path, file name or hash.

        Args:
            name: A path, a file name, or at least the first four digits of a hash.

        Raises:
            InputError: None or several match.
        """
        found = self._named(name) if name.strip() else []
        if len(found) != 1:
            number = "no video" if not found else f"{len(found)} videos"
            raise InputError(
                f"{number} in the library match {name!r}; give a file name, or at least "
                f"{LEAST_HASH} digits of the hash that `reelgraph library list` shows"
            )
        return self._entry(found[0], self.runs(found[0]["sha256"]))

    def _named(self, name: str) -> list[Any]:
        where, values = "name = ? OR path = ? OR path = ?", [name, name, str(Path(name).absolute())]
        if re.fullmatch(rf"[0-9a-fA-F]{{{LEAST_HASH},64}}", name):
            where += " OR sha256 BETWEEN ? AND ?"
            values += [name.lower(), name.lower() + "g"]  # bounds all hashes with this prefix
        return self._db.rows(f"SELECT * FROM videos WHERE {where}", values)

    def _entry(self, row: Any, runs: Sequence[Run]) -> LibraryEntry:
        frames = self.folder / "frames" / row["sha256"]
        return LibraryEntry(video_from(row), row["added"], tuple(runs), frames)

    def delete(self, video: Video) -> None:
        """Delete everything stored about a video, with the chats that quote it; the file stays.

        Work in progress on the video ends with a `DeletedError`, and what it has written is removed
        when its claim is released, or when the library is opened next.
        """
        self.chats.forget(video.sha256)
        with self._db.write() as db:
            db.execute("INSERT OR REPLACE INTO deleted (video) VALUES (?)", (video.sha256,))
            db.execute("DELETE FROM videos WHERE sha256 = ?", (video.sha256,))
        with self._views_lock:
            self._views.clear()
        self._sweep(video.sha256)

    def _sweep(self, sha256: str) -> None:
        """Remove the folder of a deleted video, unless the video was added again."""
        with self._db.write() as db:  # no one can add it meanwhile
            if not db.execute("SELECT 1 FROM deleted WHERE video = ?", (sha256,)).fetchone():
                return
            shutil.rmtree(self.folder / "frames" / sha256, ignore_errors=True)
            shutil.rmtree(self.folder / kept_prompt.FOLDER, ignore_errors=True)  # it quotes it
            if self._claims.clear(f"{sha256[:16]}-"):  # no work on it is in progress
                db.execute("DELETE FROM deleted WHERE video = ?", (sha256,))

    def _is_known(self, video: Video) -> bool:
        sql = "SELECT 1 FROM videos WHERE sha256 = ?"
        return self._db.row(sql, (video.sha256,)) is not None

    # Runs of tools

    def require_runs(self, runs: Iterable[int]) -> None:
        """Check that some runs still exist. `DeletedError` when their video was deleted."""
        ids = list(runs)
        row = self._db.row(f"SELECT count(*) FROM runs WHERE id IN ({marks(ids)})", ids)
        if row is None or row[0] < len(ids):
            raise DeletedError

    def finished_run(self, video: Video, tool: str, key: str) -> Run | None:
        """Return the finished run of a tool with exactly these settings, if there is one."""
        row = self._db.row(
            f"{_RUNS} WHERE video = ? AND tool = ? AND key = ?", (video.sha256, tool, key)
        )
        return run_from(row) if row else None

    def runs(self, sha256: str) -> list[Run]:
        """Return all finished runs of tools on a video."""
        rows = self._db.rows(f"{_RUNS} WHERE video = ? ORDER BY id", (sha256,))
        return [run_from(row) for row in rows]

    def save_run(
        self,
        video: Video,
        key: str,
        settings: Mapping[str, Any],
        report: ChannelReport,
        evidence: Sequence[Evidence],
    ) -> Run:
        """Store a finished run and its evidence in one transaction and return it.

        Raises:
            DeletedError: The video was deleted meanwhile.
            StorageError: The library cannot be written.
        """
        work = (video.sha256, report.tool, key)
        with self._db.write() as db:
            db.execute("DELETE FROM runs WHERE video = ? AND tool = ? AND key = ?", work)
            db.execute("DELETE FROM pieces WHERE video = ? AND tool = ? AND key = ?", work)
            fared = (to_json(settings), report.status, report.seconds, report.reason)
            run = db.execute(
                "INSERT INTO runs (tag, video, tool, key, settings, status, seconds, reason)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (run_tag(*work), *work, *fared),
            ).lastrowid
            db.executemany(
                "INSERT INTO evidence (run, number, kind, start_s, end_s, text, pairs, score, data)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [_values(run, number, one) for number, one in enumerate(evidence)],
            )
        saved = self.finished_run(video, report.tool, key)
        if saved is None:
            raise DeletedError
        return saved

    def pieces(self, video: Video, tool: str, key: str) -> dict[str, Any]:
        """Return the saved pieces of a stopped or killed run with exactly these settings."""
        rows = self._db.rows(
            "SELECT name, value FROM pieces WHERE video = ? AND tool = ? AND key = ?",
            (video.sha256, tool, key),
        )
        return {row["name"]: json.loads(row["value"]) for row in rows}

    def save_piece(self, video: Video, tool: str, key: str, name: str, value: Any) -> None:
        """Checkpoint a piece of a run, a value of plain JSON, until the run is saved."""
        with self._db.write() as db:
            db.execute(
                "INSERT OR REPLACE INTO pieces VALUES (?, ?, ?, ?, ?)",
                (video.sha256, tool, key, name, to_json(value)),
            )

    # Evidence

    def view(self, runs: Iterable[int]) -> EvidenceView:
        """Return the evidence of some finished runs, cached in memory."""
        ids = tuple(sorted(set(runs)))
        with self._views_lock:
            view = self._views.pop(ids, None) or EvidenceView(self, ids)
            self._views[ids] = view  # most recently used at the end
            while len(self._views) > VIEWS:
                del self._views[next(iter(self._views))]
            return view

    def passages(self, runs: Iterable[int]) -> list[Passage]:
        """Return the evidence of some runs in time order."""
        if not (ids := list(runs)):
            return []
        rows = self._db.rows(
            f"{_EVIDENCE} WHERE run IN ({marks(ids)}) ORDER BY start_s, end_s, tool, number", ids
        )
        return [Passage(row["id"], evidence_from(row)) for row in rows]

    def evidence_by_id(self, id: str) -> Evidence | None:
        """Return the record with an id, None if it no longer exists.

        Args:
            id: Id of a record, also with the video's hash before it, as in `across_videos`. Ids
                from before version 3, such as "ocr:3", are not found.
        """
        if not (parts := _ID.fullmatch(id)):
            return None
        sha256, tool, tag, number = parts.groups(default="")
        within = (sha256, f"{sha256}g")  # hex digits end at f
        where = "tool = ? AND tag = ? AND number = ? AND video BETWEEN ? AND ?"
        if row := self._db.row(f"{_EVIDENCE} WHERE {where}", (tool, tag, number, *within)):
            return evidence_from(row)
        if tool != CAPTIONS:
            return None
        sql = "SELECT * FROM captions WHERE tag = ? AND video BETWEEN ? AND ?"
        row = self._db.row(sql, (tag, *within))
        return caption_from(row) if row else None

    def findings(self, video: Video) -> tuple[Evidence, ...]:
        """Return the evidence of every tool's latest run, and all captions, in time order."""
        latest = self._db.rows(
            "SELECT max(id) FROM runs WHERE video = ? GROUP BY tool", (video.sha256,)
        )
        found = [passage.evidence for passage in self.passages(row[0] for row in latest)]
        said = [caption for caption in self.captions(video).values() if caption]
        return tuple(sorted([*found, *said], key=lambda e: (e.start_s, e.end_s)))


def stat_of(path: Path) -> os.stat_result | None:
    """Return the stat of a file; None if there is none."""
    try:
        return path.stat()
    except (OSError, ValueError):  # `probe` reports what is wrong with the path
        return None


def _values(run: int | None, number: int, one: Evidence) -> tuple[Any, ...]:
    """Return the row of a record."""
    try:
        pairs = letter_pairs(one.text)
    except TypeError as error:
        raise StorageError(f"the text of {one} is no string") from error
    return (
        *(run, number, one.kind, one.start_s, one.end_s),
        *(one.text, pairs, one.score, to_json(one.data)),
    )
