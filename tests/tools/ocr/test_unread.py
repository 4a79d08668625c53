"""Lines in scripts that the default recogniser does not know are noticed; Latin ones are not."""

from pathlib import Path

import matplotlib
import pytest
from PIL import Image, ImageDraw, ImageFont

from tools.base import ToolInput, ToolRuntime
from tools.media.frames import FrameSet, StoredFrame
from tools.media.video import Video
from tools.ocr.tool import Ocr

VIDEO = Video(Path("a.mp4"), "0" * 64, 9, 1280, 720, 0, None, False, ())
FONT = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"  # has these scripts
CYRILLIC = ["Добро пожаловать в музей", "Второй этаж: комната 12", "Откройте дверь до 17:30"]
ARABIC = ["مرحبا بكم في المتحف", "افتح الباب قبل الساعة 17:30"]
LATIN = ["Welcome to the museum", "Second floor: room 12", "Open the door before 17:30", "WC", "I"]


@pytest.fixture(scope="module")
def ocr(tmp_path_factory: pytest.TempPathFactory) -> Ocr:
    tool = Ocr()
    tool.setup(ToolRuntime("cpu", offline=True, models=tmp_path_factory.mktemp("models")))
    return tool


def notes(ocr: Ocr, folder: Path, *shown: list[str]) -> list[str]:
    frames = []
    for number, lines in enumerate(shown):
        picture = Image.new("RGB", (1280, 720), "white")
        for place, line in enumerate(lines):
            ImageDraw.Draw(picture).text(
                (100, 60 + 130 * place), line, "black", ImageFont.truetype(FONT, 44)
            )
        path = folder / f"{number}.jpg"
        picture.save(path, quality=90)
        frames.append(StoredFrame(number, number * 3.0, number * 3.0 + 3, path))
    told: list[str] = []
    list(ocr.run(ToolInput(VIDEO, FrameSet(folder, 9, tuple(frames), ()), note=told.append)))
    return told


@pytest.mark.parametrize("lines", [CYRILLIC, ARABIC], ids=["Cyrillic", "Arabic"])
def test_a_script_that_is_not_read_is_said(ocr: Ocr, tmp_path: Path, lines: list[str]) -> None:
    (told,) = notes(ocr, tmp_path, LATIN, lines, [])
    assert "1 picture holds text that is not read, the first at 3 s" in told
    assert "ocr.language=NAME reads one of latin, en, cyrillic" in told


def test_of_latin_text_nothing_is_said(ocr: Ocr, tmp_path: Path) -> None:
    assert notes(ocr, tmp_path, LATIN, [], LATIN[:3]) == []
