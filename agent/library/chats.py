"""The chats of a library, on disk: LangGraph checkpointer threads with a checkpoint per question.

A table beside the checkpoints indexes each chat: its list entry and the videos it is about. It
records the last checkpoint indexed, so only chats that continued since are read again.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import CheckpointTuple
from langgraph.checkpoint.sqlite import SqliteSaver

from agent.library.exchange import Exchange
from tools.errors import InputError, StorageError

MAX_NAME = 100  # characters
_TABLES = """
CREATE TABLE IF NOT EXISTS chats (
    name TEXT PRIMARY KEY,
    checkpoint TEXT NOT NULL,           -- the last one that was read
    title TEXT NOT NULL,                -- the first question
    asked TEXT NOT NULL,                -- the last question
    began TEXT NOT NULL,                -- time of the first answer
    "when" TEXT NOT NULL,               -- time of the last answer
    count INTEGER NOT NULL              -- questions; 0 if none was answered
);
CREATE TABLE IF NOT EXISTS chat_videos (
    chat TEXT NOT NULL,
    video TEXT NOT NULL,                -- its hash
    PRIMARY KEY (video, chat)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS videos_of_chat ON chat_videos (chat);
"""
_LAST = "SELECT thread_id, max(checkpoint_id) FROM checkpoints GROUP BY thread_id"


@dataclass(frozen=True, slots=True)
class ChatEntry:
    """A chat in a list.

    Attributes:
        name: Its name, the id of the thread.
        title: Its first question.
        when: Time of the last answer, UTC, ISO 8601.
        count: Number of questions.
        asked: Its last question.
        began: Time of the first answer.
    """

    name: str
    title: str
    when: str
    count: int
    asked: str = ""
    began: str = ""


class Chats:
    """The store of chats: questions and answers."""

    def __init__(self, folder: Path) -> None:
        """Use the chats of a library's folder; the file is opened on first use."""
        self._file = folder / "chats.sqlite"

    @cached_property
    def saver(self) -> SqliteSaver:
        """The checkpointer for graphs. `StorageError` if it cannot be opened."""
        with self._errors():
            db = sqlite3.connect(self._file, timeout=60, check_same_thread=False)
            saver = SqliteSaver(db)
            saver.setup()
            db.executescript(_TABLES)
        return saver

    def close(self) -> None:
        """Close the file."""
        if "saver" in self.__dict__:
            self.saver.conn.close()

    def exchanges(self, name: str) -> list[Exchange]:
        """Return the questions of a chat with their answers, oldest first; [] if there are none."""
        with self._errors():
            found = [_exchange(point) for point in self.saver.list(thread(name))]
        return _distinct([exchange for exchange in found if exchange][::-1])

    def entries(self) -> list[ChatEntry]:
        """Return every chat, latest answer first."""
        rows = self._known(
            'SELECT name, title, "when", count, asked, began FROM chats WHERE count > 0'
            ' ORDER BY "when" DESC, checkpoint DESC'  # within a second: checkpoint ids increase
        )
        return [ChatEntry(*row) for row in rows]

    def about(self, sha256: str) -> list[str]:
        """Return the names of the chats about a video."""
        sql = "SELECT chat FROM chat_videos WHERE video = ? ORDER BY chat"
        return [row[0] for row in self._known(sql, (sha256,))]

    def find(self, name: str) -> list[Exchange]:
        """Return the exchanges of a chat. `InputError` if there is no such chat."""
        if not (found := self.exchanges(name)):
            raise InputError(f"there is no chat called {name!r}; see `reelgraph chats list`")
        return found

    def delete(self, name: str) -> None:
        """Delete a chat."""
        with self._errors():
            self.saver.delete_thread(name)
            self._catch_up()

    def forget(self, sha256: str) -> None:
        """Delete every chat about a video, for answers quote it."""
        for name in self.about(sha256):
            self.delete(name)

    def _known(self, sql: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Query the table of chats, after bringing it up to date."""
        if not self._file.exists():
            return []
        with self._errors():
            self._catch_up()
            with self.saver.cursor(transaction=False) as db:
                return list(db.execute(sql, values).fetchall())

    def _catch_up(self) -> None:
        """Index the chats that continued since they were indexed; drop those that are gone."""
        with self.saver.cursor(transaction=False) as db:
            last = dict(db.execute(_LAST).fetchall())
            listed = dict(db.execute("SELECT name, checkpoint FROM chats").fetchall())
        for name in last | listed:
            checkpoint = last.get(name)
            if checkpoint == listed.get(name):
                continue
            found = self.exchanges(name) if checkpoint else []
            with self.saver.cursor() as db:
                db.execute("DELETE FROM chats WHERE name = ?", (name,))
                db.execute("DELETE FROM chat_videos WHERE chat = ?", (name,))
                if checkpoint:
                    db.execute(
                        "INSERT OR REPLACE INTO chats VALUES (?, ?, ?, ?, ?, ?, ?)",
                        (name, checkpoint, *_listed(found)),
                    )
                videos = {(name, exchange["sha256"]) for exchange in found}
                db.executemany("INSERT OR REPLACE INTO chat_videos VALUES (?, ?)", sorted(videos))

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise storage_error(self._file, error) from error


def storage_error(file: Path, error: Exception) -> StorageError:
    """Return an error of the chats' file as one line."""
    return StorageError(
        f"cannot use the chats in {file}: {error}; free some space or choose another folder with "
        f"--set library=DIR"
    )


def thread(name: str) -> RunnableConfig:
    """Return the config of a chat's thread. `InputError` for an invalid name."""
    if not name.strip() or len(name) > MAX_NAME or not name.isprintable():
        raise InputError(f"a chat's name has 1 to {MAX_NAME} printable characters, not {name!r}")
    return {"configurable": {"thread_id": name}}


def _exchange(point: CheckpointTuple) -> Exchange | None:
    return cast("Exchange | None", point.checkpoint["channel_values"].get("exchange"))


def _listed(found: list[Exchange]) -> tuple[str, str, str, str, int]:
    """Return first and last question, times of first and last answer, and their count."""
    if not found:
        return "", "", "", "", 0
    first, last = found[0], found[-1]
    return first["asked"], last["asked"], first["when"], last["when"], len(found)


def _distinct(exchanges: list[Exchange]) -> list[Exchange]:
    """Drop duplicates: a stopped run checkpoints the previous exchange once more."""
    return [e for i, e in enumerate(exchanges) if e not in exchanges[:i]]
