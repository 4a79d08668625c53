"""Locks on pieces of work: file locks of the operating system, freed when their process dies."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from agent.library.database import storage_errors


class Claims:
    """The locks of a library, one file each."""

    def __init__(self, folder: Path) -> None:
        """Create the folder of the lock files. `StorageError` if that fails."""
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
        """Remove the lock files with a prefix that are not held; say whether those were all.

        A file is removed while its lock is held here: a waiter notices and creates a new one. A
        file locked elsewhere stays, or two could hold one lock.
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
