"""Files that appear in a folder: which are new, and when each is whole."""

from collections.abc import Callable, Iterable
from pathlib import Path
from time import monotonic, time

from agent.library.store import stat_of

SETTLE_S = 3.0  # without a change of size or time, after which a file counts as whole
FileState = tuple[int, int]  # size, time of the last change in nanoseconds


class Arrivals:
    """The files of a folder: those that are being written, and those that were taken."""

    def __init__(self, settle_s: float = SETTLE_S, now: Callable[[], float] = monotonic) -> None:
        """Begin with no file.

        Args:
            settle_s: Seconds without a change after which a file is whole.
            now: A clock in seconds.
        """
        self._settle_s = settle_s
        self._now = now
        self._coming: dict[Path, tuple[FileState, float]] = {}  # state, unchanged since
        self._taken: dict[Path, FileState] = {}

    @property
    def waiting(self) -> bool:
        """Whether a file is still being written."""
        return bool(self._coming)

    def look(self, files: Iterable[Path]) -> tuple[list[Path], list[Path]]:
        """Compare with the files that are there now; return the new ones, and those that are gone.

        A file that changed since it was taken is new; one that has not changed for some time is
        whole at once.
        """
        here = {file: state for file in files if (state := _state(file))}
        gone = [file for file in self._taken if file not in here]
        for file in gone:
            del self._taken[file]
        new = [f for f, s in here.items() if f not in self._coming and self._taken.get(f) != s]
        for file in new:
            age_s = max(0.0, time() - here[file][1] / 1e9)
            self._coming[file] = (here[file], self._now() - age_s)
        return new, gone

    def take(self) -> list[Path]:
        """Return the files that are whole by now."""
        whole = []
        for file, (before, since) in list(self._coming.items()):
            state = _state(file)
            if state is None:
                del self._coming[file]
            elif state != before:
                self._coming[file] = (state, self._now())
            elif self._now() - since >= self._settle_s:
                del self._coming[file]
                self._taken[file] = state
                whole.append(file)
        return whole


def _state(file: Path) -> FileState | None:
    stat = stat_of(file)
    return (stat.st_size, stat.st_mtime_ns) if stat else None
