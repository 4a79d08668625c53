"""Decode frames with PyAV: exact times, memory independent of the video's length."""

import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, Self

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, VideoReformatter
from av.video.stream import VideoStream

from tools.errors import InputError
from tools.media.container import (
    discard_others,
    is_raw,
    open_container,
    origin,
    raw_rate,
    read_packets,
    video_stream,
)
from tools.media.video import Frame, Reading, Video, fit, require_ascending, require_positive

log = logging.getLogger(__name__)

Skip = Literal["DEFAULT", "NONREF", "NONKEY"]

TICK_S = 1e-6  # times are rounded to it, and equal within it

# Encoders put up to about 4 frames between two reference frames (x264: 3 B-frames). Skipping them
# shifts a sample by as many frames, which must stay below half a step.
MIN_PICTURES_PER_STEP = 8

# Assumed distance of key frames in a file without an index; it is rarely larger.
KEY_FRAME_GUESS_S = 4.0

FIRST_STEP_BACK_S = 1.0
DEFAULT_RATE = Fraction(25)
UNSPECIFIED = 2  # colour matrix, ITU-T H.273
STANDARD_LINES = 576  # above, players assume BT.709 for untagged video


@dataclass(frozen=True, slots=True)
class _Picture:
    """A decoded picture, not yet converted to RGB, and its time in seconds."""

    time_s: float
    frame: VideoFrame


class PyavReader:
    """The default reader.

    Attributes:
        video: What is read.
        max_side: Bound of a picture's sides in pixels, or None.
        reading: As what kind of program it reads the file.
        decoded: Pictures decoded, over all passes so far.
        lost: Packets that did not decode, over all passes so far.
    """

    def __init__(
        self, video: Video, max_side: int | None = None, reading: Reading = "player"
    ) -> None:
        self.video = video
        self.max_side = max_side
        self.reading = reading
        self.decoded = 0
        self.lost = 0

    def at(self, times_s: Sequence[float]) -> Iterator[Frame]:
        """Yield the picture on screen at each time (ascending).

        It seeks only if there is a key frame in between, so nothing is decoded twice where the
        container has an index (MP4, MOV, Matroska with cues, AVI).
        """
        require_ascending(times_s)
        with _Cursor(self) as run:
            for time_s in times_s:
                shown = run.shown_at(time_s)
                if shown is not None:
                    yield run.convert(shown)

    def every(self, step_s: float) -> Iterator[Frame]:
        """Yield a picture about every `step_s` seconds.

        Non-reference frames are skipped unless fewer than 8 frames fall into a step, so a sample is
        at most a few frames after its grid point.
        """
        require_positive(step_s)
        fps = self.video.fps
        sparse = fps is None or fps * Fraction(step_s) < MIN_PICTURES_PER_STEP
        due_s = -math.inf
        with _Pass(self, "DEFAULT" if sparse else "NONREF") as run:
            for picture in run.pictures():
                if picture.time_s >= due_s - TICK_S:
                    yield run.convert(picture)
                    due_s = (math.floor((picture.time_s + TICK_S) / step_s) + 1) * step_s

    def key_frames(self) -> Iterator[Frame]:
        """Yield the key frames; nothing else is decoded."""
        with _Pass(self, "NONKEY") as run:
            for picture in run.pictures():
                yield run.convert(picture)


