"""What is on the island besides the light: the log, the kitchen, the signal mast."""

import math

from demo.canvas import (
    AMBER,
    CORAL,
    CREAM,
    INK,
    MIST,
    MOSS,
    NAVY,
    PLANK,
    SLATE,
    STONE,
    TEAL,
    WHITE,
    WOOD,
    Brush,
    Pen,
    bands,
    mix,
)
from demo.outdoors import gull, ripples, sea
from demo.people import NORA, ODILE, Spot, person
from demo.rooms import panel, room, window
from demo.stage import Stage


def logbook(stage: Stage) -> None:
    """An open book in the light of a lamp."""
    pen = stage.pen
    pen.box(0, 0, 1280, 720, "#3b2a20")
    for y in range(60, 720, 110):
        pen.line([(0, y), (1280, y)], "#33241b", 4)
    pen.oval(1190, 70, 330, 330, "#4b3626")
    pen.oval(1190, 70, 210, 210, "#604530")
    pen.box(110, 124, 1060, 500, "#5a2f22", 16)
    for x in (130, 644):
        pen.box(x, 136, 506, 476, "#f4e8c9", 8)
        for line in range(6):
            y = 222 + 62 * line
            pen.line([(x + 30, y), (x + 476, y)], "#dccba2", 2)
    pen.shape([(620, 136), (660, 136), (644, 612), (636, 612)], "#d8c59a")
    for side, x in (("left", 166), ("right", 680)):
        stage.write(f"{side}_date", x, 190, 34, "#5a2f22", "serif")
        for line in range(3):
            stage.write(f"{side}_{line + 1}", x, 266 + 62 * line, 30, "#33405c", "hand")
    pen.line([(1010, 560), (1190, 660)], AMBER, 14)
    pen.line([(1000, 554), (1012, 561)], INK, 8)
    pen.oval(1190, 60, 46, fill=AMBER)
    pen.oval(1190, 60, 30, fill="#fff0c0")

    def flicker(brush: Brush, t_s: float) -> None:
        beat = stage.slow(t_s)
        brush.disc(1190, 60, 20 + 3 * math.sin(9 * beat) * math.sin(2.3 * beat), WHITE)

    stage.move(flicker)


def cafe(stage: Stage) -> None:
    """The menu on the wall, the cook, the kettle."""
    pen = stage.pen
    room(pen, "#e9d7c3", "#a9785a", 600)
    for row in range(5):
        for column in range(5):
            pen.box(40 + 96 * column, 300 + 52 * row, 90, 46, mix(MIST, WHITE, 0.5), 3)
    window(pen, 90, 130, 180, 140, "#8fb7c9")
    pen.box(90, 230, 180, 40, TEAL)
    panel(pen, 600, 104, 560, 400, "#24332f")
    stage.write("menu", 640, 150, 40, AMBER, "serif")
    for row in range(5):
        y = 208 + 50 * row
        stage.write(f"dish_{row + 1}", 640, y, 32, CREAM)
        stage.write(f"price_{row + 1}", 1120, y, 32, AMBER, "mono", "rm")
        start = 640 + pen.width(stage.take.words(f"dish_{row + 1}"), 32) + 16
        for x in range(int(start), 1020, 14):
            pen.oval(x, y + 8, 2, fill=STONE)
    stage.write("cards", 640, 466, 28, "#ff9a7a")
    person(stage, "odile", ODILE, Spot(476, 400, 0.85))
    pen.box(0, 590, 1280, 130, WOOD)
    pen.box(0, 576, 1280, 24, PLANK, 6)
    pen.box(80, 560, 190, 20, INK, 6)
    pen.oval(175, 510, 66, 56, CORAL)
    pen.box(112, 540, 126, 26, CORAL, 10)
    pen.line([(236, 500), (280, 462)], CORAL, 16)
    pen.line([(124, 480), (136, 430), (214, 430), (226, 480)], INK, 8)
    pen.oval(175, 452, 10, fill=INK)
    for x in (700, 860, 1020):
        pen.box(x, 536, 50, 44, CREAM, 8, STONE, 2)
        pen.oval(x + 58, 556, 11, 12, None, STONE, 4)

    def steam(brush: Brush, t_s: float) -> None:
        for puff in range(3):
            age = (stage.slow(t_s) * 0.5 + puff / 3) % 1
            x, y = 292 + 34 * age, 448 - 120 * age
            brush.disc(x, y, 8 + 12 * age, mix("#f7f2ea", "#e9d7c3", age))

    stage.move(steam)


FLAG_W, FLAG_H = 150, 96


def _flag(pen: Pen, name: str, x: float, y: float) -> None:
    blue, yellow, red = "#1f55a0", "#f4cf3a", "#d0342c"
    w, h = FLAG_W, FLAG_H
    if name == "D":
        pen.box(x, y, w, h, yellow)
        pen.box(x, y + h / 4, w, h / 2, blue)
    elif name == "Q":
        pen.box(x, y, w, h, yellow)
    elif name == "H":
        pen.box(x, y, w / 2, h, WHITE)
        pen.box(x + w / 2, y, w / 2, h, red)
    else:
        pen.box(x, y, w, h, WHITE)
        for cell in range(16):
            if (cell + cell // 4) % 2 == 0:
                pen.box(x + cell % 4 * w / 4, y + cell // 4 * h / 4, w / 4, h / 4, blue)
    pen.box(x, y, w, h, None, 0, mix(INK, SLATE, 0.5), 2)


def flags(stage: Stage) -> None:
    """Flags climb the mast one after another; each meaning appears beside its flag."""
    pen = stage.pen
    pen.fade_down(0, 560, bands("#7db6d2", "#e7f0ee", 8))
    sea(pen, 470)
    ripples(stage, 470, mix(TEAL, WHITE, 0.5), 536)
    pen.shape([(0, 600), (300, 548), (760, 560), (1280, 590), (1280, 720), (0, 720)], MOSS)
    pen.shape([(0, 650), (500, 610), (1280, 660), (1280, 720), (0, 720)], mix(MOSS, INK, 0.2))
    pen.box(394, 40, 18, 580, WHITE, 8, SLATE, 2)
    pen.oval(403, 38, 14, fill=AMBER)
    pen.box(370, 596, 66, 34, STONE, 6)
    pen.line([(424, 60), (424, 596)], INK, 2)
    start = stage.since(2)
    for number, name in enumerate("DQHN"):
        _hoist(stage, number, name, start + 1.5 + 4.5 * number)
    person(stage, "nora", NORA, Spot(180, 420, 0.9, front=True))

    def flock(brush: Brush, t_s: float) -> None:
        beat = stage.slow(t_s)
        gull(brush, (beat * 50) % 1500 - 100, 70, beat * 6)

    stage.move(flock)


def _hoist(stage: Stage, number: int, name: str, at_s: float) -> None:
    y = 96 + 118 * number
    flag = stage.sprite(lambda pen: _flag(pen, name, 426, y))

    def climb(brush: Brush, t_s: float) -> None:
        if t_s >= at_s:
            flag(brush, 0, max(0, 470 - 118 * number - round((t_s - at_s) * 10) * 20))

    stage.move(climb)
    key = f"flag_{number + 1}"
    with stage.layer(stage.take.text[key]) as pen:
        w = pen.width(stage.take.words(key), 32) + 48
        pen.box(616, y + 16, w, 64, NAVY, 12)
    stage.write(key, 640, y + 48, 32, CREAM)
