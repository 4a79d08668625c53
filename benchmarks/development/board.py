"""What all pictures of the development videos are drawn with: a pen, people and tables."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from demo.canvas import (
    CORAL,
    INK,
    MOSS,
    NAVY,
    SKIN,
    SLATE,
    TEAL,
    WHITE,
    WOOD,
    Pen,
    mix,
)
from PIL import Image

SIZE = (1280, 720)
SMALLEST = 15
COATS = {"blue": NAVY, "red": CORAL, "green": MOSS, "grey": SLATE, "teal": TEAL, "brown": WOOD}
View = dict[str, Any]


@dataclass(frozen=True)
class Moment:
    """What moves in a picture."""

    beat: int
    ticker: str
    clock: str
    sway: int


class Board(Pen):
    """A pen that keeps what it writes and shrinks what would not fit."""

    def __init__(self, ground: str) -> None:
        super().__init__(ground)
        self.words: list[str] = []

    def put(
        self,
        x: float,
        y: float,
        words: str,
        size: int,
        room: float,
        fill: str = INK,
        style: str = "plain",
        at: str = "lm",
    ) -> None:
        """Write one line into the given width."""
        words = str(words)
        while self.width(words, size, style) > room:
            size -= 1
            if size < SMALLEST:
                raise ValueError(f"no room for {words!r}")
        self.write(x, y, words, size, fill, style, at)
        self.words.append(words)

    def paragraph(
        self,
        x: float,
        y: float,
        words: str,
        size: int,
        room: float,
        fill: str = INK,
        style: str = "plain",
    ) -> float:
        """Write several lines; return where the next one would stand."""
        line = ""
        self.words.append(words)
        for word in words.split():
            longer = f"{line} {word}".strip()
            if line and self.width(longer, size, style) > room:
                self.write(x, y, line, size, fill, style)
                y, longer = y + 1.35 * size, word
            line = longer
        self.write(x, y, line, size, fill, style)
        return y + 1.35 * size

    def pixels(self) -> np.ndarray:
        """Return the finished frame."""
        small = self.image.resize(SIZE, Image.Resampling.BOX).convert("RGB")
        return np.asarray(small)


def figure(board: Board, x: float, y: float, scale: float, coat: str, moment: Moment) -> None:
    """Draw a person from the waist up; the mouth moves while someone speaks."""
    x += 4 * scale * (moment.sway - 1)
    colour = COATS.get(coat, NAVY)
    board.box(x - 110 * scale, y, 220 * scale, 260 * scale, colour, 70 * scale)
    board.box(x - 22 * scale, y - 40 * scale, 44 * scale, 60 * scale, SKIN)
    board.oval(x, y - 90 * scale, 58 * scale, 72 * scale, SKIN)
    board.slice(x, y - 108 * scale, 62 * scale, 180, 360, mix(colour, INK, 0.6))
    for side in (-1, 1):
        board.oval(x + side * 20 * scale, y - 95 * scale, 5 * scale, fill=INK)
    board.oval(x, y - 52 * scale, 16 * scale, (4 + 7 * moment.beat) * scale, "#7a2e2a")


# --- tables, used everywhere -------------------------------------------------------------------


def grid(board: Board, view: View, area: tuple[float, float, float, float]) -> None:
    """Draw a table: columns are the headings, rows the lines; widths are shares."""
    x, y, w, h = area
    rows = [view["columns"], *view["rows"]]
    shares = view.get("widths") or [1] * len(view["columns"])
    height = min(62.0, h / len(rows))
    size = min(28, int(height * 0.52))
    for number, row in enumerate(rows):
        top = y + number * height
        head = number == 0
        shade = view.get("shade", NAVY) if head else (WHITE if number % 2 else "#e9eef0")
        board.box(x, top, w, height, shade)
        left = x
        for cell, share in zip(row, shares, strict=True):
            room = w * share / sum(shares)
            ink, style = (WHITE, "bold") if head else (INK, "plain")
            board.put(left + 14, top + height / 2, cell, size, room - 20, ink, style)
            left += room
