"""Back in town: the knots, the map, the shop, the evening."""

import math
from itertools import pairwise

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
    Brush,
    Pen,
    Points,
    bands,
    mix,
)
from demo.outdoors import ripples, sea, town
from demo.people import NORA, Spot, person
from demo.rooms import panel, room
from demo.screenplay import Span
from demo.stage import Stage

ROPE, THIN = "#e2c98f", "#c96f4a"


def _curve(points: Points) -> list[tuple[float, float]]:
    """Smooth a bent line by cutting its corners four times."""
    line = [(float(x), float(y)) for x, y in points]
    for _ in range(4):
        cut = [line[0]]
        for (ax, ay), (bx, by) in pairwise(line):
            cut.append((0.75 * ax + 0.25 * bx, 0.75 * ay + 0.25 * by))
            cut.append((0.25 * ax + 0.75 * bx, 0.25 * ay + 0.75 * by))
        line = [*cut, line[-1]]
    return line


def _rope(pen: Pen, points: Points, colour: str = ROPE, thick: float = 24) -> None:
    line = _curve(points)
    for x, y in line:
        pen.oval(x, y, thick / 2 + 3, fill=mix(colour, INK, 0.5))
    pen.line(line, mix(colour, INK, 0.5), thick + 6)
    for x, y in line:
        pen.oval(x, y, thick / 2 - 0.2, fill=colour)
    pen.line(line, colour, thick)


def _coil(pen: Pen) -> None:
    for turn in range(5):
        spread = 190 - 34 * turn
        pen.oval(820, 380, spread + 15, (spread + 15) * 0.8, mix(ROPE, INK, 0.5))
        pen.oval(820, 380, spread + 12, (spread + 12) * 0.8, ROPE)
        pen.oval(820, 380, spread - 12, (spread - 12) * 0.8, mix(ROPE, INK, 0.5))
    pen.oval(820, 380, 36, 28, "#2c4a52")


def _bowline(pen: Pen) -> None:
    _rope(pen, [(790, 150), (790, 300), (740, 420), (690, 520), (790, 600), (890, 520), (850, 420)])
    _rope(pen, [(850, 430), (830, 330), (740, 270), (720, 220), (820, 200), (850, 260), (800, 340),
                (740, 390), (770, 440), (850, 400)])  # fmt: skip


def _clove_hitch(pen: Pen) -> None:
    pen.box(740, 140, 100, 470, WOOD, 20, mix(WOOD, INK, 0.4), 4)
    _rope(pen, [(540, 500), (700, 480), (800, 455), (848, 440)])
    _rope(pen, [(732, 330), (780, 310), (880, 300), (1060, 270)])
    _rope(pen, [(732, 440), (760, 425), (820, 330), (848, 310)])


def _sheet_bend(pen: Pen) -> None:
    _rope(pen, [(520, 310), (760, 310), (900, 300), (930, 380), (900, 450), (760, 440), (520, 440)],
          thick=34)  # fmt: skip
    _rope(pen, [(1080, 360), (860, 370), (800, 300), (740, 240), (690, 380), (730, 520), (800, 480),
                (830, 400), (850, 340), (930, 230)], THIN, 18)  # fmt: skip


def _figure_eight(pen: Pen) -> None:
    _rope(pen, [(500, 380), (640, 380), (760, 470), (880, 500), (960, 430), (930, 330), (820, 320),
                (740, 400), (640, 480), (570, 420), (600, 320), (720, 290), (860, 370),
                (1090, 380)])  # fmt: skip


def knots(stage: Stage) -> None:
    """A board with one knot after another, then the workshop's card."""
    pen = stage.pen
    room(pen, "#7f9a93", WOOD, 620)
    for x in range(0, 1280, 128):
        pen.line([(x, 0), (x, 604)], "#75908a", 4)
    panel(pen, 440, 110, 760, 530, "#2c4a52")
    before = Span(stage.take.span.start_s, stage.take.text["knot_1"].start_s)
    with stage.layer(before) as layer:
        _coil(layer)
    draws = (_bowline, _clove_hitch, _sheet_bend, _figure_eight)
    for number, draw in enumerate(draws, start=1):
        key = f"knot_{number}"
        with stage.layer(stage.take.text[key]) as layer:
            draw(layer)
            w = layer.width(stage.take.words(key), 40) + 56
            layer.box(1180 - w, 128, w, 70, CREAM, 10)
        stage.write(key, 1152, 163, 40, NAVY, at="rm")
    with stage.layer(stage.take.text["course"]) as card:
        card.box(500, 190, 640, 360, CREAM, 16)
        card.box(500, 190, 640, 100, CORAL, 16)
        card.box(500, 270, 640, 20, CORAL)
    stage.write("course", 540, 240, 46, WHITE)
    stage.write("course_when", 540, 362, 40, INK)
    stage.write("course_phone", 540, 464, 40, NAVY)
    person(stage, "nora", NORA, Spot(220, 400, 1.0))


