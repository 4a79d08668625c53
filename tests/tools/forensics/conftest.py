"""Textures that move in a known way, written as real clips, and the measurement of a file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from tools.base import ToolInput
from tools.evidence import Evidence
from tools.media.video import probe
from tools.registry import make_tool

Picture = npt.NDArray[np.uint8]
Place = Callable[[float], tuple[float, float]]

FPS = 8.0
SIZE = 320, 240


def texture(width: int, height: int, seed: int = 0) -> npt.NDArray[np.float32]:
    """Coloured blobs of about 10 px, larger than the picture."""
    random = np.random.default_rng(seed)
    noise = random.uniform(0, 255, (height * 2, width * 2, 3)).astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), height / 60)
    return np.asarray((soft - soft.mean()) * 0.6 * height / 24 + 128)


def window(wide: npt.NDArray[Any], width: int, height: int, x: float, y: float) -> Picture:
    """The part of a wide picture whose middle lies at (x, y) from its middle, in pixels."""
    shift = np.array([[1, 0, -width / 2 - x], [0, 1, -height / 2 - y]])
    cut = cv2.warpAffine(wide, shift, (width, height), flags=cv2.INTER_CUBIC)
    return np.asarray(cut.clip(0, 255), np.uint8)


@pytest.fixture
def moving(make_clip: Callable[..., Path]) -> Callable[..., Path]:
    """`moving(place, name, size, seconds, alter, **fields of Clip)`: a texture seen by a camera.

    `place` gives the camera's place in pixels at a height of 240, for eighths of a second, and
    `alter` changes the picture of a number.
    """

    def write(
        place: Place,
        name: str = "clip.mp4",
        size: tuple[int, int] = SIZE,
        seconds: float = 2.0,
        alter: Callable[[Picture, int], Picture] = lambda picture, number: picture,
        **fields: Any,
    ) -> Path:
        wide = texture(*size)

        def draw(time_s: float, width: int, height: int) -> Picture:
            number = round(time_s * FPS, 3)
            x, y = place(number)
            scale = height / SIZE[1]
            seen = window(wide, width, height, x * scale, y * scale)
            return alter(seen, round(number))

        return make_clip(
            name,
            **{"fps": FPS, "seconds": seconds, "size": size, "draw": draw, "crf": 12, **fields},
        )

    return write


@pytest.fixture(scope="session")
def measure() -> Callable[..., Evidence]:
    """`measure(path, name, **options)`: the one record that a measurement yields on a file."""

    def run(path: Path, name: str, **options: Any) -> Evidence:
        (found,) = make_tool(name, options).run(ToolInput(probe(path)))
        return found

    return run
