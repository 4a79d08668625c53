"""Subtitle streams in media files: text tracks, and pictures of text, as discs and TV have them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import numpy.typing as npt
from av.packet import Packet
from av.subtitles.stream import SubtitleStream
from av.subtitles.subtitle import AssSubtitle, BitmapSubtitle, SubtitleSet

from tools.base import ToolInput
from tools.errors import StoppedError
from tools.media.container import open_container, origin, read_packets, timed_streams
from tools.speech.cue_text import ass_lines, mostly_placed
from tools.speech.cues import Cue, CueSheet, with_ends

BGRImage = npt.NDArray[np.uint8]  # [height, width, 3]
ReadPicture = Callable[[BGRImage], tuple[str, ...]]

UNKNOWN_MS = 2**32 - 1  # FFmpeg's mark of a subtitle that stays until the next
DARK = 64  # of 255: text darker than that is laid on white
MARGIN = 16  # px around the text, which detectors want


@dataclass(frozen=True, slots=True)
class _Shown:
    """What one packet puts on screen: dialogues, or pictures from top to bottom."""

    start_s: float
    end_s: float
    dialogues: tuple[str, ...]
    pictures: tuple[BGRImage, ...]


def read_stream(
    given: ToolInput, path: Path, index: int | None, read_picture: ReadPicture
) -> CueSheet:
    """Return the cues of a subtitle stream.

    Args:
        given: The video, and how to tell progress and Stop.
        path: The video, or a file of subtitles that FFmpeg reads (.sup, .idx).
        index: Stream index; None for the first subtitle stream.
        read_picture: Returns the lines of text in a picture.

    Raises:
        av.FFmpegError: The file cannot be read.
        StoppedError: The user pressed Stop.
    """
    shown: list[_Shown] = []
    broken = 0
    for one in _decoded(given, path, index):
        if one is None:
            broken += 1
        else:
            shown.append(one)
    cues = []
    for number, one in enumerate(shown):
        if given.stopped():
            raise StoppedError
        lines = [line for text in one.dialogues for line in ass_lines(text)]
        if one.pictures:
            read = partial(_read_all, one.pictures, read_picture)
            lines += given.keep(f"subtitle {number}", read)
        cues.append(Cue(one.start_s, one.end_s, tuple(lines)))
    placed = mostly_placed([text for one in shown for text in one.dialogues])
    return CueSheet(tuple(with_ends(cues)), broken, signs=placed)


def _read_all(pictures: tuple[BGRImage, ...], read_picture: ReadPicture) -> list[str]:
    return [line for picture in pictures for line in read_picture(picture)]


def _decoded(given: ToolInput, path: Path, index: int | None) -> Iterator[_Shown | None]:
    """Yield what each packet shows, None for one that does not decode."""
    duration_s = given.video.duration_s
    with open_container(path) as container:
        beside = path != given.video.path
        start_s = 0.0 if beside else float(origin(container))
        stream = container.streams[index] if index is not None else container.streams.subtitles[0]
        subtitles = cast("SubtitleStream", stream)
        for packet in read_packets(container, *timed_streams(container), stream):
            if given.stopped():
                raise StoppedError
            if packet.stream.index != stream.index or packet.pts is None or not packet.size:
                continue
            begin_s = float(packet.pts * packet.time_base) - start_s
            given.progress(min(max(begin_s, 0), duration_s), duration_s)
            try:
                found = subtitles.codec_context.decode2(packet)
            except av.FFmpegError:
                yield None
                continue
            if found is not None:
                yield _shown(found, begin_s, packet)


def _shown(found: SubtitleSet, begin_s: float, packet: "Packet[Any]") -> _Shown:
    length_s = float((packet.duration or 0) * packet.time_base)
    if not length_s and 0 < found.end_display_time < UNKNOWN_MS:
        length_s = (found.end_display_time - found.start_display_time) / 1000
    pictures = sorted((one for one in found if isinstance(one, BitmapSubtitle)), key=lambda b: b.y)
    return _Shown(
        begin_s,
        begin_s + length_s,
        tuple(
            one.dialogue.decode("utf-8", "replace") for one in found if isinstance(one, AssSubtitle)
        ),
        tuple(_picture(one) for one in pictures if one.width and one.height),
    )


def _picture(bitmap: BitmapSubtitle) -> BGRImage:
    """Return a picture of the text on black, or on white where the text itself is dark."""
    width, height = bitmap.width, bitmap.height
    indices = np.frombuffer(memoryview(cast("Any", bitmap.planes[0])), np.uint8)[: width * height]
    palette = np.frombuffer(memoryview(cast("Any", bitmap.planes[1])), np.uint8).reshape(
        -1, 4
    )  # BGRA
    pixels = palette[np.minimum(indices, len(palette) - 1)].reshape(height, width, 4)
    colour, opacity = pixels[..., :3].astype(float), pixels[..., 3:].astype(float) / 255
    weights = opacity[..., 0]
    seen = colour.mean(axis=2)[weights > 0.5]
    ground = 255.0 if seen.size and seen.max() < DARK else 0.0
    mixed = colour * opacity + ground * (1 - opacity)
    sides = ((MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0))
    return np.pad(mixed.round().astype(np.uint8), sides, constant_values=int(ground))
