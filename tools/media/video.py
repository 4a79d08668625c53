"""Probe a file, and the interface for reading its frames.

Times are seconds as a player shows them: presentation timestamps minus the earliest start of video
and audio. They are never derived from frame counts, except in raw streams, which have no times.
"""

import hashlib
import logging
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Literal, Protocol

import av
import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from tools.errors import InputError
from tools.media.container import (
    audio_stream,
    open_container,
    read_packets,
    video_stream,
)
from tools.media.length import length, notes
from tools.media.silence import is_silent
from tools.media.tracks import Track, Wish, choose, list_tracks
from tools.media.upright import Orientation, orientation_of

log = logging.getLogger(__name__)

RGBImage = npt.NDArray[np.uint8]  # [height, width, 3]
Backend = Literal["pyav", "decord"]
Reading = Literal["player", "ffmpeg", "decord"]
"""How a file is read: as players show it; as FFmpeg's program converts it, that is, untagged
pictures of any size by BT.601; as decord reads it, which also counts the pictures that an edit list
leaves out. The last two are for published figures that were obtained in this way."""


# Formats that only point to other files: opening them would read what the user never named.
# As a path it has one slash; a drive such as C:/ has one letter.
ADDRESS = re.compile(r"(?:^|/)([a-z][a-z0-9+.-]+:/.+)", re.IGNORECASE)
PLAYLIST_STARTS = (b"#EXTM3U", b"ffconcat", b"<?xml", b"<MPD", b"v=0")


@dataclass(frozen=True, slots=True)
class Video:
    """A probed source. Its identity is `sha256`, the hash of its content, never its name.

    Attributes:
        path: Absolute path at which it was found.
        sha256: Hex digest of the whole file.
        duration_s: Seconds from the earliest start to the latest end of video and audio.
        width: Pixels as displayed, after rotation; 0 without video track.
        height: Pixels as displayed, after rotation; 0 without video track.
        rotation: Degrees clockwise by which a player rotates the stored frame: 0, 90, 180, 270.
        fps: Average frame rate; None when unknown or without video track. Never use it for times.
        has_audio: Whether there is an audio track.
        tracks: Every picture, sound and subtitle track.
        sound: Index of the sound track that is listened to; None for the first choice.
        sound_why: Why that one, where there are several.
        shifts_s: What is added to the times of each part of a file whose clock starts again.
        notes: What a user should know of the file: parts left out, times that are guessed.
        flipped: Whether a player flips the stored frame upside down before it rotates it, as for a
            mirror image.
    """

    path: Path
    sha256: str
    duration_s: float
    width: int
    height: int
    rotation: int
    fps: Fraction | None
    has_audio: bool
    tracks: tuple[Track, ...] = ()
    sound: int | None = None
    sound_why: str = ""
    notes: tuple[str, ...] = ()
    shifts_s: tuple[Fraction, ...] = ()
    flipped: bool = False

    @property
    def subtitles(self) -> tuple[Track, ...]:
        """The subtitle tracks that can be read."""
        return tuple(one for one in self.tracks if one.kind == "subtitle" and one.codec)

    @property
    def sounds(self) -> tuple[Track, ...]:
        """The sound tracks that can be read."""
        return tuple(one for one in self.tracks if one.kind == "sound" and one.codec)

    @property
    def orientation(self) -> Orientation:
        """How a stored frame becomes the picture on screen."""
        return Orientation(self.rotation, self.flipped)

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
    """Three access patterns, each by the cheapest exact method."""

    def at(self, times_s: Sequence[float]) -> Iterator[Frame]:
        """Yield the picture that is on screen at each time (ascending), by key-frame seek.

        One frame per requested time: the last picture that appears at or before it; the first
        picture for a time before it. `Frame.time_s` is when that picture appeared.
        """
        ...

    def every(self, step_s: float) -> Iterator[Frame]:
        """Yield a picture about every `step_s` seconds in one sequential pass, with true times.

        For each grid point k * `step_s` the first frame decoded at or after it, each frame once:
        grid points before a late frame stay empty. A backend may skip non-reference frames when
        many fall into a step.
        """
        ...

    def key_frames(self) -> Iterator[Frame]:
        """Yield only the key frames: a fast overview."""
        ...


