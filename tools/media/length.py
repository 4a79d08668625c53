"""How long a file is, and what a user should know of its times."""

import logging
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from tools.media.container import (
    is_raw,
    open_container,
    origin,
    picture_times,
    raw_rate,
    read_packets,
    timed_streams,
    video_stream,
)
from tools.media.splices import join_parts, may_go_on, second_file

log = logging.getLogger(__name__)

TAIL_S = 10  # how far before the declared end the search for the true one starts


def length(container: InputContainer, path: Path) -> tuple[float, tuple[Fraction, ...]]:
    """Return the duration in seconds, and what brings several parts onto one time line."""
    if is_raw(container):
        times_s = picture_times(path)
        stream = video_stream(container)
        period_s = float(1 / raw_rate(stream)) if stream else 0.0
        return round(times_s[-1] + period_s, 6) if times_s else 0.0, ()
    if not may_go_on(container):
        return _duration_s(container), ()
    with open_container(path) as fresh:
        joined = join_parts(read_packets(fresh, *timed_streams(fresh)))
        start_s = origin(fresh)
    if joined is None or len(joined.shifts_s) < 2:
        return _duration_s(container), ()
    return round(float(joined.end_s - start_s), 6), joined.shifts_s


def notes(container: InputContainer, path: Path, shifts_s: tuple[Fraction, ...]) -> Iterator[str]:
    """Yield what a user should know of the file."""
    stream = video_stream(container)
    if is_raw(container) and stream:
        rate = float(raw_rate(stream))
        yield f"a stream without times: its pictures are taken to be {rate:g} a second"
    if len(shifts_s) > 1:
        yield f"{len(shifts_s)} recordings in one file: their times follow each other"
    elif (place := second_file(path)) is not None and not may_go_on(container):
        yield (
            f"a second recording begins at byte {place:,} of the file and is left out: join them "
            "by `ffmpeg -f concat` instead"
        )


def _duration_s(container: InputContainer) -> float:
    """Measure from the packets, since the declared duration may be absent or wrong.

    Matroska counts from 0 whatever the first timestamp, a truncated MP4 keeps its old length,
    and a raw or still growing stream has none.
    """
    start = origin(container)
    claimed = Fraction(container.duration or 0, av.time_base)
    tail = _last_end(container, start + claimed - TAIL_S) if claimed > TAIL_S else None
    end = tail if tail is not None else _last_end(container, start)
    return round(float(max(end - start, Fraction(0))), 6) if end is not None else float(claimed)


def _last_end(container: InputContainer, from_s: Fraction) -> Fraction | None:
    """Return the latest end of a packet that follows `from_s`, in seconds."""
    try:
        container.seek(int(from_s * av.time_base))
    except av.FFmpegError:
        log.debug("The file cannot be seeked in; its end is measured from where we are.")
    last: Fraction | None = None
    for packet in read_packets(container, *timed_streams(container)):
        if packet.pts is None or packet.is_discard:
            continue
        end = (packet.pts + (packet.duration or 0)) * packet.time_base
        if not packet.duration and isinstance(packet.stream, VideoStream):
            end += 1 / (packet.stream.guessed_rate or Fraction(25))
        last = end if last is None else max(last, end)
    return last
