"""Make ordinary videos of parts of videos and of pictures."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.video.stream import VideoStream

from tools.errors import InputError, StorageError
from tools.media.container import (
    audio_stream,
    open_container,
    origin,
    seen_or_heard,
    video_stream,
)
from tools.media.upright import Orientation, orientation_of

QUALITY = {"crf": "16", "preset": "veryfast"}
TICKS = Fraction(1, 90_000)
AUDIO_RATE = 48_000
RATE = 25  # pictures a second, of a file that does not say
SEEK_S = 1.0  # begin so much earlier: the picture shown at the start may have come before


def cut(source: Path, start_s: float, end_s: float, target: Path) -> None:
    """Write a part of a video as MP4: what is seen and heard from `start_s` on.

    Args:
        source: A video; its times are those that a player shows.
        start_s: Start in seconds.
        end_s: End in seconds; what lies beyond the video is left out.
        target: The file to write; it appears whole or not at all.

    Raises:
        InputError: The video cannot be read, or has nothing between these times.
        StorageError: The target cannot be written.
    """
    with _writing(target) as out, _reading(source) as container:
        part = _Part(container, out, float(origin(container)) + start_s, end_s - start_s)
        if not part.copy(container):
            raise InputError(
                f"{source.name} has nothing from {start_s:g} to {end_s:g} s; check the times"
            )


def join_pictures(pictures: Sequence[Path], rate: float, target: Path) -> None:
    """Write pictures as MP4, `rate` a second; each in the size of the first.

    Raises:
        InputError: There is none, or one cannot be read.
        StorageError: The target cannot be written.
    """
    if not pictures:
        raise InputError(f"there are no pictures for {target.name}; check the folder")
    period = round(1 / (TICKS * _exact(rate)))
    stream: VideoStream | None = None
    with _writing(target) as out:
        for number, picture in enumerate(pictures):
            with _reading(picture) as container:
                frame = next(container.decode(video=0))
            stream = stream or _picture_stream(out, (frame.width, frame.height), rate)
            _write_picture(out, stream, frame, number * period, period)
        if stream:
            out.mux(stream.encode(None))


class _Part:
    """A part of a video that is being written."""

    def __init__(
        self, source: InputContainer, out: OutputContainer, start_s: float, length_s: float
    ) -> None:
        self._out, self._start_s, self._length_s = out, start_s, length_s
        self._video: VideoStream | None = None
        self._audio: AudioStream | None = None
        if audio_stream(source):
            self._audio = out.add_stream("aac", rate=AUDIO_RATE)
        picture = video_stream(source)
        if picture:
            size = picture.width, picture.height
            shown = orientation_of(next(source.decode(picture)))  # a frame knows, no stream
            size = size[::-1] if shown.rotation % 180 else size
            self._video = _picture_stream(out, size, picture.average_rate or RATE)
        self._resampler = AudioResampler("fltp", "stereo", AUDIO_RATE)
        self._before: av.VideoFrame | None = None  # the last picture before the start
        self._count = 0

    def copy(self, source: InputContainer) -> int:
        """Write the part; return the number of pictures and blocks of sound in it."""
        source.seek(max(0, int((self._start_s - SEEK_S) * av.time_base)))
        for frame in source.decode(*seen_or_heard(source)):
            if not isinstance(frame, av.VideoFrame | av.AudioFrame) or frame.time is None:
                continue
            since_s = frame.time - self._start_s
            if since_s >= self._length_s:
                continue
            if isinstance(frame, av.VideoFrame):
                self._take_picture(frame, since_s)
            elif since_s >= 0 and self._audio:
                self._take_sound(frame, since_s)
        if self._before is not None and self._lasts(self._before):
            self._put(self._before, 0.0)
        if self._count:
            self._end()
        return self._count

    def _end(self) -> None:
        if self._video:
            self._out.mux(self._video.encode(None))
        if self._audio:
            self._out.mux(self._audio.encode(None))

    def _take_picture(self, frame: av.VideoFrame, since_s: float) -> None:
        if since_s < 0:
            self._before = frame
            return
        if self._before is not None and since_s > 0:
            self._put(self._before, 0.0)
        self._before = None
        self._put(frame, since_s)

    def _lasts(self, frame: av.VideoFrame) -> bool:
        """Whether the last picture of the video is still shown at the start of the part."""
        length_s = float((frame.duration or 0) * (frame.time_base or 0))
        return (frame.time or 0.0) + length_s > self._start_s

    def _put(self, frame: av.VideoFrame, since_s: float) -> None:
        assert self._video is not None
        _write_picture(self._out, self._video, frame, round(since_s / TICKS))
        self._count += 1

    def _take_sound(self, frame: av.AudioFrame, since_s: float) -> None:
        assert self._audio is not None
        rate = frame.sample_rate
        frame.pts, frame.time_base = round(since_s * rate), Fraction(1, rate)
        for block in self._resampler.resample(frame):
            self._out.mux(self._audio.encode(block))
        self._count += 1


def _picture_stream(
    out: OutputContainer, size: tuple[int, int], rate: Fraction | float
) -> VideoStream:
    """Add a stream; the rate says how long the last picture lasts, times are those of pictures."""
    stream = out.add_stream("libx264", rate=_exact(rate), options=QUALITY)
    (stream.width, stream.height), stream.pix_fmt = size, "yuv444p"  # odd sizes too
    stream.time_base = stream.codec_context.time_base = TICKS
    return stream


def _exact(rate: Fraction | float) -> Fraction:
    return Fraction(rate).limit_denominator(1001)


def _write_picture(
    out: OutputContainer, stream: VideoStream, frame: av.VideoFrame, pts: int, duration: int = 0
) -> None:
    shown = orientation_of(frame)
    if shown != Orientation():
        upright = shown.apply(frame.to_ndarray(format="rgb24"))
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(upright), format="rgb24")
    picture = frame.reformat(stream.width, stream.height, "yuv444p")
    picture.pts, picture.time_base = pts, TICKS
    if duration:
        picture.duration = duration
    out.mux(stream.encode(picture))


@contextlib.contextmanager
def _reading(file: Path) -> Iterator[InputContainer]:
    try:
        with open_container(file) as container:
            yield container
    except (av.FFmpegError, StopIteration) as error:
        raise InputError(f"{file} cannot be decoded ({error}); copy it again") from error


@contextlib.contextmanager
def _writing(target: Path) -> Iterator[OutputContainer]:
    """Yield an MP4 beside the target that replaces it at the end."""
    unfinished = target.with_name(f".{os.getpid()}.{target.name}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(unfinished), "w", format="mp4") as out:
            yield out
        unfinished.replace(target)
    except OSError as error:
        raise StorageError(f"{target} cannot be written ({error.strerror})") from error
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink()
