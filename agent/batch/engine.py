"""Where the work of a batch is done: the interface, and the engine on this machine.

The local engine has one worker process with one session, in which each video has a thread. Threads
share the loaded models and tools, so memory hardly grows with their number, and models release the
interpreter's lock while they compute. The process is there for what a thread cannot survive: a
tool that hangs, a crash inside a library, the end of memory. It is then ended and started again,
and only the row at fault fails.
"""

import signal
import subprocess
import sys
import tempfile
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing import Pipe
from pathlib import Path
from time import monotonic
from typing import Protocol

import psutil

from agent.batch.records import Job, Result, Row
from agent.batch.work import Progress, WorkSettings, failed, too_long
from agent.batch.worker import Numbered, Told, Unable
from tools.errors import ReelgraphError

LOOK_S = 0.1  # between two looks at deadlines and Stop
GRACE_S = 10.0  # that a row has to end by itself after its deadline, and a job after Stop
BOOT = "import sys; sys.path.extend({paths!r}); from agent.batch.worker import serve; serve({file})"
CRASHES = 2  # of its worker, the last while it was alone, that fail a row


Events = Generator[Result | Progress, None, None]


class Engine(Protocol):
    """Where the work is done."""

    def run(
        self,
        jobs: Iterable[Job],
        settings: WorkSettings,
        stopped: Callable[[], bool] = lambda: False,
    ) -> Events:
        """Yield progress, and each result as soon as it is there, exactly one a row.

        Closing the generator ends the work at once.

        Args:
            jobs: One a video; taken as workers become free.
            settings: How rows are answered.
            stopped: Polled often; once it is true nothing new is begun, rows at work end without
                a result, and the iterator ends soon.

        Raises:
            ReelgraphError: No worker can be started.
        """
        ...


class LocalEngine:
    """Answers on this machine, in one worker process with a thread for each video at work."""

    def __init__(self, workers: int = 1, grace_s: float = GRACE_S) -> None:
        """Start nothing yet.

        Args:
            workers: Videos at work at the same time.
            grace_s: Seconds between asking a row to stop and ending its process.
        """
        self._workers, self._grace_s = workers, grace_s

    def run(
        self,
        jobs: Iterable[Job],
        settings: WorkSettings,
        stopped: Callable[[], bool] = lambda: False,
    ) -> Events:
        """See `Engine.run`."""
        with tempfile.TemporaryDirectory(prefix="reelgraph-batch-") as folder:
            log = Path(folder) / "worker.log"
            run = _Run(iter(jobs), settings, self._workers, self._grace_s, log)
            try:
                yield from run.events(stopped)
            finally:
                run.end()


@dataclass
class _Flight:
    """A job at work: the rows that have no result yet, the first of them at work."""

    video: Path
    rows: deque[Row]
    since: float

    def left(self) -> Job:
        """The job of the rows without result."""
        return Job(self.video, tuple(self.rows))


