import numpy as np
import pytest
from PIL import Image, ImageDraw

from tools.ocr.panels import Panels
from tools.ocr.rows import Box

LEFT, RIGHT = Box(0.1, 0.4, 0.3, 0.6), Box(0.7, 0.4, 0.9, 0.6)


def panels(draw: ImageDraw.ImageDraw, picture: Image.Image) -> Panels:
    for box in (LEFT, RIGHT):  # the ink
        left, right = 400 * box.left + 6, 400 * box.right - 6
        draw.rectangle((left, 90, right, 110), "black")
    noise = np.random.default_rng(0).integers(-8, 9, (200, 400, 3))
    return Panels(np.clip(np.asarray(picture) + noise, 0, 255).astype(np.uint8))


@pytest.mark.parametrize(
    ("shapes", "parted"),
    [
        ([], False),
        ([((0, 0, 200, 200), "tan")], True),  # two grounds
        ([((190, 0, 210, 200), "brown")], True),  # a post between signs of one colour
        ([((200, 0, 201, 200), "black")], False),  # a ruled line of a table
        ([((x, 105, x + 2, 107), "black") for x in range(130, 270, 8)], False),  # leaders
        ([((0, 79, 400, 82), "brown")], False),  # a line above
    ],
)
def test_a_change_of_ground_parts_and_lines_of_a_table_do_not(
    shapes: list[tuple[tuple[int, int, int, int], str]], parted: bool
) -> None:
    picture = Image.new("RGB", (400, 200), "white")
    draw = ImageDraw.Draw(picture)
    for shape, colour in shapes:
        draw.rectangle(shape, colour)
    assert panels(draw, picture).part(LEFT, RIGHT) is parted


def test_texts_that_touch_are_on_one_panel() -> None:
    picture = np.full((200, 400, 3), 255, np.uint8)
    assert not Panels(picture).part(Box(0.1, 0.4, 0.3, 0.6), Box(0.29, 0.4, 0.5, 0.6))
    assert not Panels(picture).part(Box(0.9, 0.9, 0.95, 1), Box(0.95, 0.9, 1, 1))
    assert not Panels(picture).part(Box(0.5, 0.9, 0.6, 1), Box(0.6004, 0.9, 1, 1))
