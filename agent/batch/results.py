"""The results file: one JSON line a row, on disk before the next row is asked.

A line is written at once and synchronised, so a kill at any point leaves whole lines and at most
one torn one at the end, which the next opening cuts off. Only one process writes a file: the lock
beside it is the operating system's and goes with its holder.
"""

import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from filelock import FileLock, Timeout

from agent.batch.records import Result
from tools.errors import InputError, StorageError

log = logging.getLogger(__name__)


def read_results(path: Path) -> dict[str, Result]:
    """Return the results of a file by id; a torn last line is left out and said.

    Raises:
        InputError: The file cannot be read, or a line is no result.
    """
    return _parse(path)[0]


class ResultsFile:
    """A results file open for appending, under an exclusive lock until `close`.

    Attributes:
        results: The results in the file, by id of the row.
    """

    def __init__(self, path: Path) -> None:
        """Open or create a file.

        Raises:
            InputError: Another batch writes to it, or it holds something else than results.
            StorageError: It cannot be written.
        """
        self.path = path
        self._lock = FileLock(path.with_name(f".{path.name}.lock"), thread_local=False)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise InputError(
                f"another batch writes to {path}; wait for it, stop it, or give another --out"
            ) from error
        except OSError as error:
            raise _not_writable(path, error) from error
        try:
            self._open()
        except BaseException:
            self._lock.release()
            raise

    def _open(self) -> None:
        try:
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
            self.results, whole = _parse(self.path)
            os.ftruncate(self._file, whole)
            self._end = os.lseek(self._file, 0, os.SEEK_END)
            if self._end and os.pread(self._file, 1, self._end - 1) != b"\n":
                self._write(b"\n")
            _sync_folder(self.path)
        except OSError as error:
            raise _not_writable(self.path, error) from error

    def append(self, result: Result) -> None:
        """Write a result to the disk.

        Raises:
            StorageError: The disk is full or cannot be written; the file is as before.
        """
        if result.id in self.results:
            raise StorageError(f"{self.path} already has a result for {result.id!r}")
        try:
            self._write(_line(result))
        except OSError as error:
            raise _not_writable(self.path, error) from error
        self.results[result.id] = result

    def take_out(self, unwanted: Callable[[Result], bool]) -> int:
        """Move results into a file beside this one, so that their rows are asked again.

        Returns:
            How many were moved; they now stand at the end of `NAME.retried.jsonl`.
        """
        gone = [result for result in self.results.values() if unwanted(result)]
        if not gone:
            return 0
        beside = self.path.with_suffix(f".retried{self.path.suffix}")
        kept = [result for result in self.results.values() if not unwanted(result)]
        try:
            with beside.open("ab") as file:
                file.writelines(map(_line, gone))
                file.flush()
                os.fsync(file.fileno())
            self.replace(kept)
        except OSError as error:
            raise _not_writable(self.path, error) from error
        return len(gone)

    def close(self) -> None:
        """Close the file and release the lock."""
        os.close(self._file)
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _write(self, line: bytes) -> None:
        """Append bytes wholly or not at all."""
        try:
            done = 0
            while done < len(line):
                done += os.pwrite(self._file, line[done:], self._end + done)
            os.fsync(self._file)
        except OSError:
            os.ftruncate(self._file, self._end)
            raise
        self._end += len(line)

    def replace(self, results: Sequence[Result]) -> None:
        """Replace the file at once by one with these results."""
        new = self.path.with_name(f".{self.path.name}.new")
        with new.open("wb") as file:
            file.writelines(map(_line, results))
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.path)
        os.close(self._file)
        self._open()


def _line(result: Result) -> bytes:
    text = json.dumps(result.to_json(), ensure_ascii=False, default=str)
    return text.encode("utf-8", "backslashreplace") + b"\n"


def _parse(path: Path) -> tuple[dict[str, Result], int]:
    """Return the results of a file and the length of its whole lines in bytes."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); check the path") from error
    found: dict[str, Result] = {}
    whole = 0
    for number, raw in enumerate(_split(content), 1):
        result = _result(raw)
        if result is None and whole + len(raw) == len(content) and not raw.endswith(b"\n"):
            log.warning("%s: the torn last line is left out; its row is asked again", path)
            break
        if result is None and raw.strip():
            raise InputError(f"{path} line {number} is no result of a batch; give another --out")
        if result is not None and result.id in found:
            raise InputError(f"{path} line {number}: {result.id!r} has two results; remove one")
        whole += len(raw)
        if result is not None:
            found[result.id] = result
    return found, whole


def _split(content: bytes) -> Iterator[bytes]:
    yield from (line for line in content.splitlines(keepends=True) if line)


def _result(raw: bytes) -> Result | None:
    try:
        return Result.from_json(json.loads(raw))
    except (ValueError, TypeError, AttributeError):
        return None


def _sync_folder(path: Path) -> None:
    """Make sure that a new name in a folder is on disk too."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _not_writable(path: Path, error: OSError) -> StorageError:
    return StorageError(
        f"{path} cannot be written ({error.strerror}); free some space or give another --out, and "
        f"run the same command again: what is in the file stays"
    )