def probe(path: Path | str) -> Video:
    """Hash and probe a file.

    Raises:
        InputError: The path is not a readable file, it has no decodable video or audio, or it
            changes while it is read.
    """
    path = Path(path)
    before = _state(path)
    digest = _hash(path)
    with open_container(path) as container:
        sound = audio_stream(container)
        stream = video_stream(container)
        first = _first_picture(container, stream) if stream else None
        if stream and first is None:
            log.warning("The video track holds no picture that decodes; it is ignored.")
        if first is None and sound is None:
            raise InputError(
                f"{path} holds neither a picture nor sound that can be decoded; "
                "copy it again if it is damaged, or convert it to MP4 (H.264, AAC)"
            )
        shown = orientation_of(first) if first else Orientation()
        turned = shown.rotation % 180
        width, height = (first.width, first.height) if first else (0, 0)
        duration_s, shifts_s = length(container, path)
        video = Video(
            path=path.absolute(),
            sha256=digest,
            duration_s=duration_s,
            width=height if turned else width,
            height=width if turned else height,
            rotation=shown.rotation,
            fps=stream.average_rate or stream.guessed_rate if stream and first else None,
            has_audio=sound is not None,
            tracks=_tracks(container, path),
            shifts_s=shifts_s if len(shifts_s) > 1 else (),
            notes=tuple(notes(container, path, shifts_s)),
            flipped=shown.flipped,
        )
    if _state(path) != before:
        raise InputError(
            f"{path} changed while it was read; if it is still being recorded or copied, ask again "
            "once that is done"
        )
    return with_sound(video, Wish())


def with_sound(video: Video, wish: Wish) -> Video:
    """Return a video of which another sound track is listened to.

    Raises:
        InputError: The track wished for is not there.
    """
    choice = choose(video.tracks, "sound", wish)
    if choice is None:
        return video
    why = f"{choice.track} of {len(video.sounds)} with sound: {choice.why}"
    return replace(video, sound=choice.track.index, sound_why=why if len(video.sounds) > 1 else "")


def fit(width: int, height: int, max_side: int | None) -> tuple[int, int]:
    """Return the width and height of a picture when no side may exceed `max_side` pixels."""
    longest = max(width, height)
    if max_side is None or longest <= max_side:
        return width, height
    return max(1, round(width * max_side / longest)), max(1, round(height * max_side / longest))


def require_ascending(times_s: Sequence[float]) -> None:
    """Raise `ValueError` unless the times ascend (equal ones may follow each other)."""
    if any(later < earlier for earlier, later in pairwise(times_s)):
        raise ValueError(f"times must ascend, got {list(times_s)}; sort them first")


def require_positive(step_s: float) -> None:
    """Raise `ValueError` unless the step is a positive number of seconds."""
    if not step_s > 0:
        raise ValueError(f"the step must be more than 0 seconds, got {step_s}")


def _state(path: Path) -> tuple[int, int, int] | None:
    """Return a file's inode, size and modification time; None if they cannot be read."""
    try:
        stat = path.stat()
    except (OSError, ValueError):  # `_hash` reports what is wrong with the path
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def _hash(path: Path) -> str:
    """Return the SHA-256 of the content, after the checks that need no decoder."""
    try:
        if path.is_dir():
            raise InputError(f"{path} is a folder, expected a video or sound file; name one in it")
        if path.exists() and not path.is_file():
            raise InputError(f"{path} is no regular file; name a video or sound file")
        with path.open("rb") as file:
            head = file.read(64).lstrip()
            if not head and path.stat().st_size == 0:
                raise InputError(f"{path} is empty (0 bytes); copy or download it again")
            if head.startswith(PLAYLIST_STARTS):
                raise InputError(f"{path} is a playlist or a text; name the video file itself")
            file.seek(0)
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError as error:
        if address := ADDRESS.search(str(path)):
            remedy = "download the video and name the file"
            raise InputError(f"{address[1]} is an address, not a file; {remedy}") from error
        raise InputError(f"there is no file {path}; check the name and the folder") from error
    except PermissionError as error:
        remedy = "allow it (chmod u+r), and its folder too (chmod u+x)"
        raise InputError(f"{path} may not be read; {remedy}") from error
    except (OSError, ValueError) as error:  # symlink loop, bad disk, a name with a null byte
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else error
        raise InputError(f"{path} cannot be read ({reason}); copy it to another place") from error


def _first_picture(container: InputContainer, stream: VideoStream) -> VideoFrame | None:
    for packet in read_packets(container, stream):
        try:
            for picture in packet.decode():
                if isinstance(picture, VideoFrame):
                    return picture
        except av.FFmpegError:
            continue
    return None


def _tracks(container: InputContainer, path: Path) -> tuple[Track, ...]:
    """Return all tracks; where there are several with sound, each is known to be silent or not."""
    tracks = list_tracks(container)
    if sum(one.kind == "sound" and bool(one.codec) for one in tracks) < 2:
        return tracks
    return tuple(
        replace(one, silent=is_silent(path, one.index))
        if one.kind == "sound" and one.codec
        else one
        for one in tracks
    )
