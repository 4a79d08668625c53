"""The clips of the contract kit: real files of a few seconds, made with PyAV."""

import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import numpy as np
import numpy.typing as npt

Kind = Literal["plain", "no sound", "one frame", "rotated", "sound only"]
KINDS: tuple[Kind, ...] = ("plain", "no sound", "one frame", "rotated", "sound only")
FPS, SECONDS, WIDTH, HEIGHT, RATE = 5, 3, 320, 240, 16_000
QUARTER = (0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)  # a matrix that turns by 90 degrees


def make_clip(kind: Kind, folder: Path) -> Path:
    """Write a clip and return its path; the same kind has the same bytes each time."""
    path = folder / f"{kind.replace(' ', '-')}.mp4"
    with av.open(str(path), "w") as container:
        writers: list[Callable[[], None]] = []
        if kind != "sound only":
            writers.append(_pictures(container, 1 if kind == "one frame" else FPS * SECONDS))
        if kind not in ("no sound", "one frame"):
            writers.append(_sound(container))
        for write in writers:
            write()
    if kind == "rotated":
        _rotate(path)
    return path


def _picture(number: int) -> npt.NDArray[np.uint8]:
    """Return a picture: words on grey, and a square that moves."""
    import cv2

    image = np.full((HEIGHT, WIDTH, 3), 60 + 100 * (number // 8 % 2), np.uint8)
    cv2.putText(image, "GATE 7391", (20, 60), cv2.FONT_HERSHEY_SIMPLEX, 1.2, (255, 255, 255), 2)
    image[120:170, 10 + 8 * number : 60 + 8 * number] = (220, 40, 40)
    return image


def _pictures(container: av.container.OutputContainer, count: int) -> Callable[[], None]:
    stream = container.add_stream("libx264", rate=FPS, options={"x264-params": "threads=1"})
    assert isinstance(stream, av.VideoStream)
    stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"

    def write() -> None:
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(_picture(number), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))

    return write


def _sound(container: av.container.OutputContainer) -> Callable[[], None]:
    stream = container.add_stream("aac", rate=RATE)
    assert isinstance(stream, av.AudioStream)
    stream.layout = "mono"

    def write() -> None:
        for first in range(0, SECONDS * RATE, 1000):
            times_s = np.arange(first, first + 1000) / RATE
            samples = (16_000 * np.sin(2 * np.pi * 440 * times_s)).astype(np.int16)[None]
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            frame.sample_rate, frame.time_base, frame.pts = RATE, Fraction(1, RATE), first
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))

    return write


def _rotate(path: Path) -> None:
    """Put a rotation into the track header (ISO 14496-12, tkhd matrix); PyAV cannot write one."""
    content = bytearray(path.read_bytes())
    place = content.index(b"tkhd") + 4 + 4 + 20 + 8 + 8  # version 0: flags, times, layer
    struct.pack_into(">9i", content, place, *QUARTER)
    path.write_bytes(content)
