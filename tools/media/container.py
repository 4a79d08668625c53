"""Open and demux a media file with PyAV: shared by probing, video and audio decoding."""

import logging
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from tools.errors import InputError

log = logging.getLogger(__name__)

MAX_READ_FAILURES = 100  # per pass, so that a damaged file cannot loop forever


def open_container(path: Path) -> InputContainer:
    """Open a media file, but no other file that it references.

    Raises:
        InputError: It is not a media file.
    """
    try:
        container = av.open(
            str(path),
            options={"protocol_whitelist": "file"},
            metadata_errors="replace",
        )
    except (av.FFmpegError, OSError) as error:
        raise InputError(_why_not_media(path, str(error))) from error
    if container.format.name == "tty":  # FFmpeg would render a text file as video of a terminal
        container.close()
        raise InputError(_why_not_media(path, "it is a text file"))
    return container


def video_stream(container: InputContainer) -> VideoStream | None:
    """Return the video track, or None; attached cover art is not one."""
    tracks = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    return next((s for s in tracks if s.codec_context is not None), None)


def audio_stream(container: InputContainer) -> AudioStream | None:
    """Return the first audio track with a known codec, or None."""
    return next((s for s in container.streams.audio if s.codec_context is not None), None)


def seen_or_heard(container: InputContainer) -> list[Stream]:
    """Return the video track and the audio track, as far as present."""
    tracks: list[Stream | None] = [video_stream(container), audio_stream(container)]
    return [track for track in tracks if track is not None]


def origin(container: InputContainer) -> Fraction:
    """Return the earliest start timestamp of video and audio, in seconds."""
    starts = [
        stream.start_time * stream.time_base
        for stream in seen_or_heard(container)
        if stream.start_time is not None and stream.time_base is not None
    ]
    if starts:
        return min(starts)
    return Fraction(container.start_time or 0, av.time_base)


def read_packets(container: InputContainer, *streams: Stream) -> "Iterator[Packet[Stream]]":
    """Yield packets to the end, skipping unreadable parts."""
    failures = 0
    packets = container.demux(*streams)
    while failures < MAX_READ_FAILURES:
        try:
            yield next(packets)
        except StopIteration:
            return
        except av.FFmpegError as error:
            failures += 1
            log.warning("A part of the file cannot be read (%s).", error.strerror)
            packets = container.demux(*streams)


def picture_times(path: Path) -> list[float]:
    """Return the presentation time of each frame, in seconds, ascending, from the packets alone.

    Nothing is decoded, so that frames can be chosen by number before any is decoded.
    """
    with open_container(path) as container:
        stream = video_stream(container)
        if stream is None:
            return []
        start, base = origin(container), stream.time_base or Fraction(1, av.time_base)
        found = {
            round(float(packet.pts * base - start), 6)
            for packet in read_packets(container, stream)
            if packet.pts is not None and packet.size and not packet.is_discard
        }
    return sorted(found)


def _why_not_media(path: Path, reason: str) -> str:
    with path.open("rb") as file:
        head = file.read(12)
    if head[4:8] == b"ftyp":
        return (
            f"{path} begins like an MP4 but its index is missing or damaged: it was probably cut "
            "off while being copied or recorded; copy it again, or repair it"
        )
    return (
        f"{path} is not a video or sound file that can be read ({reason}); "
        "check that it plays, or convert it to MP4 (H.264, AAC)"
    )
