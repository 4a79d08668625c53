from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from tools.base import ToolInput, ToolRuntime
from tools.media.frames import FrameSet, StoredFrame
from tools.media.video import Video
from tools.ocr.multiscale import detect_text
from tools.ocr.tool import Ocr

VIDEO = Video(Path("a.mp4"), "0" * 64, 5, 1920, 1080, 0, None, False, ())
LINES = ["Restart the pump before noon", "Valve 7 stays closed", "Pressure 4.2 bar at gauge 12"]


@pytest.fixture(scope="module")
def ocr(tmp_path_factory: pytest.TempPathFactory) -> Ocr:
    tool = Ocr()
    tool.setup(ToolRuntime("cpu", offline=True, models=tmp_path_factory.mktemp("models")))
    return tool


def screen(width: int, height: int, sizes: dict[str, int]) -> Image.Image:
    picture = Image.new("RGB", (width, height), "#1e1e1e")
    for place, (text, size) in enumerate(sizes.items()):
        at = (width // 12, (1 + 2 * place) * height // 8)
        ImageDraw.Draw(picture).text(at, text, "#d4d4d4", ImageFont.load_default(size))
    return picture


@pytest.mark.parametrize(("width", "height", "letters"), [(1920, 1080, 14), (3840, 2160, 20)])
def test_small_letters_of_a_large_screen_are_read(
    ocr: Ocr, tmp_path: Path, width: int, height: int, letters: int
) -> None:
    path = tmp_path / "screen.jpg"
    screen(width, height, dict.fromkeys(LINES, letters)).save(path, quality=92)
    frames = FrameSet(tmp_path, 5, (StoredFrame(0, 0, 5, path),), ())
    (found,) = ocr.run(ToolInput(VIDEO, frames))
    assert found.text == " | ".join(LINES)


class Watched:
    """Counts the pixels of what the detector is given, after downscaling."""

    def __init__(self, ocr: Ocr) -> None:
        self._engine = ocr._engine
        self.pixels: list[float] = []

    def detect(self, picture, max_side):  # type: ignore[no-untyped-def]
        scale = min(1.0, max_side / max(picture.shape))
        self.pixels.append(picture.shape[0] * picture.shape[1] * scale**2)
        return self._engine.detect(picture, max_side)


def test_letters_that_the_small_picture_shows_are_not_looked_for_again(ocr: Ocr) -> None:
    watched = Watched(ocr)
    large = np.asarray(screen(1920, 1080, dict.fromkeys(LINES, 80)))
    assert len(detect_text(watched, large, 1 / 3)) == len(LINES)
    assert sum(watched.pixels[1:]) < 0.1 * watched.pixels[0]


def test_only_where_small_letters_may_be_is_looked_at_again(ocr: Ocr) -> None:
    watched = Watched(ocr)
    mixed = np.asarray(screen(1920, 1080, {LINES[0]: 80, LINES[1]: 14}))
    assert len(detect_text(watched, mixed, 1 / 3)) == 2
    assert 0 < sum(watched.pixels[1:]) < 0.3 * watched.pixels[0]
