from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from tools.ocr.change_reader import PictureReader, changed_pixels
from tools.ocr.engine import BGRImage, Corners, Reading
from tools.ocr.regions import Mask, Rect, changed_parts


def picture(*texts: tuple[int, int, str], size: int = 24, ink: int = 0) -> BGRImage:
    image = Image.new("RGB", (1280, 720), "white")
    draw = ImageDraw.Draw(image)
    for left, top, text in texts:
        draw.text((left, top), text, fill=(ink, ink, ink), font=ImageFont.load_default(size))
    return np.asarray(image)[..., ::-1].copy()


class InkEngine:
    """Finds every run of dark lines as one text and reads how much ink it has.

    Counts what it is asked.
    """

    def __init__(self) -> None:
        self.pixels = 0
        self.read = 0

    def detect(self, picture: BGRImage, max_side: int) -> list[Corners]:
        self.pixels += picture.shape[0] * picture.shape[1]
        dark = picture.min(axis=2) < 128
        lines = np.flatnonzero(np.diff(np.pad(dark.any(axis=1), 1).astype(int)))
        found = []
        for top, bottom in lines.reshape(-1, 2).tolist():
            columns = np.flatnonzero(dark[top:bottom].any(axis=0))
            left, right = int(columns[0]), int(columns[-1]) + 1
            found.append(np.array([(left, top), (right, top), (right, bottom), (left, bottom)]))
        return found

    def recognise(self, picture: BGRImage, places: Sequence[Corners]) -> list[Reading]:
        self.read += len(places)
        return [Reading(str(self._ink(picture, corners)), 1.0) for corners in places]

    def _ink(self, picture: BGRImage, corners: Corners) -> int:
        (left, top), (right, bottom) = corners[0], corners[2]
        return int((255 - picture[top:bottom, left:right].astype(int)).sum())


def readings(reader: PictureReader, image: BGRImage) -> list[str]:
    return sorted(piece.reading.text for piece in reader.read(image))


LINES = [(100, 100, "The gate code is 7391"), (100, 300, "Budget"), (100, 500, "12:45 Pier 4")]


def test_what_did_not_change_is_neither_looked_at_nor_read_again() -> None:
    engine = InkEngine()
    reader = PictureReader(engine, 640)
    first = readings(reader, picture(*LINES))
    seen = engine.pixels
    assert engine.read == 3
    assert 1280 * 720 <= seen < 1.2 * 1280 * 720
    assert readings(reader, picture(*LINES)) == first
    assert (engine.read, engine.pixels) == (3, seen)
    moved = readings(reader, picture(*LINES, (900, 600, "a boat")))
    assert engine.read == 4
    assert engine.pixels < seen + 0.2 * 1280 * 720
    assert set(first) < set(moved)


@pytest.mark.parametrize("digits", [("7391", "7397"), ("3.50", "8.50"), ("16:05", "10:05")])
@pytest.mark.parametrize(("size", "ink"), [(16, 0), (16, 200), (24, 205), (40, 150)])
def test_a_changed_digit_is_read_again(digits: tuple[str, str], size: int, ink: int) -> None:
    one, other = (picture((100, 300, text), size=size, ink=ink) for text in digits)
    mask = changed_pixels(other, one)
    assert mask.any()
    assert not mask[:, 400:].any()


def test_the_same_as_reading_each_picture_alone() -> None:
    shown = [
        picture(*LINES),
        picture(*LINES[:2], (100, 500, "12:45 Pier 44")),  # grows
        picture(*LINES[:1], (100, 500, "12:45 Pier 44")),  # one goes
        picture((130, 100, "The gate code is 7391"), (100, 500, "12:45 Pier 44")),  # one moves
        picture(),
        picture(*LINES),
    ]
    reader = PictureReader(InkEngine(), 640)
    for image in shown:
        assert readings(reader, image) == readings(PictureReader(InkEngine(), 640), image)


def test_a_slow_fade_is_noticed_though_no_two_pictures_differ_much() -> None:
    reader = PictureReader(InkEngine(), 640)
    seen = {tuple(readings(reader, picture(LINES[0], ink=ink))) for ink in range(0, 100, 10)}
    assert len(seen) >= 4


def test_a_picture_of_another_size_is_read_whole() -> None:
    engine = InkEngine()
    reader = PictureReader(engine, 640)
    reader.read(picture(*LINES))
    assert len(reader.read(picture(*LINES)[:400, :1000])) == 2
    assert engine.pixels >= 1280 * 720 + 1000 * 400


@pytest.mark.parametrize("scale", [1.0, 0.5, 0.31])
def test_parts_hold_every_change_and_do_not_overlap(scale: float) -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        changed: Mask = np.zeros((719, 1277), np.uint8)
        for top, left in rng.integers(0, (719, 1277), (4, 2)).tolist():
            changed[top : top + 20, left : left + 40] = 1
        parts = changed_parts(changed, [Rect(0, 600, 300, 640)], scale)
        covered = np.zeros(changed.shape, int)
        for part in parts:
            covered[part.top : part.bottom, part.left : part.right] += 1
        assert covered.max() == 1
        assert covered[changed > 0].all()
        assert covered[600:640, 0:300].all()


def test_nothing_changed_gives_no_part() -> None:
    assert changed_parts(np.zeros((720, 1280), np.uint8), [], 0.5) == []
