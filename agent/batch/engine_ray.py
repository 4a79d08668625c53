"""The engine on a Ray cluster: an actor a video at work, on whatever node has room for it.

Results, progress and what is known of a video come back as they are made. An actor that is lost,
alone or with its node, is replaced, and its rows without result are asked again; a result is taken
once, here, so there is exactly one a row. No job waits at an actor: it is taken when one is free.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic
from typing import Any

from agent.batch.actor import Actor, Place, Start, carried_environment
from agent.batch.cluster import Needs, joined, living_nodes, require_room
from agent.batch.engine import GRACE_S, LOOK_S, Events
from agent.batch.records import Job, Result, Row
from agent.batch.work import Progress, WorkSettings, failed
from agent.library.parcels import Parcel
from agent.library.store import Library
from tools.errors import ReelgraphError

LOSSES = 3  # of its actor, on a node that lives, that fail a row
BEGINNINGS = 3  # of actors in a row that may fail
CLOSE_S = 5.0  # for actors to remove what they made


class RayEngine:
    """Answers on a Ray cluster, or on this machine under Ray."""

    def __init__(self, workers: int = 1, address: str = "", grace_s: float = GRACE_S) -> None:
        """Start nothing yet.

        Args:
            workers: Videos at work at the same time, at most; fewer where nodes have no room.
            address: Of the cluster, as for `ray.init`: "auto", "host:port"; empty to start Ray on
                this machine.
            grace_s: As for `LocalEngine`.
        """
        self._workers, self._address, self._grace_s = workers, address, grace_s

    def run(
        self,
        jobs: Iterable[Job],
        settings: WorkSettings,
        stopped: Callable[[], bool] = lambda: False,
    ) -> Events:
        """See `Engine.run`."""
        session = settings.open()
        with joined(self._address, session.settings, self._workers) as needs:
            if needs.gpus:  # Ray shows an actor its own GPU alone, which is the first there
                settings = replace(settings, overrides={**settings.overrides, "device": "cuda"})
            start = Start(
                settings,
                Place.of(session.library.folder),
                Path.cwd(),
                carried_environment(),
                self._grace_s,
            )
            run = _Run(iter(jobs), start, session.library, needs, self._workers)
            try:
                yield from run.events(stopped)
            finally:
                run.end()


@dataclass
class _Member:
    """An actor seen from here.

    Attributes:
        actor: Its handle.
        came: Reference to the first word from it.
        node: Id of its node; empty until it is there.
        shares: Whether it uses the library here.
        video: That is at work.
        rows: Of the job at work, those that have no result yet, the first of them at work.
        stream: What comes of the job; None without one.
        since: When the row at work began.
    """

    actor: Any
    came: Any
    node: str = ""
    shares: bool = True
    video: Path = Path()
    rows: deque[Row] = field(default_factory=deque)
    stream: Any = None
    since: float = 0.0

    @property
    def word(self) -> Any:
        """What is waited for next; None if it has nothing to do."""
        return self.stream if self.node else self.came


@dataclass
class _Run:
    """One run of the engine."""

    jobs: Iterator[Job]
    start: Start
    library: Library
    needs: Needs
    workers: int
    waiting: deque[Job] = field(default_factory=deque)  # for an actor that is coming, or another
    crew: list[_Member] = field(default_factory=list)
    losses: Counter[str] = field(default_factory=Counter)  # of actors, by row at work
    failures: int = 0  # of actors to begin, one after the other

    def events(self, stopped: Callable[[], bool]) -> Iterator[Result | Progress]:
        stopped_at: float | None = None
        while True:
            if stopped_at is None and stopped():
                stopped_at = monotonic()
                for member in self.crew:
                    member.actor.stop.remote()
            if stopped_at is None:
                self._begin_jobs()
            elif monotonic() - stopped_at > self.start.grace_s + LOOK_S:
                return
            if not any(member.stream for member in self.crew) and (stopped_at or not self.waiting):
                return
            yield from self._listen()

    def end(self) -> None:
        """Let idle actors remove what they made, and end all."""
        import ray

        idle = [member.actor.close.remote() for member in self.crew if not member.stream]
        if idle:
            ray.wait(idle, num_returns=len(idle), timeout=CLOSE_S)
        for member in self.crew:
            ray.kill(member.actor)
        self.crew.clear()

    def _begin_jobs(self) -> None:
        """Give free actors jobs; as long as there are more jobs than actors, start more."""
        import ray

        free = [member for member in self.crew if member.node and not member.stream]
        seats = self.workers - sum(1 for member in self.crew if member.stream)
        while len(self.waiting) < seats and (job := next(self.jobs, None)):
            self.waiting.append(job)
        while self.waiting and free:
            self._give(free.pop(), self.waiting.popleft())
        coming = sum(1 for member in self.crew if not member.node)
        more = min(len(self.waiting) - coming, self.workers - len(self.crew))
        if more > 0:
            require_room(self.needs)
        for _ in range(more):
            make = ray.remote(num_cpus=self.needs.cpus, num_gpus=self.needs.gpus)(Actor)
            actor = make.options(max_concurrency=2).remote(self.start)  # `stop` beside `work`
            self.crew.append(_Member(actor, actor.where.remote()))

    def _give(self, member: _Member, job: Job) -> None:
        known = None
        if not member.shares and (video := self.library.known_file(job.video.absolute())):
            known = self.library.pack(video.sha256)
        member.video, member.rows = job.video, deque(job.rows)
        member.since = monotonic()
        member.stream = member.actor.work.options(num_returns="streaming").remote(job, known)

    def _listen(self) -> Iterator[Result | Progress]:
        """Wait a moment, and take what has come from the actors."""
        import ray

        words = {member.word: member for member in self.crew if member.word}
        if not words:
            return
        come, _ = ray.wait(list(words), timeout=LOOK_S)
        for word in come:
            yield from self._take(words[word])

    def _take(self, member: _Member) -> Iterator[Result | Progress]:
        import ray
        from ray.exceptions import RayActorError, RayTaskError

        try:
            if not member.node:
                member.node, member.shares = ray.get(member.came)
                self.failures = 0
                return
            event = ray.get(next(member.stream))
        except StopIteration:
            member.stream = None
        except RayTaskError as error:
            raise ReelgraphError(f"on the cluster: {error.cause}") from error
        except RayActorError as error:
            yield from self._lost(member, error)
        else:
            yield from self._told(member, event)

    def _told(
        self, member: _Member, event: Result | Progress | Parcel
    ) -> Iterator[Result | Progress]:
        if isinstance(event, Parcel):
            self.library.unpack(event)
            return
        if isinstance(event, Result):
            member.rows = deque(row for row in member.rows if row.id != event.id)
            member.since = monotonic()
            self.losses.pop(event.id, None)
        yield event

    def _lost(self, member: _Member, error: Exception) -> Iterator[Result]:
        """Let the rows of a lost actor be asked again; one that loses too many fails."""
        import ray

        ray.kill(member.actor)  # it may only be out of reach
        self.crew.remove(member)
        if not member.node:
            self._did_not_begin(error)
        if not member.rows:
            return
        row = member.rows[0]
        if member.node in living_nodes():  # else it is not the row's fault
            self.losses[row.id] += 1
        if self.losses[row.id] >= LOSSES:
            why = f"its actor was lost {LOSSES} times while it was asked: {_first_line(error)}"
            yield failed(row, why, seconds=monotonic() - member.since)
            member.rows.popleft()
        if member.rows:
            self.waiting.appendleft(Job(member.video, tuple(member.rows)))

    def _did_not_begin(self, error: Exception) -> None:
        self.failures += 1
        if self.failures >= BEGINNINGS:
            raise ReelgraphError(
                f"no actor can begin on the cluster: {_reason(error)}; every node needs the same "
                f"version of reelgraph, and the folders of the videos and of the batch"
            ) from error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def _reason(error: Exception) -> str:
    """Return the last line of what an actor raised when it was made; else the first."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].strip() if "creation task" in str(error) else _first_line(error)
