"""What a worker does, in whatever process: answer the rows of one video, one after the other."""

import logging
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock, Timer
from time import monotonic, perf_counter
from typing import Any

from langgraph.runtime import RunControl

from agent.answer import Answer
from agent.batch.records import Job, Result, Row
from agent.session import Event, Session
from tools.errors import ReelgraphError, StoppedError

TELL_S = 0.2  # between two reports of progress
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WorkSettings:
    """How rows are answered: plain data that can be sent to another process.

    Attributes:
        profile: As for `Session`.
        overrides: As for `Session`: `method` and `plugins` are among them.
        deadline_s: Seconds that one row may take, the look at its video included.
    """

    profile: str | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)
    deadline_s: float = 3600.0

    def open(self) -> Session:
        """Open a session with these settings; errors are those of `Session`."""
        return Session(self.profile, self.overrides)


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a worker is.

    Attributes:
        video: Path of the video.
        row: Id of the row.
        stage: Name of the tool or node at work; empty when the row is begun.
        done_s: Seconds of the video that are done.
        total_s: Its length in seconds; 0 if the stage does not count.
    """

    video: str
    row: str
    stage: str = ""
    done_s: float = 0.0
    total_s: float = 0.0


class JobControl:
    """Stops a job from another thread, and a row at its deadline."""

    def __init__(self) -> None:
        self.stopped = False
        self._row: RunControl | None = None
        self._lock = Lock()

    def stop(self) -> None:
        """Stop between two pieces of work; the row that is being answered has no result."""
        with self._lock:
            self.stopped = True
            if self._row:
                self._row.request_drain("stop")

    @contextmanager
    def row(self, deadline_s: float) -> Iterator[RunControl]:
        """Yield the control of one row's run, which is drained at its deadline."""
        control = RunControl()
        timer = Timer(deadline_s, control.request_drain, ("deadline",))
        timer.daemon = True
        with self._lock:
            self._row = control
            if self.stopped:
                control.request_drain("stop")
        timer.start()
        try:
            yield control
        finally:
            timer.cancel()
            with self._lock:
                self._row = None


def answer_job(
    session: Session, job: Job, settings: WorkSettings, control: JobControl
) -> Iterator[Result | Progress]:
    """Yield progress, and one result for each row of a job unless it is stopped.

    Every error becomes a failed result: one row never stops the rest.
    """
    for row in job.rows:
        if control.stopped:
            return
        yield Progress(str(row.video), row.id)
        yield from _answer_row(session, row, settings, control)


def _answer_row(
    session: Session, row: Row, settings: WorkSettings, control: JobControl
) -> Iterator[Result | Progress]:
    start, sha256 = perf_counter(), ""
    try:
        sha256 = session.probe(row.video).sha256
        with control.row(settings.deadline_s) as run:
            question = row.question
            events = session.stream(row.video, question.text, question.options, run)
            answer = yield from _told(events, row)
        yield _answered(row, sha256, answer, perf_counter() - start)
    except StoppedError:
        if not control.stopped:
            yield failed(row, too_long(settings), sha256, perf_counter() - start)
    except ReelgraphError as error:
        yield failed(row, str(error), sha256, perf_counter() - start)
    except Exception as error:
        log.exception("row %s failed", row.id)
        reason = f"{type(error).__name__}: {error}; this is a mistake in the program or a plug-in"
        yield failed(row, reason, sha256, perf_counter() - start)


def _told(events: Iterator[Event], row: Row) -> Generator[Progress, None, Answer]:
    """Yield progress, not too often, and return the answer."""
    last, answers = 0.0, []
    for event in events:
        if event.kind == "answer":
            answers.append(event.data)
        if event.kind == "progress" and "total_s" in event.data:
            done_s, total_s = float(event.data["done_s"]), float(event.data["total_s"])
            if monotonic() - last >= TELL_S or done_s >= total_s:
                last = monotonic()
                yield Progress(str(row.video), row.id, event.data["stage"], done_s, total_s)
    answer: Answer = answers[-1]
    return answer


def _answered(row: Row, sha256: str, answer: Answer, seconds: float) -> Result:
    return Result(
        id=row.id,
        video=str(row.video),
        sha256=sha256,
        question=row.question.text,
        options=row.question.options,
        status="abstained" if answer.abstained else "answered",
        fingerprint=answer.plan,
        answer=answer.to_json(),
        seconds=round(seconds, 3),
    )


def failed(row: Row, why: str, sha256: str = "", seconds: float = 0.0) -> Result:
    """Return the result of a row that could not be answered."""
    video = str(row.video) if row.video.name else ""
    return Result(
        id=row.id,
        video=video,
        sha256=sha256,
        question=row.question.text,
        options=row.question.options,
        status="failed",
        error=" ".join(why.split()),
        seconds=round(seconds, 3),
    )


def too_long(settings: WorkSettings) -> str:
    """Return the reason of a row that exceeded its deadline."""
    return f"it took longer than the deadline of {settings.deadline_s:g} s; see --deadline"
