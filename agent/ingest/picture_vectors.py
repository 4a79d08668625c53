"""Vectors of a video's sampled frames by the image-text encoder, computed once."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from agent.library.keys import digest
from agent.library.store import Library
from agent.models.image_text import ImageTextEncoder, Vectors
from tools.errors import StoppedError
from tools.media.frames import FrameSet
from tools.media.video import Video


def picture_vectors(
    video: Video,
    frames: FrameSet,
    encoder: ImageTextEncoder,
    library: Library,
    stopped: Callable[[], bool] = lambda: False,
) -> Vectors:
    """Return the raw vector of each frame, computed once per video and encoder.

    They are stored beside the frames and deleted with them. Frames are read in batches.
    """
    key = digest([encoder.name, [frame.path.name for frame in frames.frames]])
    file = frames.folder / f"vectors-{key}.npy"
    with library.claim(video, "image vectors", key):
        known = _read(file)
        if known is not None and len(known) == len(frames.frames):
            return known
        parts = []
        for first in range(0, len(frames.frames), encoder.batch):
            if stopped():
                raise StoppedError("Stopped while comparing pictures with the question.")
            batch = frames.frames[first : first + encoder.batch]
            parts.append(encoder.images([frame.image() for frame in batch]))
        vectors = np.concatenate(parts) if parts else np.zeros((0, 0), np.float32)
        _write(file, vectors)
        return vectors


def _read(file: Path) -> Vectors | None:
    try:
        return np.asarray(np.load(file), np.float32)
    except (OSError, ValueError, EOFError):  # missing or truncated
        return None


def _write(file: Path, vectors: Vectors) -> None:
    """Write vectors atomically."""
    part = file.with_suffix(f".{os.getpid()}.part")
    with part.open("wb") as stream:
        np.save(stream, vectors)
    part.replace(file)
