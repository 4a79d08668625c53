"""The runs in progress by browser tab, so that Stop stops only the tab's own run."""

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from threading import Lock
from time import monotonic

from langgraph.runtime import RunControl

from agent.session import Event
from tools.errors import StoppedError

PATIENCE_S = 1.0  # to wait for a piece of work that continues after Stop
STOPPED = "Stopped. What was found is kept: ask again to go on from there."
STILL = "Stopped. One piece of work, such as loading a model, still ends by itself; it is kept too."


class Running:
    """The runs in progress, by browser tab."""

    def __init__(self) -> None:
        self._controls: dict[str, list[RunControl]] = {}
        self._lock = Lock()

    @contextmanager
    def run(self, tab: str) -> Iterator[RunControl]:
        """Register a run until the block ends, and yield its control."""
        control = RunControl()
        with self._lock:
            self._controls.setdefault(tab, []).append(control)
        try:
            yield control
        finally:
            with self._lock:
                self._controls[tab].remove(control)
                if not self._controls[tab]:
                    del self._controls[tab]

    def stop(self, tab: str) -> int:
        """Ask the runs of a tab to stop between two pieces of work; return how many there are."""
        with self._lock:
            controls = list(self._controls.get(tab, ()))
        for control in controls:
            control.request_drain("stop")
        return len(controls)


def follow(events: Iterator[Event], control: RunControl) -> Generator[Event, None, None]:
    """Yield the events of a run, and leave it soon after Stop.

    A run stops between two pieces of work. One piece may take long, such as loading a model; it is
    abandoned and ends in the background, and nothing runs after it.

    Raises:
        StoppedError: Stop was pressed.
    """
    told: SimpleQueue[Event | None] = SimpleQueue()

    def run() -> None:
        try:
            for event in events:
                told.put(event)
        finally:
            told.put(None)

    thread = ThreadPoolExecutor(1)
    ended = thread.submit(run)
    thread.shutdown(wait=False)
    try:
        while (event := _next(told, control)) is not None:
            yield event
    finally:
        control.request_drain("stop")  # a closed page needs no further events
    try:
        ended.result()
    except StoppedError as stop:
        raise StoppedError(STOPPED) from stop


def _next(told: "SimpleQueue[Event | None]", control: RunControl) -> Event | None:
    """Wait for the next event, but not for long after Stop; None ends the run."""
    since = None
    while True:
        try:
            return told.get(timeout=0.1)
        except Empty:
            if control.drain_requested:
                since = since or monotonic()
                if monotonic() - since > PATIENCE_S:
                    raise StoppedError(STILL) from None
