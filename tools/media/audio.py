"""Decode the audio of a file to 16 kHz mono, block by block, without the ffmpeg executable.

Sample n is at second n / 16,000 of the file, whatever gaps the file has.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer

from tools.media.container import audio_stream, discard_others, open_container, origin, read_packets
from tools.media.video import Video, require_positive

log = logging.getLogger(__name__)

SAMPLE_RATE = 16_000

# Timestamps jitter by a packet's rounding (1 ms in Matroska) and by encoder delay (up to 50 ms);
# smaller differences count as continuous audio, larger ones as a gap or an overlap.
GAP_S = 0.06

STEREO = 2
OPPOSITE = -0.9  # correlation of left and right below which their sum would lose the sound

Samples = npt.NDArray[np.float32]  # [n]


@dataclass(frozen=True, slots=True)
class AudioBlock:
    """Consecutive samples in [-1, 1] and the time of the first, in seconds."""

    start_s: float
    samples: Samples


def read_audio(video: Video, block_s: float = 30.0) -> Iterator[AudioBlock]:
    """Yield the audio in time order; gaps and a late start are filled with silence.

    Each block lasts `block_s` seconds, the last one less. A file without audio yields nothing;
    packets that do not decode become silence.
    """
    require_positive(block_s)
    size = max(1, round(block_s * SAMPLE_RATE))
    waiting: list[Samples] = []
    count = start = 0
    for piece in _pieces(video):
        for offset in range(0, len(piece), size):
            part = piece[offset : offset + size]
            waiting.append(part)
            count += len(part)
            if count >= size:
                joined = np.concatenate(waiting)
                yield AudioBlock(start / SAMPLE_RATE, joined[:size])
                waiting, count, start = [joined[size:]], count - size, start + size
    if count:
        yield AudioBlock(start / SAMPLE_RATE, np.concatenate(waiting))


@dataclass(frozen=True, slots=True)
class _Piece:
    """Decoded samples; `first` is the index of the first one where a gapless run begins."""

    samples: Samples
    first: int | None = None


def _pieces(video: Video) -> Iterator[Samples]:
    """Yield gapless samples from 0 to the end of the video, in pieces of any length."""
    with open_container(video.path) as container:
        stream = audio_stream(container, video.sound)
        if stream is None:
            return
        if not video.shifts_s:  # else the other streams tell where a part begins
            discard_others(container, stream)
        end = round(video.duration_s * SAMPLE_RATE)
        position = surplus = 0
        for piece in _resampled(_sounds(container, stream, video)):
            if piece.first is not None:
                surplus = max(0, position - piece.first)
                while position < min(piece.first, end):
                    silence = np.zeros(min(piece.first - position, SAMPLE_RATE), np.float32)
                    yield silence
                    position += len(silence)
            samples = piece.samples[surplus : surplus + end - position]
            surplus -= min(surplus, len(piece.samples))
            position += len(samples)
            if len(samples):
                yield samples


@dataclass(frozen=True, slots=True)
class _Sound:
    """A decoded frame, its time, and whether it continues the one before."""

    time_s: float
    frame: AudioFrame
    follows: bool

    @property
    def end_s(self) -> float:
        return self.time_s + self.frame.samples / self.frame.sample_rate


def _sounds(container: InputContainer, stream: AudioStream, video: Video) -> Iterator[_Sound]:
    """Assign times to decoded frames, and find gaps, overlaps and format changes."""
    start_s = float(origin(container))
    last: _Sound | None = None
    for frame in _frames(container, stream, video.shifts_s):
        due_s = last.end_s if last else 0.0
        time_s = due_s if frame.time is None else frame.time - start_s
        damaged = last is not None and time_s > video.duration_s + GAP_S
        near = abs(time_s - due_s) <= GAP_S
        follows = last is not None and (near or damaged) and _form(frame) == _form(last.frame)
        last = _Sound(due_s if follows else time_s, frame, follows)
        yield last


def _frames(
    container: InputContainer, stream: AudioStream, shifts_s: Sequence[Fraction]
) -> Iterator[AudioFrame]:
    for packet in read_packets(container, stream, shifts_s=shifts_s):
        try:
            decoded = packet.decode()
        except av.FFmpegError:
            log.warning("A packet of the sound track does not decode; it becomes silence.")
            continue
        yield from (frame for frame in decoded if isinstance(frame, AudioFrame) and frame.samples)


def _form(frame: AudioFrame) -> tuple[str, str, int]:
    return frame.format.name, frame.layout.name, frame.sample_rate


def _resampled(sounds: Iterator[_Sound]) -> Iterator[_Piece]:
    """Resample to 16 kHz mono; one resampler per gapless run avoids clicks."""
    resampler: AudioResampler | None = None
    for sound in sounds:
        if not sound.follows or resampler is None:
            if resampler is not None:
                yield from map(_piece, resampler.resample(None))
            stereo = sound.frame.layout.nb_channels == STEREO
            resampler = AudioResampler("flt", "stereo" if stereo else "mono", SAMPLE_RATE)
            yield _Piece(np.empty(0, np.float32), round(sound.time_s * SAMPLE_RATE))
        yield from map(_piece, resampler.resample(sound.frame))
    if resampler is not None:
        yield from map(_piece, resampler.resample(None))


def _piece(frame: AudioFrame) -> _Piece:
    samples = frame.to_ndarray().reshape(-1)
    if frame.layout.nb_channels == STEREO:
        samples = mix_down(samples.reshape(-1, STEREO))
    return _Piece(np.clip(samples, -1, 1).astype(np.float32))


def mix_down(stereo: npt.NDArray[Any]) -> Samples:
    """Return the mono mix of left and right, with FFmpeg's gain of -3 dB each.

    Where the two are in opposite phase, as after a miswired cable, their sum is silence; there the
    right one is inverted first.

    Args:
        stereo: Samples, [n, 2].
    """
    left, right = stereo.astype(np.float64).T
    both = np.sqrt((left @ left) * (right @ right))
    sign = -1 if both and left @ right < OPPOSITE * both else 1
    mixed: Samples = ((left + sign * right) * np.sqrt(0.5)).astype(np.float32)
    return mixed
