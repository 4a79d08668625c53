"""Where the work of a batch is done: the interface, and the engine on this machine.

The local engine has one worker process with one session, in which each video has a thread. Threads
share the loaded models and tools, so memory hardly grows with their number, and models release the
interpreter's lock while they compute. The process is there for what a thread cannot survive: a
tool that hangs, a crash inside a library, the end of memory. It is then ended and started again.
A row at work in a crash, or over its deadline beside others that may have kept it waiting, is
asked again alone before it fails: so what fails does not depend on the number of workers.
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
from agent.batch.work import Progress, WorkSettings, failed, is_overdue, too_long
from agent.batch.worker import Numbered, Told, Unable
from tools.errors import ReelgraphError

LOOK_S = 0.1  # between two looks at deadlines and Stop
GRACE_S = 10.0  # that a row has to end by itself after its deadline, and a job after Stop
BOOT = "import sys; sys.path.extend({paths!r}); from agent.batch.worker import serve; serve({file})"
CRASHES = 2  # of its worker, the last while it was asked alone, that fail a row


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
    alone: bool
    since: float = field(default_factory=monotonic)

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
                self._begin(self.suspects.popleft(), alone=True)
            return
        while len(self.flights) < self.workers and not any(f.alone for f in self.flights.values()):
            job = self.again.popleft() if self.again else next(self.jobs, None)
            if job is None:
                return
            self._begin(job, alone=self.workers == 1)

    def _begin(self, job: Job, alone: bool) -> None:
        if self.worker is None:
            self.worker = _Worker(self.settings, self.log)
        self.number += 1
        self.flights[self.number] = _Flight(job.video, deque(job.rows), alone)
        self.worker.say(Numbered(self.number, job))

    def _take(self, told: Told) -> Iterator[Result | Progress]:
        flight, event = self.flights[told.number], told.event
        if event is None:
            del self.flights[told.number]
        elif isinstance(event, Progress):
            if not event.stage:
                flight.since = monotonic()  # the row begins
            yield event
        else:
            row = flight.rows.popleft()
            if is_overdue(event, self.settings) and not flight.alone:
                self.suspects.append(Job(flight.video, (row,)))
            else:
                self.crashes.pop(row.id, None)
                yield event

    def _end_hung(self) -> Iterator[Result]:
        """End the worker if a row is long over its deadline; other rows are asked again."""
        limit_s = self.settings.deadline_s + self.grace_s
        hung = [f for f in self.flights.values() if f.rows and monotonic() - f.since > limit_s]
        if not hung:
            return
        self.end()
        why = f"{too_long(self.settings)}; it did not stop, so its process was ended"
        for flight in hung:
            yield from self._suspect(flight, why if flight.alone else "")
        self._restart()

    def _crashed(self) -> Iterator[Result]:
        """Find the row at fault after the worker ended: each row that was at work is suspect."""
        assert self.worker is not None
        why = f"the worker process ended twice while it was asked, {self.worker.how_it_ended()}"
        self.end()
        for flight in [f for f in self.flights.values() if f.rows]:
            row = flight.rows[0]
            self.crashes[row.id] += 1
            at_fault = flight.alone and self.crashes[row.id] >= CRASHES
            yield from self._suspect(flight, why if at_fault else "")
        self._restart()

    def _suspect(self, flight: _Flight, why: str) -> Iterator[Result]:
        """Fail the row at work in a flight, or let it be asked again alone."""
        row = flight.rows.popleft()
        if why:
            yield failed(row, why, seconds=monotonic() - flight.since)
        else:
            self.suspects.append(Job(flight.video, (row,)))

    def _restart(self) -> None:
        """Let the rows without result be asked again, by another worker."""
        self.again.extend(f.left() for f in self.flights.values() if f.rows)
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
