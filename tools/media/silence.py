"""Whether a sound track is silent, so that one with sound can be chosen in its place."""

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler

from tools.media.container import open_container, read_packets

QUIET = 10 ** (-60 / 20)  # of full scale: dither and the hum of an unplugged input lie below
PLACES = 8  # spread over the track; each is looked at for a second
GLANCE_S = 1.0


def is_silent(path: Path, index: int) -> bool:
    """Whether no sample of a sound track is louder than -60 dB.

    A few places are looked at first: only a track that is silent at all of them is decoded whole.

    Args:
        path: The file.
        index: Stream index of the track.
    """
    with open_container(path) as container:
        length_s = (container.duration or 0) / av.time_base
    at_places = (length_s * (n + 0.5) / PLACES for n in range(PLACES))
    if length_s > 2 * PLACES * GLANCE_S and any(
        _is_heard(path, index, place_s, GLANCE_S) for place_s in at_places
    ):
        return False
    return not _is_heard(path, index, 0.0, float("inf"))


def _is_heard(path: Path, index: int, from_s: float, length_s: float) -> bool:
    heard_s = 0.0
    for frame in _frames(path, index, from_s):
        if np.abs(frame.to_ndarray()).max(initial=0.0) > QUIET:
            return True
        heard_s += frame.samples / frame.sample_rate
        if heard_s >= length_s:
            return False
    return False


def _frames(path: Path, index: int, from_s: float) -> Iterator[AudioFrame]:
    resampler = AudioResampler("flt")
    with open_container(path) as container:
        stream = container.streams[index]
        if from_s:
            try:
                container.seek(int(from_s * av.time_base))
            except av.FFmpegError:  # no seeking in this file
                return
        for packet in read_packets(container, stream):
            try:
                decoded = packet.decode()
            except av.FFmpegError:
                continue
            for frame in decoded:
                if isinstance(frame, AudioFrame) and frame.samples:
                    yield from resampler.resample(frame)
