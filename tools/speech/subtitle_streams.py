"""Subtitle streams in media files: text tracks, and pictures of text, as discs and TV have them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
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
from tools.media.container import open_container, origin, read_packets
from tools.media.tracks import Track
from tools.speech.cue_text import ass_lines, mostly_placed, plain_lines
from tools.speech.cues import Cue, CueSheet, with_ends
from tools.speech.encodings import decode

BGRImage = npt.NDArray[np.uint8]  # [height, width, 3]
ReadPicture = Callable[[BGRImage], tuple[str, ...]]

DVB_HEAD = b"\x20\0"  # data identifier and stream number, ETSI EN 300 743, 7.1
UNKNOWN_MS = 2**32 - 1  # FFmpeg's mark of a subtitle that stays until the next
MARGIN = 16  # px around the text, which detectors want


@dataclass(frozen=True, slots=True)
class _Shown:
    """What one packet puts on screen: text as it is stored or decoded, pictures top to bottom."""

    start_s: float
    end_s: float
    stored: bytes = b""
    dialogues: tuple[str, ...] = ()
    pictures: tuple[BGRImage, ...] = ()


def read_stream(
    given: ToolInput, path: Path, track: Track | None, read_picture: ReadPicture
) -> CueSheet:
    """Return the cues of a subtitle stream.

    Args:
        given: The video, and how to tell progress and Stop.
        path: The video, or a file of subtitles that FFmpeg reads (.sup, .idx).
        track: The track; None for the first one of subtitles.
        read_picture: Returns the lines of text in a picture.

    Raises:
        av.FFmpegError: The file cannot be read.
        StoppedError: The user pressed Stop.
    """
    shown: list[_Shown] = []
    broken = 0
    for one in _decoded(given, path, track):
        if one is None:
            broken += 1
        else:
            shown.append(one)
    text = decode(b"\n".join(one.stored for one in shown), track.language if track else "")
    encoding = text.guessed.partition(",")[0] or "utf-8"
    cues = []
    for number, one in enumerate(shown):
        if given.stopped():
            raise StoppedError
        lines = list(plain_lines(one.stored.decode(encoding, "replace")))
        lines += [line for text in one.dialogues for line in ass_lines(text)]
        if one.pictures:
            read = partial(_read_all, one.pictures, read_picture)
            lines += given.keep(f"subtitle {number}", read)
        cues.append(Cue(one.start_s, one.end_s, tuple(lines)))
    placed = mostly_placed([text for one in shown for text in one.dialogues])
    if any(one.pictures for one in shown):  # each picture takes the place of the one before
        cues = [
            replace(cue, end_s=min(cue.end_s, after.start_s)) for cue, after in pairwise(cues)
        ] + cues[-1:]
    return CueSheet(tuple(with_ends(cues)), broken, text.guessed, placed)


def _read_all(pictures: tuple[BGRImage, ...], read_picture: ReadPicture) -> list[str]:
    return [line for picture in pictures for line in read_picture(picture)]


def _decoded(given: ToolInput, path: Path, track: Track | None) -> Iterator[_Shown | None]:
    """Yield what each packet shows, None for one that does not decode."""
    duration_s = given.video.duration_s
    with open_container(path) as container:
        beside = path != given.video.path
        start_s = 0.0 if beside else float(origin(container))
        stream = container.streams[track.index] if track else container.streams.subtitles[0]
        codec = track.codec if track else ""
        shifts_s = () if beside else given.video.shifts_s
        for packet in read_packets(container, stream, shifts_s=shifts_s):
            if given.stopped():
                raise StoppedError
            if packet.pts is None or not packet.size:
                continue
            begin_s = float(packet.pts * packet.time_base) - start_s
            given.progress(min(max(begin_s, 0), duration_s), duration_s)
            end_s = begin_s + float((packet.duration or 0) * packet.time_base)
            if codec in STORED:
                yield STORED[codec](begin_s, end_s, bytes(packet))
                continue
            try:
                found = _decode(cast("SubtitleStream", stream), packet)
            except av.FFmpegError:
                yield None
                continue
            if found is not None:
                yield _shown(found, begin_s, end_s)


def _decode(stream: SubtitleStream, packet: "Packet[Any]") -> SubtitleSet | None:
    """Decode a packet; FFmpeg's parser leaves the head on DVB subtitles that share a time."""
    content = bytes(packet)
    if stream.codec_context.codec.name == "dvbsub" and content.startswith(DVB_HEAD):
        packet = Packet(content[len(DVB_HEAD) :])
    return stream.codec_context.decode2(packet)


