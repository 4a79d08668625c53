"""Watch a folder: look at its videos as they come, once each file is whole."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event as Flag
from time import monotonic, sleep
from typing import Literal

from langgraph.runtime import RunControl
from watchfiles import watch

from agent.ingest.known import known_findings
from agent.search.arrivals import SETTLE_S, Arrivals
from agent.session import Event, Session
from tools.errors import DeletedError, InputError, ReelgraphError, StoppedError, StorageError
from tools.media.folders import find_videos, is_folder

TICK_MS = 300  # between two looks at files that are being written
LIST_S = 60.0  # the folder is listed so often even if no change is reported, as on network drives


@dataclass(frozen=True, slots=True)
class Seen:
    """What a watch does with a file.

    Attributes:
        what: It "comes" and is waited for until it is whole, is "known" already, "begins" to be
            looked at, is "done", is "broken" (tried again once it changes), or is "gone" (what is
            known of it stays).
        file: Its path.
        why: What is wrong with a broken one.
    """

    what: Literal["comes", "known", "begins", "done", "broken", "gone"]
    file: Path
    why: str = ""


def watch_folder(
    session: Session,
    folder: Path,
    control: RunControl,
    *,
    settle_s: float = SETTLE_S,
    once: bool = False,
) -> Iterator[Seen | Event]:
    """Look at the videos below a folder, and at each new one; yield what happens.

    Args:
        session: Its library takes what is found.
        folder: The folder; those in it count.
        control: Its `request_drain` ends the watch between pieces of work.
        settle_s: Seconds without a change after which a file is whole.
        once: End as soon as everything that is there was looked at.

    Raises:
        InputError: There is no such folder.
        StorageError: The library cannot be written.
        StoppedError: `control` was asked to stop; finished work is stored.
    """
    arrivals = Arrivals(settle_s)
    for changed in _ticks(folder, control, once):
        if changed:
            new, gone = arrivals.look(_videos(folder))
            yield from (Seen("gone", file) for file in gone)
        whole = arrivals.take()
        if changed:
            yield from (Seen("comes", file) for file in new if file not in whole)
        for file in whole:
            yield from _index(session, file, control)
        if once and not arrivals.waiting:
            return
    raise StoppedError


def _index(session: Session, file: Path, control: RunControl) -> Iterator[Seen | Event]:
    """Look at one file; a broken one ends nothing."""
    if control.drain_requested:
        return
    try:
        video = session.probe(file)
        if known_findings(video, session.context):
            yield Seen("known", file)
            return
        yield Seen("begins", file)
        yield from session.stream_index(file, control)
        yield Seen("done", file)
    except ReelgraphError as error:
        if isinstance(error, StoppedError | StorageError) and not isinstance(error, DeletedError):
            raise
        yield Seen("broken", file, str(error))


def _ticks(folder: Path, control: RunControl, once: bool) -> Iterator[bool]:
    """Yield at short intervals until `control` is asked to stop: whether to list the folder.

    The first is yielded after the watch began, so that no file comes unnoticed between the two.
    """
    listed = -LIST_S
    for changed in _pauses() if once else _changes(folder):
        if control.drain_requested:
            return
        due = monotonic() - listed >= LIST_S
        if changed or due:
            listed = monotonic()
        yield changed or due


def _pauses() -> Iterator[bool]:
    while True:
        yield False
        sleep(TICK_MS / 1000)


def _changes(folder: Path) -> Iterator[bool]:
    """Yield at short intervals whether the operating system reported a change below a folder."""
    _require(folder)
    ticks = watch(
        folder,
        watch_filter=None,
        debounce=TICK_MS,
        rust_timeout=TICK_MS,
        yield_on_timeout=True,
        stop_event=Flag(),
    )
    return (bool(changes) for changes in ticks)


def _videos(folder: Path) -> list[Path]:
    _require(folder)
    try:
        return find_videos([folder])
    except InputError:  # none yet
        return []


def _require(folder: Path) -> None:
    if not is_folder(folder):
        raise InputError(f"there is no folder {folder}; name one whose videos are to be watched")
