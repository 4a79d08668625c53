"""The chats of a library, on disk: threads of LangGraph's checkpointer, a checkpoint a question."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import CheckpointTuple
from langgraph.checkpoint.sqlite import SqliteSaver

from agent.library.exchange import Exchange
from tools.errors import InputError, StorageError

MAX_NAME = 100  # characters


@dataclass(frozen=True, slots=True)
class ChatEntry:
    """A chat in a list: its name, first question, time of the last answer, number of questions."""

    name: str
    title: str
    when: str
    count: int


class Chats:
    """What was asked and answered in each chat."""

    def __init__(self, folder: Path) -> None:
        """Know the chats of a library's folder; the file is opened when it is needed."""
        self._file = folder / "chats.sqlite"

    @cached_property
    def saver(self) -> SqliteSaver:
        """The checkpointer, for graphs that remember. `StorageError` if it cannot be opened."""
        with self._errors():
            db = sqlite3.connect(self._file, timeout=60, check_same_thread=False)
            saver = SqliteSaver(db)
            saver.setup()
        return saver

    def close(self) -> None:
        """Let go of the file."""
        if "saver" in self.__dict__:
            self.saver.conn.close()

    def exchanges(self, name: str) -> list[Exchange]:
        """Return the questions of a chat with their answers, oldest first; [] if there are none."""
        with self._errors():
            found = [_exchange(point) for point in self.saver.list(thread(name))]
        return _distinct([exchange for exchange in found if exchange][::-1])

    def entries(self) -> list[ChatEntry]:
        """Return every chat, that of the latest answer first."""
        if not self._file.exists():
            return []
        with self._errors():
            points = sorted(self.saver.list(None), key=_name)
        entries = []
        for name, group in groupby(points, key=_name):
            newest_first = sorted(group, key=lambda p: str(p.checkpoint["id"]), reverse=True)
            found = _distinct([e for p in newest_first if (e := _exchange(p))][::-1])
            if found:
                entries.append(ChatEntry(name, found[0]["asked"], found[-1]["when"], len(found)))
        return sorted(entries, key=lambda entry: entry.when, reverse=True)

    def find(self, name: str) -> list[Exchange]:
        """Return the exchanges of a chat. `InputError` if there is no such chat."""
        if not (found := self.exchanges(name)):
            raise InputError(f"there is no chat called {name!r}; see `reelgraph chats list`")
        return found

    def delete(self, name: str) -> None:
        """Forget a chat."""
        with self._errors():
            self.saver.delete_thread(name)

    def forget(self, sha256: str) -> None:
        """Forget every chat in which a video was asked about, for answers quote it."""
        for entry in self.entries():
            if any(e["sha256"] == sha256 for e in self.exchanges(entry.name)):
                self.delete(entry.name)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise storage_error(self._file, error) from error


def storage_error(file: Path, error: Exception) -> StorageError:
    """Return what is wrong with the file of the chats as one clear line."""
    return StorageError(
        f"cannot use the chats in {file}: {error}; free some space or choose another folder with "
        f"--set library=DIR"
    )


def thread(name: str) -> RunnableConfig:
    """Return the config of a chat's thread. `InputError` for a name that cannot be one."""
    if not name.strip() or len(name) > MAX_NAME or not name.isprintable():
        raise InputError(f"a chat's name has 1 to {MAX_NAME} printable characters, not {name!r}")
    return {"configurable": {"thread_id": name}}


def _name(point: CheckpointTuple) -> str:
    return str(point.config["configurable"]["thread_id"])


def _exchange(point: CheckpointTuple) -> Exchange | None:
    return cast("Exchange | None", point.checkpoint["channel_values"].get("exchange"))


def _distinct(exchanges: list[Exchange]) -> list[Exchange]:
    """Leave out repetitions: a run that was stopped keeps the exchange before it once more."""
    return [e for i, e in enumerate(exchanges) if e not in exchanges[:i]]