PLACES = ((236, 560), (450, 400), (640, 260), (900, 290), (1010, 520))
# Legs of the mail boat: from place to place, bent towards a point.
LEGS = (((236, 560), (860, 700), (900, 290)), ((900, 290), (770, 120), (640, 260)),
        ((640, 260), (520, 260), (450, 400)))  # fmt: skip
LEG_STEPS = 40


def _bend(leg: Points) -> list[tuple[float, float]]:
    (ax, ay), (bx, by), (cx, cy) = leg
    shares = [step / LEG_STEPS for step in range(LEG_STEPS)]
    return [
        (
            (1 - s) ** 2 * ax + 2 * s * (1 - s) * bx + s * s * cx,
            (1 - s) ** 2 * ay + 2 * s * (1 - s) * by + s * s * cy,
        )
        for s in shares
    ]


def map_room(stage: Stage) -> None:
    """A wall map; a red line draws the journey of the mail boat."""
    pen = stage.pen
    pen.box(0, 0, 1280, 720, "#4b3a30")
    pen.box(40, 104, 1200, 590, WOOD, 8)
    pen.box(58, 122, 1164, 554, "#bcd6d6", 4)
    land, shore = "#e9d9ad", mix("#e9d9ad", WOOD, 0.4)
    coast = _curve([(58, 330), (140, 380), (170, 470), (250, 540), (200, 610), (290, 640),
                    (330, 676)])  # fmt: skip
    pen.shape([*coast, (58, 676)], land)
    pen.line(coast, shore, 4)
    for (x, y), rx, ry in zip(PLACES[1:], (62, 76, 84, 40), (34, 40, 44, 24), strict=True):
        pen.oval(x, y, rx, ry, land, shore, 4)
    for x, y in ((560, 520), (760, 420), (330, 300), (1120, 350), (860, 640), (420, 210)):
        pen.line([(x - 16, y), (x, y - 8), (x + 16, y)], "#9dbfc2", 3)
    stage.write("title", 92, 162, 36, NAVY, "serif")
    names = ((136, 520, "lm"), (450, 460, "mm"), (640, 334, "mm"), (960, 220, "mm"),
             (1010, 572, "mm"))  # fmt: skip
    for number, (x, y, at) in enumerate(names):
        stage.write(f"place_{number + 1}", x if number else 72, y, 30, INK, "serif", at)
    stage.write("deep", 1196, 400, 28, "#3f7478", "hand", "rm")
    stage.write("scale", 400, 644, 28, WOOD, "serif")
    for x, y in PLACES:
        pen.oval(x, y, 9, fill=INK)
    pen.oval(1130, 200, 54, edge=NAVY, thick=3)
    pen.shape([(1130, 140), (1142, 200), (1130, 260), (1118, 200)], NAVY)
    pen.shape([(1070, 200), (1130, 188), (1190, 200), (1130, 212)], CORAL)
    _journey(stage)


def _journey(stage: Stage) -> None:
    # The boat waits 1.7 s at each place, then goes on.
    path = [*(spot for leg in LEGS for spot in _bend(leg)), LEGS[-1][-1]]
    start = stage.since(2) + 0.5

    def progress(t_s: float) -> int:
        leg, rest = divmod(max(0.0, t_s - start), 4.5)
        if leg >= len(LEGS):
            return len(path) - 1
        return round(LEG_STEPS * (leg + min(1.0, rest / 2.8)))

    def draw(brush: Brush, t_s: float) -> None:
        reached = progress(t_s)
        if reached > 0:
            brush.line(path[: reached + 1], "#d2322a", 7)
        if t_s > start - 1:
            brush.disc(*path[reached], 13, "#d2322a")

    stage.move(draw)


