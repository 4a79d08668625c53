"""Decode the sound of a file to 16 kHz mono, block by block, without any ffmpeg program."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tools.video import Video

SAMPLE_RATE = 16_000


@dataclass(frozen=True, slots=True)
class AudioBlock:
    """Consecutive samples in [-1, 1] and the time of the first, in seconds."""

    start_s: float
    samples: npt.NDArray[np.float32]  # [n]


def read_audio(video: Video, block_s: float = 30.0) -> Iterator[AudioBlock]:
    """Yield the sound in time order; gaps and a late start are filled with silence."""
    raise NotImplementedError
