"""Copies of exactly the pictures given to the model, in a folder of the user's.

File names have order and time: 001-grid-0.417s-9.583s.jpg, 002-frame-1.250s.jpg.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from agent.frames.files import PICTURE
from agent.records import Ask, PlannedFrame, Visual
from tools.errors import StorageError
from tools.evidence import Evidence


class VisualsFolder:
    """Holds the pictures of the last prompt; those of an earlier, longer one are removed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._written: list[Path] = []

    def take(self, update: Mapping[str, Any]) -> None:
        """Save the pictures of a node's prompt, if its update has any.

        Raises:
            StorageError: The folder cannot be written.
        """
        if "ask" in update:
            self.save(visuals_of(update["ask"], update.get("lines", ())))

    def save(self, visuals: Sequence[Visual]) -> None:
        """Save pictures in place of those before. `StorageError` as in `take`."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for file in self._written:
                file.unlink(missing_ok=True)
            self._written = list(_copied(visuals, self.folder))
        except OSError as error:
            raise StorageError(
                f"the pictures cannot be saved in {self.folder}: {error}; give another folder with "
                f"--save-visuals DIR"
            ) from error


def visuals_of(asked: Ask, lines: Sequence[Evidence]) -> tuple[Visual, ...]:
    """Return the pictures of a prompt: those that the method declares, or those of its turns."""
    if asked.visuals:
        return asked.visuals
    files = [file for turn in asked.turns for file in turn.images]
    times_s = [line.start_s for line in lines if line.kind == PICTURE]
    known = len(times_s) == len(files)
    return tuple(
        Visual(file, "frame", (times_s[number],) if known else ())
        for number, file in enumerate(files)
    )


def frame_visuals(files: Sequence[Path], frames: Sequence[PlannedFrame]) -> tuple[Visual, ...]:
    """Return pictures of one frame each."""
    return tuple(
        Visual(file, "frame", (frame.time_s,)) for file, frame in zip(files, frames, strict=True)
    )


def file_name(number: int, visual: Visual) -> str:
    """Return the file name of a saved picture."""
    ends = (
        visual.times_s[:1]
        if len(visual.times_s) < 2
        else (min(visual.times_s), max(visual.times_s))
    )
    times = "".join(f"-{time_s:.3f}s" for time_s in ends)
    return f"{number:03d}-{visual.kind}{times}{visual.file.suffix}"


def _copied(visuals: Sequence[Visual], folder: Path) -> Iterator[Path]:
    for number, visual in enumerate(visuals, start=1):
        target = folder / file_name(number, visual)
        shutil.copyfile(visual.file, target)
        yield target
