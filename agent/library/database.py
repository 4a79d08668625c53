"""A thread-safe SQLite file: one open connection per thread, and errors in one line."""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from weakref import finalize

from tools.errors import DeletedError, StorageError

WAIT_S = 60  # busy timeout while another process writes


class Database:
    """One SQLite file in WAL mode."""

    def __init__(self, file: Path) -> None:
        """Set the file; each thread opens its connection on first use."""
        self.file = file
        self._own = threading.local()
        self._closers: list[finalize[..., Any]] = []
        self._lock = threading.Lock()
        self._closed = False

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection of the calling thread; closed when the thread ends."""
        held: _Held | None = getattr(self._own, "held", None)
        if held is None:
            self._own.held = held = self._open()
        return held.connection

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """Return the rows of a query. `StorageError` if the file cannot be read."""
        with storage_errors(self.file.parent):
            return self.connection.execute(sql, values).fetchall()

    def row(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Row | None:
        """Return the first row of a query. `StorageError` if the file cannot be read."""
        return next(iter(self.rows(sql, values)), None)

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Run statements in one transaction; rolled back on any exception.

        Raises:
            DeletedError: A foreign key is gone: another process deleted the video.
            StorageError: The file cannot be written.
        """
        with storage_errors(self.file.parent):
            db = self.connection
            db.execute("BEGIN IMMEDIATE")
            with db:
                yield db

    def close(self) -> None:
        """Close the connections of all threads; the database is unusable afterwards."""
        with self._lock:
            self._closed = True
            for closer in self._closers:
                closer()

    def _open(self) -> "_Held":
        with self._lock:
            if self._closed:
                raise StorageError(f"the library {self.file.parent} was closed; open it anew")
            db = sqlite3.connect(
                self.file, timeout=WAIT_S, isolation_level=None, check_same_thread=False
            )
            db.row_factory = sqlite3.Row
            db.execute("PRAGMA foreign_keys = ON")
            held = _Held(db)
            alive = [closer for closer in self._closers if closer.alive]
            self._closers = [*alive, finalize(held, db.close)]
        return held


class _Held:
    """The connection of one thread, released when the thread ends."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection


@contextmanager
def storage_errors(folder: Path) -> Iterator[None]:
    """Turn what disks and SQLite raise into one clear line."""
    try:
        yield
    except sqlite3.IntegrityError as error:
        if error.sqlite_errorname == "SQLITE_CONSTRAINT_FOREIGNKEY":  # all reference a video
            raise DeletedError from error
        raise _unusable(folder, error) from error
    except (sqlite3.Error, OSError) as error:
        raise _unusable(folder, error) from error


def _unusable(folder: Path, error: Exception) -> StorageError:
    return StorageError(
        f"cannot use the library in {folder}: {error}; free some space or choose another "
        f"folder with --set library=DIR"
    )


def marks(values: Sequence[Any]) -> str:
    """Return as many placeholders (`?`) as there are values, for a statement."""
    return ", ".join("?" * len(values))
