"""Who works on what: locks of the operating system, freed when their process dies."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from agent.library.database import storage_errors


class Claims:
    """The locks of a library, a file each."""

    def __init__(self, folder: Path) -> None:
        """Know the folder of the lock files and make it. `StorageError` if that cannot be done."""
        self._folder = folder
        with storage_errors(folder.parent):
            folder.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def hold(self, name: str) -> Iterator[None]:
        """Hold a lock; other threads and processes wait."""
        lock = FileLock(self._folder / f"{name}.lock", thread_local=False)
        with storage_errors(self._folder.parent):
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def clear(self, prefix: str) -> bool:
        """Remove the lock files with a prefix that nobody holds; say whether those were all.

        A file goes while it is held here: who waits for it sees that it has gone and takes a new
        one. A file that somebody else holds stays, or two could work on one thing.
        """
        all_free = True
        with storage_errors(self._folder.parent):
            for file in self._folder.glob(f"{prefix}*.lock"):
                lock = FileLock(file, timeout=0, thread_local=False)
                try:
                    with lock:
                        file.unlink(missing_ok=True)
                except Timeout:
                    all_free = False
        return all_free
