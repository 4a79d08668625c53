"""Open and demux a media file with PyAV: shared by probing, video and audio decoding."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard, Stream
from av.video.stream import VideoStream

from tools.errors import InputError
from tools.media.splices import on_one_line
from tools.media.tracks import choose, list_tracks

log = logging.getLogger(__name__)

RAW = frozenset({"av1", "cavsvideo", "h263", "h264", "hevc", "m4v", "mpegvideo", "vc1", "vvc"})
USUAL_RATE = Fraction(25)
MAX_RATE = 480  # pictures per second that a raw stream may say
MAX_READ_FAILURES = 100  # per pass, so that a damaged file cannot loop forever


def open_container(path: Path, edited: bool = True) -> InputContainer:
    """Open a media file, but no other file that it references.

    Args:
        path: The file.
        edited: Leave out what an edit list of an MP4 leaves out, as players do.

    Raises:
        InputError: It is not a media file.
    """
    options = {"protocol_whitelist": "file"} | ({} if edited else {"ignore_editlist": "1"})
    try:
        container = av.open(str(path), options=options, metadata_errors="replace")
    except (av.FFmpegError, OSError) as error:
        raise InputError(_why_not_media(path, str(error))) from error
    if container.format.name == "tty":  # FFmpeg would render a text file as video of a terminal
        container.close()
        raise InputError(_why_not_media(path, "it is a text file"))
    return container


def video_stream(container: InputContainer) -> VideoStream | None:
    """Return the picture track that a player shows, or None; a cover or a preview is not one."""
    choice = choose(list_tracks(container), "picture")
    return cast("VideoStream", container.streams[choice.track.index]) if choice else None


def audio_stream(container: InputContainer, index: int | None = None) -> AudioStream | None:
    """Return the sound track with an index, else the one that a player plays, or None."""
    if index is None:
        choice = choose(list_tracks(container), "sound")
        if choice is None:
            return None
        index = choice.track.index
    return cast("AudioStream", container.streams[index])


def seen_or_heard(container: InputContainer) -> list[Stream]:
    """Return the picture track and the sound track of the first choice, as far as present."""
    tracks: list[Stream | None] = [video_stream(container), audio_stream(container)]
    return [track for track in tracks if track is not None]


def timed_streams(container: InputContainer) -> list[Stream]:
    """Return the picture track and all sound tracks: they make up the time line.

    All of them, so that times are the same whichever sound track is listened to.
    """
    picture = video_stream(container)
    sounds = [one for one in container.streams.audio if one.codec_context is not None]
    return [*([picture] if picture else []), *sounds]


def origin(container: InputContainer) -> Fraction:
    """Return the earliest start timestamp of picture and sound, in seconds."""
    starts = [
        stream.start_time * stream.time_base
        for stream in timed_streams(container)
        if stream.start_time is not None and stream.time_base is not None
    ]
    if starts:
        return min(starts)
    return Fraction(container.start_time or 0, av.time_base)


def discard_others(container: InputContainer, stream: Stream) -> None:
    """Let the demuxer skip all other streams."""
    for other in container.streams:
        if other.index != stream.index:
            other.discard = Discard.all


def is_raw(container: InputContainer) -> bool:
    """Whether a file is a picture stream without a container, in which pictures have no times."""
    return container.format.name in RAW


def raw_rate(stream: VideoStream) -> Fraction:
    """Return the pictures per second of a raw stream, 25 where it says none or nonsense.

    Encoders of a variable rate write the ticks of their clock, as in 90,000 a second.
    """
    rate = stream.codec_context.framerate or stream.guessed_rate or USUAL_RATE
    return rate if 0 < rate <= MAX_RATE else USUAL_RATE


def read_packets(
    container: InputContainer, *streams: Stream, shifts_s: Sequence[Fraction] = ()
) -> "Iterator[Packet[Stream]]":
    """Yield packets to the end, skipping unreadable parts.

    Args:
        container: An open file; of one in parts, nothing may have been read or discarded.
        streams: Whose packets are wanted.
        shifts_s: What brings the parts of the file onto one time line, if it has several.
    """
    if len(shifts_s) < 2:
        yield from _stored_packets(container, *streams)
        return
    wanted = {stream.index for stream in streams}
    timed = [one for one in timed_streams(container) if one.index not in wanted]
    for packet in on_one_line(_stored_packets(container, *streams, *timed), shifts_s):
        if packet.stream.index in wanted:
            yield packet


def _stored_packets(container: InputContainer, *streams: Stream) -> "Iterator[Packet[Stream]]":
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


@dataclass(frozen=True, slots=True)
class Stated:
    """What the container states of its pictures, right or wrong.

    Attributes:
        duration_s: Length of the longest track in seconds; None if it states none.
        fps: Frame rate of the pictures' time grid: the least that all their times are multiples
            of; None if unknown.
    """

    duration_s: float | None
    fps: Fraction | None


def stated(path: Path) -> Stated:
    """Return what a file with a picture track states about it."""
    with open_container(path) as container:
        stream = video_stream(container)
        duration = container.duration
        return Stated(
            None if duration is None else duration / av.time_base,
            (stream.base_rate or stream.average_rate) if stream else None,
        )


def picture_times(
    path: Path, shifts_s: Sequence[Fraction] = (), edited: bool = True
) -> list[float]:
    """Return the presentation time of each frame, in seconds, ascending, from the packets alone.

    Nothing is decoded, so that frames can be chosen by number before any is decoded.

    Args:
        path: The file.
        shifts_s: Those of a video in parts.
        edited: See `open_container`.
    """
    with open_container(path, edited) as container:
        stream = video_stream(container)
        if stream is None:
            return []
        if is_raw(container):
            count = sum(packet.size > 0 for packet in read_packets(container, stream))
            return [round(float(n / raw_rate(stream)), 6) for n in range(count)]
        start, base = origin(container), stream.time_base or Fraction(1, av.time_base)
        found = {
            round(float(packet.pts * base - start), 6)
            for packet in read_packets(container, stream, shifts_s=shifts_s)
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