def _of_text(start_s: float, end_s: float, packet: bytes) -> _Shown:
    """Read SRT or WebVTT; FFmpeg's own decoder takes "a < b and c > d" for a tag."""
    return _Shown(start_s, end_s, packet)


def _of_mov_text(start_s: float, end_s: float, packet: bytes) -> _Shown:
    """Read 3GPP timed text (TS 26.245, 5.17): the length, the text, then boxes of styles."""
    text = packet[2 : 2 + int.from_bytes(packet[:2])]
    if text.startswith((b"\xfe\xff", b"\xff\xfe")):
        text = text.decode("utf-16", "replace").encode()
    return _Shown(start_s, end_s, text)


def _of_ass(start_s: float, end_s: float, packet: bytes) -> _Shown:
    """Read an ASS event as Matroska has it: eight fields, then the text."""
    text = packet.decode("utf-8", "replace").split(",", 8)[-1]
    return _Shown(start_s, end_s, dialogues=(text,))


STORED = {"srt": _of_text, "subrip": _of_text, "text": _of_text, "webvtt": _of_text}
STORED |= {"mov_text": _of_mov_text, "ass": _of_ass, "ssa": _of_ass}
"""What reads the packets of a codec without a decoder."""


def _shown(found: SubtitleSet, begin_s: float, end_s: float) -> _Shown:
    if end_s <= begin_s and 0 < found.end_display_time < UNKNOWN_MS:
        end_s = begin_s + (found.end_display_time - found.start_display_time) / 1000
    pictures = sorted((one for one in found if isinstance(one, BitmapSubtitle)), key=lambda b: b.y)
    return _Shown(
        begin_s,
        end_s,
        dialogues=tuple(
            one.dialogue.decode("utf-8", "replace") for one in found if isinstance(one, AssSubtitle)
        ),
        pictures=tuple(_picture(one) for one in pictures if one.width and one.height),
    )


def _picture(bitmap: BitmapSubtitle) -> BGRImage:
    """Return a picture of the text, light on dark.

    PyAV gives the pixels' numbers in the palette, not the palette. Yet letters have an edge, and
    softer pixels at it: the deeper the pixels of a number lie within the text, the lighter they
    are drawn. The number most frequent along the border is the ground.
    """
    import cv2

    size = bitmap.height, bitmap.width
    numbers = np.frombuffer(memoryview(cast("Any", bitmap.planes[0])), np.uint8)
    numbers = np.pad(numbers[: size[0] * size[1]].reshape(size), 1, mode="edge")
    border = np.concatenate([numbers[0], numbers[-1], numbers[:, 0], numbers[:, -1]])
    ground = np.bincount(border).argmax()
    depth = cv2.distanceTransform((numbers != ground).astype(np.uint8), cv2.DIST_L2, 3)
    pixels = np.bincount(numbers.ravel(), minlength=256)
    depths = np.bincount(numbers.ravel(), depth.ravel(), minlength=256) / np.maximum(pixels, 1)
    light = (255 * depths / max(depths.max(), 1e-9)).round().astype(np.uint8)
    grey = np.pad(light[numbers], MARGIN)
    return np.repeat(grey[..., None], 3, axis=2)