class _Pass:
    """One pass through the file: an open container, its decoder and a converter to RGB."""

    def __init__(self, reader: PyavReader, skip: Skip) -> None:
        self._reader = reader
        self._skip = skip
        self._lost_before = reader.lost
        self._reformatter = VideoReformatter()
        self._open()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._container.close()
        lost = self._reader.lost - self._lost_before
        if lost:
            log.warning("%d packets of the picture track did not decode and were skipped.", lost)

    def _open(self) -> None:
        path = self._reader.video.path
        self._container = open_container(path, edited=self._reader.reading != "decord")
        stream = video_stream(self._container)
        if stream is None:
            raise InputError(f"{path} has no picture any more: was it replaced? Probe it again")
        self._stream: VideoStream = stream
        self._origin_s = origin(self._container)
        self._indexed = len(stream.index_entries) > 1  # else the index grows while reading
        stream.thread_type = "AUTO"
        self._rate = raw_rate(stream) if is_raw(self._container) else None
        self._shifts_s = self._reader.video.shifts_s
        if not self._rate:  # else the times follow from the number of pictures
            stream.codec_context.skip_frame = self._skip
        if not self._shifts_s:
            discard_others(self._container, stream)

    @property
    def _time_base(self) -> Fraction:
        return self._stream.time_base or Fraction(1, av.time_base)

    def pictures(self) -> Iterator[_Picture]:
        """Yield the frames from the current position on, in presentation order."""
        last_s = -math.inf
        count = 0
        for packet in read_packets(self._container, self._stream, shifts_s=self._shifts_s):
            # The demuxer could drop such packets itself (`Discard.nonkey`), but with B-frames it
            # then gives wrong times to the rest.
            if self._skip == "NONKEY" and packet.size and not packet.is_keyframe and not self._rate:
                continue
            try:
                frames = packet.decode()
            except av.FFmpegError:
                self._reader.lost += packet.size > 0
                continue
            for frame in frames:
                if not isinstance(frame, VideoFrame):
                    continue
                time_s = self._time_s(frame, count)
                count += 1
                if time_s is None or (self._rate and self._is_skipped(frame)):
                    continue
                self._reader.decoded += 1
                if time_s > last_s:
                    last_s = time_s
                    yield _Picture(time_s, frame)

    def _time_s(self, frame: VideoFrame, count: int) -> float | None:
        if self._rate:
            return round(float(count / self._rate), 6)
        if frame.pts is None:
            return None
        return round(float(frame.pts * self._time_base - self._origin_s), 6)

    def _is_skipped(self, frame: VideoFrame) -> bool:
        return self._skip == "NONKEY" and not frame.key_frame

    def convert(self, picture: _Picture) -> Frame:
        """Scale and convert to RGB in one step, then show upright."""
        frame = picture.frame
        video = self._reader.video
        width, height = fit(frame.width, frame.height, self._reader.max_side)
        matrix = None
        if frame.colorspace == UNSPECIFIED:
            tall = frame.height > STANDARD_LINES and self._reader.reading == "player"
            matrix = Colorspace.ITU709 if tall else Colorspace.ITU601
        rgb = self._reformatter.reformat(
            frame, width, height, format="rgb24", src_colorspace=matrix, threads=1
        )
        image = video.orientation.apply(rgb.to_ndarray())
        return Frame(picture.time_s, np.ascontiguousarray(image, np.uint8))


class _Cursor(_Pass):
    """A pass that seeks: it holds the frame on screen and the next one."""

    def __init__(self, reader: PyavReader) -> None:
        super().__init__(reader, "DEFAULT")
        self._worth_a_guess_s = KEY_FRAME_GUESS_S
        delay = self._stream.codec_context.reorder_depth  # pictures
        self._reorder_s = float(delay / (self._stream.average_rate or DEFAULT_RATE))
        self._decode_from_here()

    def _decode_from_here(self) -> None:
        self._pictures = self.pictures()
        self._shown: _Picture | None = None  # the last at or before the requested time
        self._next = next(self._pictures, None)  # the first after it

    def shown_at(self, time_s: float) -> _Picture | None:
        """Return the last picture at or before `time_s`, else the first of all."""
        if self._is_worth_a_seek(time_s):
            self._seek_before(time_s)
        while self._next is not None and self._next.time_s <= time_s + TICK_S:
            self._shown, self._next = self._next, next(self._pictures, None)
        return self._shown or self._next

    def _is_worth_a_seek(self, time_s: float) -> bool:
        """Whether a key frame lies, or without an index probably lies, before `time_s`."""
        if self._next is None or time_s <= self._next.time_s:
            return False
        if self._rate or self._shifts_s:
            return False  # a container seeks by the times that are stored
        entries = self._stream.index_entries  # by decoding time, ahead of presentation
        number = entries.search_timestamp(self._ticks(time_s - self._reorder_s))
        if number >= 0:
            if self._seconds(entries[number].timestamp) > self._next.time_s:
                return True
            if self._indexed:
                return False
        return time_s - self._next.time_s > self._worth_a_guess_s

    def _seek_before(self, time_s: float) -> None:
        """Seek to a key frame from which the frame at `time_s` can be decoded.

        A container seeks by decoding time or by bytes, and may land after that frame.
        """
        here_s = self._next.time_s if self._next else 0.0
        back_s = 0.0
        while time_s - back_s > 0:
            try:
                self._container.seek(self._ticks(time_s - back_s), stream=self._stream)
            except av.FFmpegError:
                back_s = time_s  # no seeking in this file: reopen it
                continue
            self._decode_from_here()
            if self._next is not None and self._next.time_s <= time_s + TICK_S:
                break
            back_s = 2 * back_s or FIRST_STEP_BACK_S
        else:
            self._container.close()
            self._open()
            self._decode_from_here()
        if self._next is None or self._next.time_s <= here_s:
            # The seek gained nothing, so the next one must cover more time.
            self._worth_a_guess_s = 2 * (time_s - here_s)

    def _ticks(self, time_s: float) -> int:
        return math.floor((Fraction(time_s) + self._origin_s) / self._time_base)

    def _seconds(self, ticks: int) -> float:
        return float(ticks * self._time_base - self._origin_s)
