"""The schema of a library: create the tables, or migrate those of an older version."""

import sqlite3
from collections.abc import Iterator
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

from agent.library.database import Database, storage_errors
from agent.text import letter_pairs
from tools.errors import StorageError

VERSION = 3
READABLE = (0, 1, 2, VERSION)  # 0: empty; 1: had no pieces yet; 2: replies were runs too
PAGE_BYTES = 16384  # a row of `embeddings` above a quarter of it would take pages of its own
_OLD_TABLES = ("videos", "files", "runs", "pieces", "evidence", "embeddings")
_TAG_DIGITS = 12  # 48 bits: two of 10,000 runs share one in a library of five million


def run_tag(video: str, tool: str, key: str) -> str:
    """Return the tag of a run in the ids of its evidence: the same on every machine."""
    return sha256(f"{video} {tool} {key}".encode()).hexdigest()[:_TAG_DIGITS]


def prepare(database: Database) -> None:
    """Create the tables, or migrate those of an older version, in one transaction.

    The caller holds a lock: no other process may do so at the same time.

    Raises:
        StorageError: A newer program wrote the library, or the file cannot be used.
    """
    folder = database.file.parent
    with storage_errors(folder):
        db = database.connection
        found = db.execute("PRAGMA user_version").fetchone()[0]
        if found not in READABLE:
            raise StorageError(
                f"the library {folder} has format {found}, this program reads {VERSION}; update "
                f"the program, or choose another folder with --set library=DIR"
            )
        if found == VERSION:
            return
        if not found:
            db.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA foreign_keys = OFF")  # tables are renamed; checked at the end
        try:
            _build(db, found)
        finally:
            db.execute("PRAGMA foreign_keys = ON")


def _build(db: sqlite3.Connection, found: int) -> None:
    db.execute("BEGIN EXCLUSIVE")
    with db:
        if found:
            _set_aside(db, found)
        _run(db, "schema.sql")
        if found:
            _migrate(db)
        db.execute(f"PRAGMA user_version = {VERSION}")


def _set_aside(db: sqlite3.Connection, found: int) -> None:
    """Rename the old tables, and drop what conflicts with the new ones."""
    for trigger in ("evidence_added", "evidence_gone"):
        db.execute(f"DROP TRIGGER IF EXISTS {trigger}")
    db.execute("DROP TABLE IF EXISTS evidence_text")
    db.execute("DROP INDEX IF EXISTS evidence_by_run")
    if found == 1:
        db.execute("CREATE TABLE IF NOT EXISTS pieces (video, tool, key, name, value)")
    for table in _OLD_TABLES:
        db.execute(f"ALTER TABLE {table} RENAME TO old_{table}")


def _migrate(db: sqlite3.Connection) -> None:
    db.create_function("file_name", 1, lambda path: Path(path).name)
    db.create_function("letter_pairs", 1, letter_pairs)
    db.create_function("run_tag", 3, run_tag)
    _run(db, "migration.sql")
    if broken := db.execute("PRAGMA foreign_key_check").fetchall():
        raise sqlite3.DatabaseError(f"{len(broken)} rows refer to rows that are not there")


def _run(db: sqlite3.Connection, script: str) -> None:
    for statement in _statements(files(__package__).joinpath(script).read_text("utf-8")):
        db.execute(statement)


def _statements(script: str) -> Iterator[str]:
    """Split a script into statements: `executescript` would commit the transaction."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