def shop(stage: Stage) -> None:
    """Shelves with price tags; the garden gate on the right."""
    pen = stage.pen
    room(pen, "#efe0c6", "#97785a", 620)
    for y in (330, 560):
        pen.box(40, y, 660, 18, WOOD, 4)
    for number in range(4):
        x, y = 200 + 330 * (number % 2), 330 + 230 * (number // 2)
        _goods(pen, number, x - 96, y)
        stage.write(f"item_{number + 1}", x - 30, y - 76, 30)
        tag = pen.width(stage.take.words(f"tag_{number + 1}"), 32) + 28
        pen.box(x - 30, y - 56, tag, 46, AMBER, 8)
        stage.write(f"tag_{number + 1}", x - 16, y - 33, 32)
    pen.box(60, 130, 620, 66, CORAL, 12)
    stage.write("offer", 370, 163, 34, WHITE, at="mm")
    pen.box(850, 130, 370, 480, "#a8cfd0")
    pen.oval(940, 560, 120, 90, MOSS)
    pen.oval(1120, 580, 130, 100, mix(MOSS, INK, 0.15))
    for x in range(870, 1220, 48):
        pen.line([(x, 220), (x, 610)], INK, 8)
        pen.shape([(x - 9, 222), (x + 9, 222), (x, 192)], INK)
    for y in (270, 540):
        pen.line([(850, y), (1220, y)], INK, 8)
    pen.box(836, 120, 20, 500, STONE)
    pen.box(1214, 120, 20, 500, STONE)
    panel(pen, 912, 316, 246, 150, CREAM)
    stage.write("gate", 1035, 352, 30, SLATE, at="mm")
    stage.write("gate_code", 1035, 414, 56, TEAL, "mono", "mm")
    person(stage, "nora", NORA, Spot(770, 480, 0.75))


def _goods(pen: Pen, number: int, x: float, y: float) -> None:
    if number == 0:
        pen.box(x - 40, y - 78, 84, 60, CREAM, 4, SLATE, 2)
        pen.box(x - 34, y - 72, 72, 26, "#7db6d2")
        pen.box(x - 34, y - 46, 72, 22, TEAL)
    elif number == 1:
        pen.box(x - 34, y - 64, 76, 64, NAVY, 8)
        pen.box(x - 38, y - 72, 84, 18, AMBER, 6)
    elif number == 2:
        pen.slice(x, y - 12, 46, 180, 360, TEAL)
        pen.box(x - 48, y - 22, 96, 22, mix(TEAL, INK, 0.3), 8)
        pen.oval(x, y - 62, 12, fill=CREAM)
    else:
        pen.box(x - 44, y - 80, 92, 80, "#7c9aa6", 6)
        pen.shape([(x - 24, y - 30), (x + 28, y - 30), (x + 16, y - 14), (x - 14, y - 14)], WOOD)
        pen.shape([(x, y - 70), (x, y - 34), (x + 24, y - 34)], CREAM)


def farewell(stage: Stage) -> None:
    """The harbour at night, the lanterns, the poster; then thanks."""
    pen = stage.pen
    pen.fade_down(0, 500, bands(DEEP, "#3d4f7a", 7))
    pen.oval(1120, 110, 46, fill="#fdf0cf")
    pen.oval(1100, 98, 42, fill=mix(DEEP, "#3d4f7a", 0.12))
    town(pen, 500, 560, 1290, night=True)
    sea(pen, 500, DEEP, "#33507a")
    ripples(stage, 506, "#5f7fa8")
    colours = (CORAL, AMBER, "#f3e3b4", "#e98a6b")
    for number in range(9):
        x = 560 + 84 * number
        sag = 250 + 44 * math.sin(math.pi * (number % 5) / 4)
        colour = colours[number % 4]
        pen.line([(x, sag - 30), (x, sag - 14)], MIST, 2)
        pen.oval(x, sag + 10, 20, 26, colour)
        pen.oval(x, sag + 10, 9, 26, mix(colour, WHITE, 0.3))
        pen.box(x - 9, sag + 34, 18, 5, INK)
    panel(pen, 80, 130, 430, 380, CREAM)
    pen.box(80, 130, 430, 90, CORAL, 14)
    pen.box(80, 200, 430, 20, CORAL)
    stage.write("night", 295, 176, 44, WHITE, "serif", "mm")
    stage.write("night_date", 295, 280, 40, INK, at="mm")
    stage.write("night_time", 295, 366, 60, NAVY, "mono", "mm")
    stage.write("night_place", 295, 452, 40, SLATE, at="mm")
    _floating(stage)
    with stage.layer(stage.take.text["thanks"]) as veil:
        veil.box(0, 560, 1280, 160, "#0a1a2ae6")
    stage.write("thanks", 640, 614, 44, CREAM, "serif", "mm")
    stage.write("credit", 640, 674, 28, SAND, at="mm")


def _floating(stage: Stage) -> None:
    def lantern(pen: Pen) -> None:
        pen.shape([(0, 596), (46, 596), (38, 616), (8, 616)], PLANK)
        pen.box(8, 556, 30, 42, AMBER, 6)
        pen.box(17, 564, 12, 28, "#fff0c0", 4)

    light = stage.sprite(lantern)

    def drift(brush: Brush, t_s: float) -> None:
        for number in range(4):
            x = 160 + 290 * number + round(t_s * 10) * (1 + number % 2)
            light(brush, x % 1360 - 60, -26 + 12 * (number % 3))

    stage.move(drift)
