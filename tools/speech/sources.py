"""The sources of subtitles for a video, and which of them is the best."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import av

from tools.base import ToolInput
from tools.errors import InputError
from tools.media.languages import same_language
from tools.media.tracks import Track
from tools.media.video import Video
from tools.speech.cues import CueSheet
from tools.speech.formats import NAMES, parse_subtitles
from tools.speech.sidecars import PICTURES, Beside, Sidecar, look_beside
from tools.speech.subtitle_streams import ReadPicture, read_stream

MAX_BYTES = 32 * 2**20
"""Larger texts are not subtitles: a day of them has under 5 MB."""


@dataclass(frozen=True, slots=True)
class Source:
    """A source of subtitles.

    Attributes:
        kind: Whether it is a file beside the video or a track inside it.
        name: File name or "track 3": results do not reveal the user's folders.
        language: As the name or the track says.
        forced: Whether it holds foreign passages, signs or songs only.
        commentary: Whether it is talk about the film.
        pictures: Whether it holds pictures of text, which OCR must read.
        read: Reads it, with a function for pictures of text.
    """

    kind: Literal["sidecar", "embedded"]
    name: str
    language: str
    forced: bool
    commentary: bool
    pictures: bool
    read: Callable[[ToolInput, ReadPicture], CueSheet]


def beside(video: Video) -> Beside:
    """Return the subtitle files near a video. `InputError` when the folder cannot be listed."""
    try:
        return look_beside(video.path)
    except OSError as error:
        raise InputError(
            f"the folder of {video.path.name} cannot be listed: {error.strerror}; "
            "set the option sidecar to false, or name a subtitle file"
        ) from error


def ranked(sources: Sequence[Source], language: str) -> list[Source]:
    """Return sources, best first: the film's speech, the wished language, all of it, as text."""
    return sorted(
        sources,
        key=lambda s: (s.commentary, _distance(s.language, language), s.forced, s.pictures),
    )


def _distance(language: str, wanted: str) -> int:
    """Return 0 for the wanted language (exact or another region's), 1 if unknown, 2 for others."""
    if not wanted or same_language(language, wanted):
        return 0
    return 2 if language else 1


def of_file(sidecar: Sidecar, hint: str = "") -> Source:
    """Return a subtitle file as a source.

    Args:
        sidecar: The file.
        hint: Its probable language where its name says none.
    """
    path = sidecar.path

    def read(given: ToolInput, read_picture: ReadPicture) -> CueSheet:
        try:
            raw = path.read_bytes() if path.stat().st_size <= MAX_BYTES else None
            if path.suffix.lower() in PICTURES:
                return read_stream(given, path, None, read_picture)
        except (OSError, IndexError) as error:  # FFmpeg's errors are OSErrors
            reason = getattr(error, "strerror", None) or "it holds no subtitles"
            raise InputError(f"{path.name} cannot be read: {reason}") from error
        if raw is None:
            raise InputError(f"{path.name} cannot be read: it is far too large for subtitles")
        fps = given.video.fps
        sheet = parse_subtitles(raw, sidecar.language or hint, float(fps) if fps else None)
        if raw.strip() and not sheet.cues and not sheet.broken:
            raise InputError(f"{path.name} cannot be read: it is none of {NAMES}")
        return sheet

    return Source(
        "sidecar",
        path.name,
        sidecar.language,
        sidecar.forced,
        "commentary" in sidecar.roles,
        path.suffix.lower() in PICTURES,
        read,
    )


def of_track(track: Track) -> Source:
    """Return a subtitle track inside the video as a source."""
    name = f"track {track.index}"

    def read(given: ToolInput, read_picture: ReadPicture) -> CueSheet:
        try:
            return read_stream(given, given.video.path, track, read_picture)
        except (av.FFmpegError, OSError) as error:
            raise InputError(f"{name} cannot be read: {error.strerror}") from error

    return Source(
        "embedded",
        name,
        track.language,
        track.forced,
        track.commentary,
        track.form == "pictures",
        read,
    )


def named_file(path: Path) -> Source:
    """Return a file that the user named."""
    return of_file(Sidecar(path.expanduser()))
