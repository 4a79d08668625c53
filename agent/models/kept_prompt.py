"""What llama.cpp has read of the latest prompt, in a file.

A program that starts later restores it in milliseconds and pays only for what its first prompt has
besides: the question and its notes, but not how to read them nor the outline of the same video.
"""

import logging
import os
from hashlib import sha256
from pathlib import Path
from typing import Any

FOLDER = "prompts_read"  # in a library; a token of a model of 1.5 billion weights takes 28 kB
ENDING = ".state"
logger = logging.getLogger(__name__)


class KeptPrompt:
    """The file with the latest prompt of one model, written by llama.cpp itself."""

    def __init__(self, folder: Path, model: Path, version: str) -> None:
        """Name the file after the model's file and the version of llama.cpp that reads it."""
        known = model.stat()
        identity = f"{model.resolve()} {known.st_size} {known.st_mtime_ns} {version}"
        self.file = folder / f"{sha256(identity.encode()).hexdigest()[:16]}{ENDING}"

    def prepared_folder(self) -> str:
        """Make the folder, and return it as llama.cpp wants it."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        return f"{self.file.parent}{os.sep}"

    def restore(self, client: Any) -> None:
        """Let the server read the file; one that it does not take is removed."""
        if not self.file.is_file():
            return
        reply = client.post("/slots/0?action=restore", json={"filename": self.file.name})
        if reply.is_error:
            logger.warning("%s cannot be read by llama.cpp and is removed", self.file)
            self.file.unlink(missing_ok=True)

    def save(self, client: Any) -> None:
        """Let the server write the file, whole or not at all; only the newest is kept."""
        written = self.file.with_suffix(f".{os.getpid()}")
        reply = client.post("/slots/0?action=save", json={"filename": written.name})
        if reply.is_error:
            logger.warning("what llama.cpp has read cannot be kept: %s", reply.text)
            written.unlink(missing_ok=True)
            return
        for older in self.file.parent.glob(f"*{ENDING}"):
            older.unlink(missing_ok=True)
        written.replace(self.file)
