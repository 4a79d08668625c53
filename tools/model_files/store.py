"""The folder of fetched weights: what is there, and whether it is what the manifest says."""

import hashlib
import json
from pathlib import Path
from typing import Literal

from tools.errors import MissingError, StorageError
from tools.model_files.manifest import ModelEntry, ModelFile, manifest

State = Literal["here", "incomplete", "missing"]
STAMPS = ".verified.json"  # which files were hashed, with size and time of change at that time


class DamagedError(MissingError):
    """A file is not what the manifest says; it was removed.

    Attributes:
        what: What is wrong with which file, without the remedy.
    """

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(what + remedy)
        self.what = what


class ModelStore:
    """Weights of the manifest under one folder, `FOLDER/MODEL/FILE`.

    A file is hashed once; after that its size and time of change are compared.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.expanduser()

    def place(self, entry: ModelEntry, file: ModelFile) -> Path:
        """Return where a file lies, or will lie."""
        return self.folder / entry.name / file.name

    def find(self, name: str) -> Path:
        """Return the folder of a model, every file of which has its hash.

        Raises:
            DamagedError: A file is not what the manifest says; it was removed.
            MissingError: A file is not there.
        """
        entry = manifest()[name]
        for file in entry.files:
            if not self.holds(entry, file):
                raise MissingError(
                    f"the model {name} ({entry.bytes / 1e6:,.0f} MB) is not in {self.folder}; "
                    f"fetch it with `reelgraph models get {name}`"
                )
        return self.folder / name

    def holds(self, entry: ModelEntry, file: ModelFile) -> bool:
        """Say whether a file is there and is what the manifest says. `DamagedError` if not that."""
        path = self.place(entry, file)
        if not path.is_file():
            return False
        if self._stamps(entry).get(file.name) != _stamp(path, file):
            self.check(entry, file)
        return True

    def check(self, entry: ModelEntry, file: ModelFile) -> None:
        """Hash a file. One that is not what the manifest says is removed, with a `DamagedError`."""
        path = self.place(entry, file)
        found, size = file_hash(path), path.stat().st_size
        if found != file.sha256:
            _remove(path)
            raise damaged(path, size, found, file.bytes, file.sha256, entry.name)
        self.stamp(entry, file)

    def stamp(self, entry: ModelEntry, file: ModelFile) -> None:
        """Remember that a file has its hash."""
        stamps = self._stamps(entry) | {file.name: _stamp(self.place(entry, file), file)}
        place = self.folder / entry.name / STAMPS
        unfinished = place.with_suffix(".unfinished")
        try:
            unfinished.write_text(json.dumps(stamps), encoding="utf-8")
            unfinished.replace(place)
        except OSError:
            return  # of a folder that cannot be written: it is hashed again the next time

    def state(self, entry: ModelEntry) -> State:
        """Say whether all, some or none of a model's files are there, without reading them."""
        sizes = [self._has_size(entry, file) for file in entry.files]
        if all(sizes):
            return "here"
        begun = any(sizes) or any((self.folder / entry.name).rglob("*.unfinished"))
        return "incomplete" if begun else "missing"

    def _has_size(self, entry: ModelEntry, file: ModelFile) -> bool:
        path = self.place(entry, file)
        return path.is_file() and path.stat().st_size == file.bytes

    def _stamps(self, entry: ModelEntry) -> dict[str, list[object]]:
        try:
            text = (self.folder / entry.name / STAMPS).read_text(encoding="utf-8")
            stamps: dict[str, list[object]] = json.loads(text)
        except (OSError, ValueError):
            return {}
        return stamps


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}") from error


def damaged(
    path: Path, size: int, found: str, expected_size: int, expected: str, name: str
) -> DamagedError:
    """Return the error of a file that is not what the manifest says."""
    if size < expected_size:
        why = f"it was cut: {size:,} of {expected_size:,} bytes"
    else:
        why = f"its SHA-256 is {found[:12]}..., expected {expected[:12]}..."
    return DamagedError(
        f"{path} is not the file of {name}: {why}; it was removed",
        f", fetch it anew with `reelgraph models get {name}`",
    )


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(
            f"{path} is damaged and cannot be removed ({error.strerror}); delete it, or name "
            f"another folder with --set models=DIR"
        ) from error


def _stamp(path: Path, file: ModelFile) -> list[object]:
    found = path.stat()
    return [found.st_size, found.st_mtime_ns, file.sha256]
