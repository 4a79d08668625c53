"""Probe a file and read its pictures: the first step of everything.

Times are seconds as a player shows them: presentation timestamps minus the start of the file, so
0 is the first thing to be seen or heard. They are never derived from frame counts.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

RGBImage = npt.NDArray[np.uint8]  # [height, width, 3]
Backend = Literal["pyav", "decord"]


@dataclass(frozen=True, slots=True)
class SubtitleTrack:
    """A subtitle track inside the file: stream index, codec name, language ("" if unsaid)."""

    index: int
    codec: str
    language: str


@dataclass(frozen=True, slots=True)
class Video:
    """A probed source. Its identity is `sha256`, the hash of its content, never its name.

    Attributes:
        path: Absolute path at which it was found.
        sha256: Hex digest of the whole file.
        duration_s: Seconds from the first to the end of the last thing to be seen or heard.
        width: Pixels as displayed, after rotation; 0 without picture.
        height: Pixels as displayed, after rotation; 0 without picture.
        rotation: Degrees clockwise by which a player turns the stored picture: 0, 90, 180, 270.
        fps: Average frame rate; None when unknown or without picture. Never use it for times.
        has_audio: Whether there is a sound track.
        subtitles: Embedded text subtitle tracks.
    """

    path: Path
    sha256: str
    duration_s: float
    width: int
    height: int
    rotation: int
    fps: Fraction | None
    has_audio: bool
    subtitles: tuple[SubtitleTrack, ...]

    @property
    def has_picture(self) -> bool:
        """Whether there is a video track that decodes."""
        return self.width > 0


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture, upright, and the exact time at which it appears on screen."""

    time_s: float
    image: RGBImage


class VideoReader(Protocol):
    """Three ways to look at a video, each the cheapest exact path for its purpose."""

    def at(self, times_s: Sequence[float]) -> Iterator[Frame]:
        """Yield the picture that is on screen at each time (ascending), by key-frame seek."""
        ...

    def every(self, step_s: float) -> Iterator[Frame]:
        """Yield a picture about every `step_s` seconds in one sequential pass, true times."""
        ...

    def key_frames(self) -> Iterator[Frame]:
        """Yield the key frames alone: a fast overview."""
        ...


def probe(path: Path | str) -> Video:
    """Hash and probe a file. Raises `InputError` when there is nothing to see or hear in it."""
    raise NotImplementedError


def open_video(video: Video, backend: Backend = "pyav", max_side: int | None = None) -> VideoReader:
    """Return a reader; pictures are downscaled so that no side exceeds `max_side` pixels."""
    raise NotImplementedError
