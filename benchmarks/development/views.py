"""Draw the views of the development videos: a news programme, slides, a workshop, a desktop."""

from collections.abc import Callable
from typing import Any

import numpy as np
from board import Board, Moment, View, figure, grid
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
    SLATE,
    STONE,
    TEAL,
    WHITE,
    WOOD,
    bands,
    mix,
)
from windows import desktop


def draw(script: dict[str, Any], view: View, moment: Moment) -> tuple[np.ndarray, list[str]]:
    """Draw a view; return the frame and the words in it."""
    board = Board(view.get("ground", CREAM))
    VIEWS[view["kind"]](board, view, moment)
    FRAMES[script["frame"]](board, script, view, moment)
    return board.pixels(), board.words


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
