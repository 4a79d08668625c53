"""Draw the pictures of the development videos: a news programme, slides, a workshop, a desktop."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from demo.canvas import (
    AMBER,
    CORAL,
    CREAM,
    DEEP,
    INK,
    MIST,
    MOSS,
    NAVY,
    PLANK,
    SAND,
    SKIN,
    SLATE,
    STONE,
    TEAL,
    WHITE,
    WOOD,
    Pen,
    bands,
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


def draw(script: dict[str, Any], view: View, moment: Moment) -> tuple[np.ndarray, list[str]]:
    """Draw a view; return the frame and the words in it."""
    board = Board(view.get("ground", CREAM))
    VIEWS[view["kind"]](board, view, moment)
    FRAMES[script["frame"]](board, script, view, moment)
    return board.pixels(), board.words


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


# --- news --------------------------------------------------------------------------------------


def studio(board: Board, view: View, moment: Moment) -> None:
    """Draw a presenter before a wall with a screen."""
    board.fade_down(0, 720, bands("#1d4a70", DEEP, 8))
    for number in range(9):
        height = 90 + 37 * ((number * 5) % 4)
        board.box(20 + 142 * number, 470 - height, 96, height, "#245a80")
    board.box(0, 470, 1280, 250, "#122c42")
    if "screen" in view:
        board.box(620, 110, 580, 330, WHITE, 8)
        board.box(620, 110, 580, 66, TEAL, 8)
        board.put(640, 143, view["screen"][0], 32, 540, WHITE, "bold")
        for number, line in enumerate(view["screen"][1:]):
            board.put(640, 215 + 50 * number, line, 28, 540)
    figure(board, view.get("x", 340), 330, 1.15, view.get("coat", "blue"), moment)
    board.box(60, 520, 620, 200, "#3a2c26", 12)


def place(board: Board, view: View, moment: Moment) -> None:
    """Draw a person outside or in a hall, with a sign."""
    colours = {"sky": ("#a9cfd8", MOSS), "hall": ("#d8d2c4", PLANK), "night": (DEEP, "#26343c")}
    upper, lower = colours[view.get("scene", "sky")]
    board.fade_down(0, 450, bands(upper, mix(upper, WHITE, 0.3), 5))
    board.box(0, 450, 1280, 270, lower)
    for number in range(5):
        board.box(80 + 250 * number, 300 - 30 * (number % 3), 170, 150 + 30 * (number % 3), STONE)
        board.box(120 + 250 * number, 350, 40, 40, MIST)
    if "sign" in view:
        lines = view["sign"]
        board.box(760, 150, 440, 60 + 48 * len(lines), WHITE, 10, INK, 4)
        for number, line in enumerate(lines):
            style = "bold" if number == 0 else "plain"
            board.put(785, 195 + 48 * number, line, 30, 390, INK, style)
    figure(board, view.get("x", 420), 350, 1.25, view.get("coat", "grey"), moment)


def card(board: Board, view: View, moment: Moment) -> None:
    """Draw a headline card."""
    board.fade_down(0, 720, bands(view.get("top", TEAL), DEEP, 8))
    board.put(90, 150, view["kicker"], 30, 1100, AMBER, "bold")
    y = board.paragraph(90, 220, view["headline"], 54, 1080, WHITE, "bold")
    for line in view.get("lines", []):
        board.oval(102, y + 30, 7, fill=AMBER)
        board.put(126, y + 30, line, 32, 1060, WHITE)
        y += 56


def news_table(board: Board, view: View, moment: Moment) -> None:
    """Draw a table over the whole picture."""
    board.fade_down(0, 720, bands("#cfe0e2", "#8fb4bd", 6))
    board.put(80, 120, view["title"], 44, 1100, NAVY, "bold")
    grid(board, view, (80, 165, 1120, 380))
    if "note" in view:
        board.put(80, 590, view["note"], 26, 1100, NAVY)


def news_frame(board: Board, script: dict[str, Any], view: View, moment: Moment) -> None:
    """Add the name of the channel, the clock, the caption and the ticker."""
    board.box(40, 30, 210, 44, CORAL, 6)
    board.put(56, 52, script["channel"], 26, 180, WHITE, "bold")
    board.box(1130, 30, 110, 44, INK, 6)
    board.put(1185, 52, moment.clock, 26, 100, WHITE, "mono", "mm")
    if "live" in view:
        board.box(270, 30, 24 + board.width(view["live"], 24, "bold"), 44, INK, 6)
        board.put(282, 52, view["live"], 24, 700, AMBER, "bold")
    if "caption" in view:
        name, role = view["caption"]
        board.box(60, 548, 760, 54, NAVY)
        board.box(60, 602, 760, 42, WHITE)
        board.put(80, 575, name, 32, 720, WHITE, "bold")
        board.put(80, 623, role, 25, 720, INK)
    board.box(0, 664, 1280, 56, AMBER)
    board.put(30, 692, moment.ticker, 27, 1220, INK, "bold")


# --- lecture -----------------------------------------------------------------------------------


def title_slide(board: Board, view: View, moment: Moment) -> None:
    """Draw the first slide or a heading between chapters."""
    board.box(0, 0, 1280, 720, view.get("shade", NAVY))
    y = board.paragraph(110, 220, view["title"], 60, 1050, WHITE, "serif")
    for line in view.get("lines", []):
        board.put(110, y + 30, line, 32, 900, MIST)
        y += 54


def bullets(board: Board, view: View, moment: Moment) -> None:
    """Draw a heading and points."""
    board.put(70, 80, view["title"], 46, 1140, NAVY, "bold")
    board.line([(70, 118), (1210, 118)], TEAL, 4)
    y = 180.0
    for line in view["lines"]:
        board.oval(88, y, 7, fill=CORAL)
        y = board.paragraph(112, y, line, 32, view.get("room", 860)) + 18


def table_slide(board: Board, view: View, moment: Moment) -> None:
    """Draw a heading and a table."""
    board.put(70, 80, view["title"], 46, 1140, NAVY, "bold")
    grid(board, view, (70, 135, 1140, 360))
    if "note" in view:
        board.put(70, 545, view["note"], 25, 860, CORAL, "bold")


def chart(board: Board, view: View, moment: Moment) -> None:
    """Draw bars with their values."""
    board.put(70, 80, view["title"], 46, 1140, NAVY, "bold")
    board.put(70, 132, view["unit"], 26, 900, SLATE)
    top = max(float(str(value).replace(",", "")) for _, value in view["bars"])
    step = 860 / len(view["bars"])
    for number, (label, value) in enumerate(view["bars"]):
        height = 300 * float(str(value).replace(",", "")) / top
        left = 90 + step * number
        board.box(left, 560 - height, step * 0.62, height, TEAL)
        board.put(left + step * 0.31, 540 - height, value, 26, step, INK, "bold", "mm")
        board.put(left + step * 0.31, 588, label, 24, step - 6, INK, "plain", "mm")


def formula(board: Board, view: View, moment: Moment) -> None:
    """Draw a formula and what its letters mean."""
    board.put(70, 80, view["title"], 46, 1140, NAVY, "bold")
    board.box(70, 140, 1140, 150, WHITE, 12, TEAL, 4)
    board.put(640, 215, view["formula"], 64, 1080, INK, "serif", "mm")
    for number, line in enumerate(view["lines"]):
        board.put(90, 345 + 52 * number, line, 30, 840)


def slide_frame(board: Board, script: dict[str, Any], view: View, moment: Moment) -> None:
    """Add the footer and the lecturer in the corner."""
    board.box(0, 664, 1280, 56, SAND)
    board.put(40, 692, script["footer"], 22, 700, INK)
    if "page" in view:
        board.put(1000, 692, view["page"], 22, 100, INK, "bold", "rm")
    board.box(1030, 470, 230, 194, MIST, 8, SLATE, 3)
    figure(board, 1145, 590, 0.5, "green", moment)
    board.box(1010, 664, 270, 56, SAND)


# --- workshop ----------------------------------------------------------------------------------


def wall(board: Board, view: View, moment: Moment) -> None:
    """Draw a room with panels: signs, price lists, names of stations."""
    paint = view.get("paint", "#d9cdb4")
    board.fade_down(0, 560, bands(paint, mix(paint, WHITE, 0.25), 5))
    board.box(0, 560, 1280, 160, view.get("floor", "#8a7a66"))
    PROPS[view.get("prop", "bench")](board)
    for sign in view.get("panels", {}).values():
        panel(board, sign)
    if "guide" in view:
        figure(board, view["guide"], 440, 1.0, view.get("coat", "brown"), moment)


def panel(board: Board, sign: View) -> None:
    """Draw one sign; "left | right" sets the second part at the right edge."""
    x, y, w = sign["at"]
    dark = sign.get("dark", False)
    ground, ink = (NAVY, WHITE) if dark else (WHITE, INK)
    size = sign.get("size", 26)
    step = size * 1.6
    lines = sign.get("lines", [])
    board.box(x, y, w, 44 + size + step * len(lines), ground, 8, INK, 4)
    board.put(x + 20, y + 36, sign["title"], size + 6, w - 40, AMBER if dark else NAVY, "bold")
    for number, line in enumerate(lines):
        left, _, right = line.partition(" | ")
        middle = y + 58 + size + step * number
        taken = board.width(right, size, "bold") + 20 if right else 0
        board.put(x + 20, middle, left, size, w - 40 - taken, ink)
        if right:
            board.put(x + w - 20, middle, right, size, w / 2, ink, "bold", "rm")
            board.words[-2:] = [f"{left} {right}"]


def _bench(board: Board) -> None:
    board.box(820, 470, 420, 26, WOOD)
    for left in (850, 1180):
        board.box(left, 496, 28, 130, WOOD)
    for number in range(4):
        board.box(860 + 80 * number, 430 - 12 * number, 22, 40 + 12 * number, STONE)


def _machine(board: Board) -> None:
    board.box(880, 380, 300, 240, SLATE, 14)
    board.oval(1030, 460, 60, fill=STONE, edge=INK)
    board.oval(1030, 460, 16, fill=INK)
    board.box(920, 560, 220, 24, AMBER)


def _shelf(board: Board) -> None:
    for row in range(3):
        board.box(800, 400 + 80 * row, 440, 12, WOOD)
        for number in range(7):
            shade = (CORAL, TEAL, AMBER, MOSS)[(number + row) % 4]
            board.box(815 + 60 * number, 350 + 80 * row, 40, 50, shade)


def _door(board: Board) -> None:
    board.box(960, 260, 220, 360, WOOD, 6, INK, 4)
    board.oval(985, 450, 9, fill=AMBER)


def _bicycle(board: Board) -> None:
    for x in (900, 1130):
        board.oval(x, 540, 78, edge=INK, thick=7)
    board.line([(900, 540), (980, 430), (1090, 430), (1010, 540), (900, 540)], CORAL, 8)
    board.line([(1010, 540), (975, 405)], CORAL, 8)
    board.line([(1130, 540), (1080, 395), (1110, 385)], CORAL, 8)


PROPS: dict[str, Callable[[Board], None]] = {
    "bench": _bench,
    "machine": _machine,
    "shelf": _shelf,
    "door": _door,
    "bicycle": _bicycle,
    "none": lambda board: None,
}


# --- desktop -----------------------------------------------------------------------------------


def desktop(board: Board, view: View, moment: Moment) -> None:
    """Draw a screen with windows, in the order of the view."""
    board.fade_down(0, 720, bands("#3f6f83", "#2b4d5e", 5))
    for window in view.get("windows", {}).values():
        x, y, w, h = window.get("at", (60, 40, 1160, 590))
        board.box(x, y, w, h, "#f6f7f8", 6, INK, 2)
        board.box(x, y, w, 40, SLATE, 6)
        board.put(x + 16, y + 20, window["title"], 21, w - 120, WHITE, "bold")
        for number, shade in enumerate((MOSS, AMBER, CORAL)):
            board.oval(x + w - 90 + 30 * number, y + 20, 8, fill=shade)
        WINDOWS[window["type"]](board, window, (x, y + 40, w, h - 40))
    if "pointer" in view:
        x, y = view["pointer"]
        board.shape([(x, y), (x, y + 26), (x + 7, y + 20), (x + 18, y + 19)], INK)


Area = tuple[float, float, float, float]


def _files(board: Board, window: View, area: Area) -> None:
    x, y, w, _ = area
    board.box(x + 10, y + 8, w - 20, 36, WHITE, 4, STONE, 2)
    board.put(x + 24, y + 26, window["path"], 20, w - 60, SLATE)
    for offset, heading in ((20, "Name"), (0.52 * w, "Geändert"), (0.78 * w, "Größe")):
        board.put(x + offset, y + 66, heading, 20, 200, SLATE, "bold")
    for number, row in enumerate(window["rows"]):
        middle = y + 102 + 36 * number
        if row[0] == window.get("selected"):
            board.box(x + 8, middle - 17, w - 16, 34, "#bcd7e6")
        board.box(x + 20, middle - 10, 20, 20, TEAL if row[2] else AMBER, 3)
        board.put(x + 52, middle, row[0], 22, 0.46 * w)
        board.put(x + 0.52 * w, middle, row[1], 22, 0.25 * w)
        board.put(x + 0.78 * w, middle, row[2], 22, 0.2 * w)
        board.words[-3:] = [" ".join(row)]
    if "status" in window:
        board.put(x + 20, y + area[3] - 22, window["status"], 19, w - 40, SLATE)


def _form(board: Board, window: View, area: Area) -> None:
    x, y, w, h = area
    for number, (label, value) in enumerate(window["fields"].items()):
        middle = y + 40 + 52 * number
        board.put(x + 24, middle, label, 22, 0.3 * w, SLATE, "bold")
        board.box(x + 0.34 * w, middle - 20, 0.6 * w, 40, WHITE, 4, STONE, 2)
        if str(value):
            board.put(x + 0.34 * w + 12, middle, value, 23, 0.57 * w)
            board.words[-2:] = [f"{label} {value}"]
    left = x + 24.0
    for button in window.get("buttons", []):
        width = board.width(button, 21, "bold") + 40
        board.box(left, y + h - 58, width, 42, TEAL, 6)
        board.put(left + 20, y + h - 37, button, 21, width, WHITE, "bold")
        left += width + 16
    if "status" in window:
        board.put(
            x + w - 20, y + h - 37, window["status"], 20, w - left + x - 40, CORAL, "bold", "rm"
        )


def _sheet(board: Board, window: View, area: Area) -> None:
    x, y, w, h = area
    columns, cells = window["columns"], window["cells"]
    shares = [1 if not name else window.get("widths", {}).get(name, 3) for name in ["", *columns]]
    unit = (w - 20) / sum(shares)
    board.put(x + 20, y + 24, window.get("bar", " "), 20, w - 60, SLATE)
    for row in range(window["rows"] + 1):
        left, top = x + 10, y + 46 + 36 * row
        told = []
        for name, share in zip(["", *columns], shares, strict=True):
            edge = not row or not name
            board.box(left, top, unit * share, 36, MIST if edge else WHITE, 0, STONE, 1)
            text = (name if not row else str(row)) if edge else cells.get(f"{name}{row}", "")
            if text and edge:
                board.write(left + unit * share / 2, top + 18, text, 17, SLATE, "plain", "mm")
            elif text:
                style = "bold" if row == 1 else "plain"
                board.put(left + 10, top + 18, text, 20, unit * share - 16, INK, style)
                told.append(board.words.pop())
            left += unit * share
        if told:
            board.words.append(" ".join(told))
    if "tab" in window:
        board.put(x + 20, y + h - 20, window["tab"], 19, w - 40, TEAL, "bold")


def _terminal(board: Board, window: View, area: Area) -> None:
    x, y, w, h = area
    board.box(x + 3, y, w - 6, h - 3, "#14191d")
    most = int((h - 24) // 32)
    for number, line in enumerate(window["lines"][-most:]):
        shade = "#8fe0a0" if line.startswith("$") else "#e6ecef"
        if line:
            board.put(x + 18, y + 26 + 32 * number, line, 21, w - 36, shade, "mono")


def _message(board: Board, window: View, area: Area) -> None:
    x, y, w, h = area
    top = y + 36.0
    for line in window["lines"]:
        top = board.paragraph(x + 24, top, line, 23, w - 48) + 8
    left = x + 24.0
    for button in window.get("buttons", []):
        width = board.width(button, 20, "bold") + 36
        board.box(left, y + h - 54, width, 40, TEAL, 6)
        board.put(left + 18, y + h - 34, button, 20, width, WHITE, "bold")
        left += width + 14


WINDOWS: dict[str, Callable[[Board, View, Area], None]] = {
    "files": _files,
    "form": _form,
    "sheet": _sheet,
    "terminal": _terminal,
    "message": _message,
}


def german_frame(board: Board, script: dict[str, Any], view: View, moment: Moment) -> None:
    """Add the bar of the desktop; the workshop has none."""
    if view["kind"] != "desktop":
        return
    board.box(0, 664, 1280, 56, INK)
    board.put(30, 692, view.get("bar", script["bar"]), 22, 900, WHITE)
    board.put(1250, 692, moment.clock, 22, 200, WHITE, "mono", "rm")


VIEWS: dict[str, Callable[[Board, View, Moment], None]] = {
    "studio": studio,
    "place": place,
    "card": card,
    "news_table": news_table,
    "title": title_slide,
    "bullets": bullets,
    "table": table_slide,
    "chart": chart,
    "formula": formula,
    "wall": wall,
    "desktop": desktop,
}
FRAMES: dict[str, Callable[[Board, dict[str, Any], View, Moment], None]] = {
    "news": news_frame,
    "slides": slide_frame,
    "german": german_frame,
}
