"""The runs in progress by browser tab, so that Stop stops only the tab's own run.

A tab runs one thing at a time; what is asked meanwhile waits in its queue.
"""

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Condition, Lock
from time import monotonic

from langgraph.runtime import RunControl

from agent.session import Event
from tools.errors import StoppedError

PATIENCE_S = 1.0  # to wait for a piece of work that continues after Stop
STOPPED = "Stopped. What was found is kept: ask again to go on from there."
STILL = "Stopped. One piece of work, such as loading a model, still ends by itself; it is kept too."


@dataclass(eq=False)
class Ticket:
    """A place in the queue of a browser tab.

    Attributes:
        question: What waits.
        chat: Name of the chat that it belongs to.
        dropped: Whether it was taken back.
    """

    question: str
    chat: str
    dropped: bool = False


class Running:
    """The runs in progress, by browser tab, and what waits for them."""

    def __init__(self) -> None:
        self._controls: dict[str, list[RunControl]] = {}
        self._queues: dict[str, list[Ticket]] = {}
        self._lock = Lock()
        self._moved = Condition(self._lock)

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

    @contextmanager
    def turn(self, tab: str, question: str, chat: str) -> Iterator[Ticket]:
        """Hold a place in the queue of a tab until the block ends.

        A question without a chat goes on with the chat of the one before it.
        """
        with self._lock:
            queue = self._queues.setdefault(tab, [])
            ticket = Ticket(question, queue[-1].chat if queue else chat)
            queue.append(ticket)
        try:
            yield ticket
        finally:
            with self._moved:
                queue.remove(ticket)
                if not queue:
                    self._queues.pop(tab, None)
                self._moved.notify_all()

    def comes_first(self, tab: str, ticket: Ticket, patience_s: float = 0.5) -> bool:
        """Say whether it is a ticket's turn, or it was dropped; wait a little for that."""
        with self._moved:
            return self._moved.wait_for(
                lambda: ticket.dropped or self._queues[tab][0] is ticket, patience_s
            )

    def waiting(self, tab: str) -> list[str]:
        """Return the questions that wait, in order; the one that runs is not among them."""
        with self._lock:
            return [t.question for t in self._queues.get(tab, ())[1:] if not t.dropped]

    def drop(self, tab: str, place: int | None = None) -> None:
        """Take back the question at a place of those that wait, from 0; None takes back all."""
        with self._moved:
            waiting = [t for t in self._queues.get(tab, ())[1:] if not t.dropped]
            for ticket in waiting if place is None else waiting[place : place + 1]:
                ticket.dropped = True
            self._moved.notify_all()

    def busy(self, tab: str) -> bool:
        """Say whether something runs or waits in a tab."""
        with self._lock:
            return tab in self._controls or tab in self._queues

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