@dataclass
class _Run:
    """One run of the local engine."""

    jobs: Iterator[Job]
    settings: WorkSettings
    workers: int
    grace_s: float
    log: Path
    again: deque[Job] = field(default_factory=deque)  # whose worker ended through no fault of them
    suspects: deque[Job] = field(default_factory=deque)  # one row each, to be asked alone
    crashes: Counter[str] = field(default_factory=Counter)  # of the worker, by row at work
    flights: dict[int, _Flight] = field(default_factory=dict)
    worker: "_Worker | None" = None
    number: int = 0

    def events(self, stopped: Callable[[], bool]) -> Iterator[Result | Progress]:
        stopped_at: float | None = None
        while True:
            if stopped_at is None and stopped():
                stopped_at = monotonic()
                if self.worker:
                    self.worker.say(None)
            if stopped_at is None:
                self._begin_jobs()
            elif monotonic() - stopped_at > self.grace_s:
                return
            if self.worker is None or not self.flights:
                return
            for told in self.worker.listen():
                yield from self._take(told)
            if self.worker.ended:
                yield from self._crashed()
            elif stopped_at is None:
                yield from self._end_hung()

    def end(self) -> None:
        """End the worker process."""
        if self.worker:
            self.worker.end()
            self.worker = None

    def _begin_jobs(self) -> None:
        """Give the worker as many jobs as it may have; a suspect works alone."""
        if self.suspects:
            if not self.flights:
                self._begin(self.suspects.popleft())
            return
        alone = any(self.crashes[row.id] for f in self.flights.values() for row in f.rows)
        while len(self.flights) < self.workers and not alone:
            job = self.again.popleft() if self.again else next(self.jobs, None)
            if job is None:
                return
            self._begin(job)

    def _begin(self, job: Job) -> None:
        if self.worker is None:
            self.worker = _Worker(self.settings, self.log)
        self.number += 1
        self.flights[self.number] = _Flight(job.video, deque(job.rows), monotonic())
        self.worker.say(Numbered(self.number, job))

    def _take(self, told: Told) -> Iterator[Result | Progress]:
        flight = self.flights[told.number]
        if isinstance(told.event, Result):
            row = flight.rows.popleft()
            self.crashes.pop(row.id, None)
        elif told.event is None:
            del self.flights[told.number]
        elif not told.event.stage:
            flight.since = monotonic()  # the row begins
        if told.event is not None:
            yield told.event

    def _end_hung(self) -> Iterator[Result]:
        """End the worker if a row is long over its deadline; other rows are asked again."""
        limit_s = self.settings.deadline_s + self.grace_s
        hung = [f for f in self.flights.values() if f.rows and monotonic() - f.since > limit_s]
        if not hung:
            return
        self.end()
        for flight in hung:
            row = flight.rows.popleft()
            why = f"{too_long(self.settings)}; it did not stop, so its process was ended"
            yield failed(row, why, seconds=monotonic() - flight.since)
        self.again.extend(f.left() for f in self.flights.values() if f.rows)
        self.flights.clear()

    def _crashed(self) -> Iterator[Result]:
        """Find the row at fault after the worker ended: each row that was at work is suspect."""
        assert self.worker is not None
        how, alone = self.worker.how_it_ended(), len(self.flights) == 1
        self.end()
        for flight in [f for f in self.flights.values() if f.rows]:
            row = flight.rows.popleft()
            self.crashes[row.id] += 1
            if alone and self.crashes[row.id] >= CRASHES:
                self.crashes.pop(row.id)
                why = f"the worker process ended twice while it was asked, {how}"
                yield failed(row, why, seconds=monotonic() - flight.since)
            else:
                self.suspects.append(Job(flight.video, (row,)))
            if flight.rows:
                self.again.append(flight.left())
        self.flights.clear()


class _Worker:
    """The worker process, seen from outside."""

    def __init__(self, settings: WorkSettings, log: Path) -> None:
        """Start it; what it and its libraries print goes into a file."""
        self._connection, theirs = Pipe()
        self._log = log
        paths = [path for path in sys.path if path]
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-c", BOOT.format(paths=paths, file=theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                pass_fds=[theirs.fileno()],
            )
        theirs.close()  # so that its end is noticed here
        self._connection.send(settings)
        self.ended = self._began = False

    def say(self, message: Numbered | None) -> None:
        """Send a message; a process that has ended is noticed by `listen`."""
        try:
            self._connection.send(message)
        except OSError:
            return

    def listen(self) -> Iterator[Told]:
        """Wait a moment, and yield what the worker has said.

        Raises:
            ReelgraphError: It cannot begin.
        """
        wait_s = LOOK_S
        try:
            while self._connection.poll(wait_s):
                message: Told | Unable = self._connection.recv()
                if isinstance(message, Unable):
                    raise ReelgraphError(f"the worker cannot begin: {message.reason}")
                self._began = True
                yield message
                wait_s = 0.0
        except (EOFError, OSError):
            self.ended = True
            if not self._began:
                raise ReelgraphError(
                    f"the worker process ended at its start, {self.how_it_ended()}"
                ) from None

    def how_it_ended(self) -> str:
        """Return the exit code or signal, and its last words."""
        code = self._process.wait()
        how = f"signal {-code}, {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        words = [line for line in self._log.read_text(errors="replace").splitlines() if line]
        fatal = [line for line in words if line.startswith(("Fatal", "MemoryError"))]
        last = (fatal or words)[-1:]
        return " ".join([f"with {how}", *(f"({line:.200})" for line in last)])

    def end(self) -> None:
        """Kill the process and its children, and wait for it."""
        try:
            family = psutil.Process(self._process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            family = []
        self._process.kill()
        for child in family:
            try:
                child.kill()
            except psutil.NoSuchProcess:
                continue
        self._process.wait()
        self._connection.close()
