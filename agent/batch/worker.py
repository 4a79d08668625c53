"""The worker process: one session, whose models and tools the threads share; a thread a video."""

import faulthandler
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from threading import Lock, Thread

from agent.batch.records import Job, Result
from agent.batch.work import JobControl, Progress, WorkSettings, answer_job
from agent.session import Session
from tools.errors import ReelgraphError


@dataclass(frozen=True, slots=True)
class Numbered:
    """A job on its way to the worker."""

    number: int
    job: Job


@dataclass(frozen=True, slots=True)
class Told:
    """What the worker says of a job; without an event, the job is done."""

    number: int
    event: Result | Progress | None


@dataclass(frozen=True, slots=True)
class Unable:
    """The worker cannot begin."""

    reason: str


def serve(file: int) -> None:
    """Answer the jobs that come in by a connection until its other end closes.

    First come the settings, then `Numbered`, each done in a thread of its own, or None to stop all
    jobs. `Told` goes out, or `Unable`. The end is abrupt: nothing is lost by it, and a thread may
    hang.

    Args:
        file: Descriptor of the connection.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    faulthandler.enable()
    connection = Connection(file)
    settings: WorkSettings = connection.recv()
    say = partial(_say, connection, Lock())
    try:
        session = settings.open()
    except ReelgraphError as error:
        say(Unable(str(error)))
        return
    controls: dict[int, JobControl] = {}
    while True:
        try:
            given: Numbered | None = connection.recv()
        except (EOFError, OSError):
            os._exit(0)
        if given is None:
            for control in controls.values():
                control.stop()
            continue
        controls[given.number] = control = JobControl()
        Thread(target=_work, args=(session, given, settings, control, say), daemon=True).start()


def _work(
    session: Session,
    given: Numbered,
    settings: WorkSettings,
    control: JobControl,
    say: Callable[[Told | Unable], None],
) -> None:
    for event in answer_job(session, given.job, settings, control):
        say(Told(given.number, event))
    say(Told(given.number, None))


def _say(connection: Connection, lock: Lock, message: Told | Unable) -> None:
    try:
        with lock:
            connection.send(message)
    except OSError:  # the parent is gone, which `serve` notices
        return
