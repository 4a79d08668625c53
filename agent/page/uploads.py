"""Uploaded videos: their disk quota, and the expiry of unused ones.

Gradio limits the size of a single file and keeps all. Here their sum is limited too, before a byte
is received, and a file without a question is deleted after a day.
"""

import shutil
from contextlib import suppress
from pathlib import Path
from threading import Lock
from time import time

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from agent.library.store import Library
from tools.errors import InputError, ReelgraphError

MAX_UPLOAD = 8 * 2**30  # bytes of one file
MAX_SUM = 40 * 2**30  # bytes of all together
FORGOTTEN_S = 24 * 3600.0


class Uploads:
    """The folder of uploaded videos."""

    def __init__(self, library: Library, max_sum: int = MAX_SUM) -> None:
        """Set the folder; Gradio creates it with the first upload.

        Args:
            library: Library whose folder contains it, so that a video is still found another day.
            max_sum: Maximum bytes of all uploads together.
        """
        self.folder = library.folder / "uploads"
        self.max_sum = max_sum
        self._library = library
        self._coming = 0  # bytes admitted and still in transfer
        self._lock = Lock()

    def __contains__(self, path: Path) -> bool:
        return path.resolve().is_relative_to(self.folder.resolve())

    @property
    def size(self) -> int:
        """Bytes of all uploads, those of people with names included."""
        others = self._library.folder.glob("users/*/uploads/**/*")
        return sum(_size(file) for file in (*self._files(), *filter(Path.is_file, others)))

    def let_in(self, size: int) -> None:
        """Reserve space for an upload until `came_in`. `InputError` when there is none."""
        self.sweep()
        with self._lock:
            held = self.size + self._coming
            if held + size > self.max_sum:
                raise InputError(
                    f"the uploads hold {held / 1e9:.1f} GB, {self.max_sum / 1e9:.1f} GB at most, "
                    f"and this one has {size / 1e9:.1f} GB; delete videos in the tab Library, or "
                    f"give the path of a file on this computer instead"
                )
            self._coming += size

    def came_in(self, size: int) -> None:
        """Release the reserved space: the file has arrived, or never will."""
        with self._lock:
            self._coming -= size

    def sweep(self) -> None:
        """Delete the files uploaded a day ago or earlier and never asked about."""
        before = time() - FORGOTTEN_S
        old = {file.resolve(): file for file in self._files() if _came(file) < before}
        if not old:
            return
        chats, entries = self._library.chats, self._library.entries()
        for entry in entries:
            if entry.video.path in old:
                if entry.runs or chats.about(entry.video.sha256):
                    del old[entry.video.path]
                else:
                    self._library.delete(entry.video)
        for file in old.values():
            self.drop(file)

    def take_over(self, path: Path) -> Path:
        """Move a file that was just uploaded into this folder; return where it is now."""
        if path in self:
            return path
        target = self.folder / path.parent.name / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(path, target)
        with suppress(OSError):
            path.parent.rmdir()
        return target

    def drop(self, path: Path) -> None:
        """Delete an upload and its folder; a file elsewhere stays."""
        if path in self:
            with suppress(OSError):
                path.unlink()
                path.parent.rmdir()  # Gradio makes one per content; others stay

    def _files(self) -> list[Path]:
        return [file for file in self.folder.rglob("*") if file.is_file()]


class UploadLimit:
    """ASGI middleware that rejects uploads before they are received."""

    def __init__(self, app: ASGIApp, uploads: Uploads) -> None:
        self._app = app
        self._uploads = uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; an upload only if there is space for it."""
        if scope["type"] != "http" or scope["method"] != "POST" or not _is_upload(scope["path"]):
            await self._app(scope, receive, send)
            return
        length = Headers(scope=scope).get("content-length", "")
        if not length.isdecimal():
            refusal = PlainTextResponse("an upload must tell its length", status_code=411)
            await refusal(scope, receive, send)
            return
        try:
            await run_in_threadpool(self._uploads.let_in, int(length))
        except ReelgraphError as error:
            await PlainTextResponse(str(error), status_code=413)(scope, receive, send)
            return
        try:
            await self._app(scope, receive, send)
        finally:
            self._uploads.came_in(int(length))


def _is_upload(path: str) -> bool:
    return path.rstrip("/").endswith("/upload")


def _size(file: Path) -> int:
    with suppress(OSError):  # it may disappear at any time
        return file.stat().st_size
    return 0


def _came(file: Path) -> float:
    with suppress(OSError):
        return file.stat().st_mtime
    return float("inf")
