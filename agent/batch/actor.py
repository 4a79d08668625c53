"""What runs on a node of a Ray cluster: the local engine, one video at a time, in an actor.

So a deadline, a tool that hangs, a crash and Stop are dealt with on the node as on one machine.

SQLite's write-ahead log needs memory that all its users share, so a library must never be written
from two machines, whatever file system they share. An actor on the driver's machine shares the
driver's library, as threads and processes there do; any other has a library of its own, is given
what the driver's knows of a video, and gives back what became of it.
"""

import os
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory
from threading import Event

from agent.batch.engine import LocalEngine
from agent.batch.records import Job, Result
from agent.batch.work import Progress, WorkSettings
from agent.library.parcels import Parcel
from agent.library.store import Library
from tools.errors import InputError

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")  # of Linux, new with every start
CARRIED = ("REELGRAPH_", "OMP_NUM_THREADS")  # environment variables, by their beginning


@dataclass(frozen=True, slots=True)
class Place:
    """Where a library is; two processes that see equal places can share it.

    Attributes:
        machine: Name of the running machine.
        library: Folder of the library.
        file: Device and inode of its SQLite file there.
    """

    machine: str
    library: Path
    file: tuple[int, int]

    @classmethod
    def of(cls, library: Path) -> "Place":
        """Return the place of a library that is there. `OSError` if it is not."""
        stat = (library / "library.sqlite").stat()
        return cls(machine(), library, (stat.st_dev, stat.st_ino))

    def is_here(self) -> bool:
        """Whether the process that asks can share the library."""
        try:
            return Place.of(self.library) == self
        except OSError:
            return False


def machine() -> str:
    """Return a name of this machine that no other has, and that a restart changes."""
    return BOOT_ID.read_text().strip() if BOOT_ID.exists() else socket.gethostname()


@dataclass(frozen=True, slots=True)
class Start:
    """What an actor is started with: plain data.

    Attributes:
        settings: How rows are answered.
        place: The driver's library.
        folder: The driver's working folder, which relative paths start from.
        environ: The driver's environment variables that are settings; laid over the node's.
        grace_s: As for `LocalEngine`.
    """

    settings: WorkSettings
    place: Place
    folder: Path
    environ: Mapping[str, str]
    grace_s: float


class Actor:
    """Answers the jobs it is given, one after the other; its worker process holds the models."""

    def __init__(self, start: Start) -> None:
        """Start nothing yet.

        Raises:
            InputError: The node lacks the driver's working folder.
        """
        os.environ.update(start.environ)
        try:
            os.chdir(start.folder)
        except OSError as error:
            raise InputError(
                f"the node {socket.gethostname()} has no folder {start.folder}; start the batch in "
                f"a folder that all nodes share, where they also find the videos"
            ) from error
        self._own = None if start.place.is_here() else TemporaryDirectory(prefix="reelgraph-")
        folder = Path(self._own.name) if self._own else start.place.library
        self._library = Library(folder)
        overrides = {**start.settings.overrides, "library": folder}
        self._jobs = SimpleQueue[Job | None]()
        self._stop = Event()
        self._events = LocalEngine(1, start.grace_s).run(
            iter(self._jobs.get, None),
            replace(start.settings, overrides=overrides),
            self._stop.is_set,
        )

    def where(self) -> tuple[str, bool]:
        """Return the id of its node, and whether it shares the driver's library."""
        import ray

        return ray.get_runtime_context().get_node_id(), self._own is None

    def work(self, job: Job, known: Parcel | None) -> Iterator[Result | Progress | Parcel]:
        """Yield what the local engine does for one job, then what is known of its video now.

        Args:
            job: The rows of one video.
            known: What the driver's library knows of it, for an actor with its own.
        """
        if known:
            self._library.unpack(known)
        self._jobs.put(job)
        left, sha256 = len(job.rows), ""
        for event in self._events:  # goes on with the next call
            yield event
            if isinstance(event, Result):
                left, sha256 = left - 1, sha256 or event.sha256
            if not left:
                break
        if self._own and (video := self._library.video(sha256)):
            yield self._library.pack(sha256)
            self._library.delete(video)  # with its frames, or the disk would fill

    def stop(self) -> None:
        """End the job at work soon; called while `work` runs."""
        self._stop.set()

    def close(self) -> None:
        """End the worker process and remove the actor's own library; nothing may be at work."""
        self._events.close()
        self._library.close()
        if self._own:
            self._own.cleanup()


def carried_environment() -> dict[str, str]:
    """Return the environment variables that are settings."""
    return {name: value for name, value in os.environ.items() if name.startswith(CARRIED)}
