"""The rooms of the museum."""

import math

from demo.canvas import (
    AMBER,
    CORAL,
    CREAM,
    DEEP,
    INK,
    MIST,
    NAVY,
    PLANK,
    SAND,
    SKY,
    SLATE,
    STONE,
    TEAL,
    WHITE,
    WOOD,
    Brush,
    Pen,
    mix,
)
from demo.people import NORA, Spot, badge, person
from demo.stage import Stage


def room(pen: Pen, wall: str, floor: str, level: float) -> None:
    """Paint a wall with a skirting board, and floor boards below."""
    pen.box(0, 0, 1280, 720, wall)
    pen.box(0, level, 1280, 720 - level, floor)
    pen.box(0, level - 16, 1280, 16, mix(wall, INK, 0.25))
    for number in range(9):
        x = 160 * number
        foot = 640 + (x - 640) * 1.5
        pen.line([(x, level), (foot, 720)], mix(floor, INK, 0.16), 2)


def window(pen: Pen, x: float, y: float, w: float, h: float, light: str = SKY) -> None:
    """Draw a sash window."""
    pen.box(x - 10, y - 10, w + 20, h + 20, CREAM, 6, mix(SAND, INK, 0.35), 3)
    pen.box(x, y, w, h, light)
    pen.box(x + w / 2 - 4, y, 8, h, CREAM)
    pen.box(x, y + h / 2 - 4, w, 8, CREAM)


def panel(pen: Pen, x: float, y: float, w: float, h: float, fill: str = CREAM) -> None:
    """Hang a board with a thin edge and a shadow."""
    left, right, foot = x + 12, x + w + 6, y + h + 8
    pen.glaze([(left, y + 12), (right, y + 12), (right, foot), (left, foot)], "#0000002e")
    pen.box(x, y, w, h, fill, 14, mix(fill, INK, 0.3), 3)


def ticket_hall(stage: Stage) -> None:
    """The old sail loft: opening hours, prices, the guide."""
    pen = stage.pen
    room(pen, mix(SAND, CREAM, 0.4), PLANK, 560)
    for x in (0, 420, 840, 1260):
        pen.shape([(x - 12, 0), (x + 12, 0), (x + 12, 544), (x - 12, 544)], WOOD)
    pen.box(0, 0, 1280, 26, WOOD)
    window(pen, 1116, 130, 120, 190)
    panel(pen, 40, 120, 352, 330, NAVY)
    stage.write("hours", 64, 166, 34, AMBER)
    stage.write("hours_1", 64, 238, 30, CREAM)
    stage.write("hours_2", 64, 288, 40, WHITE)
    pen.line([(64, 334), (368, 334)], mix(NAVY, CREAM, 0.4), 2)
    stage.write("hours_3", 64, 386, 30, CREAM)
    panel(pen, 410, 120, 360, 330)
    stage.write("prices", 434, 166, 34, CORAL)
    for number, key in enumerate(("adult", "student", "family", "child")):
        y = 232 + 54 * number
        stage.write(key, 434, y, 30)
        stage.write(f"{key}_price", 746, y, 30, NAVY, at="rm")
    person(stage, "nora", NORA, Spot(960, 300, 1.1))
    badge(stage, "badge", 918, 440)
    pen.box(0, 580, 1280, 140, WOOD)
    pen.box(0, 568, 1280, 22, mix(WOOD, CREAM, 0.25), 6)
    for x in (90, 330, 570, 810, 1050):
        pen.box(x, 616, 200, 80, mix(WOOD, INK, 0.14), 8)
    pen.box(500, 528, 92, 42, SLATE, 6)
    pen.box(512, 506, 68, 30, INK, 4)
    pen.oval(676, 558, 26, 14, AMBER)
    pen.oval(676, 546, 6, 6, INK)


def cloakroom(stage: Stage) -> None:
    """Lockers on the left, the blue door with its sign on the right."""
    pen = stage.pen
    room(pen, "#d8e3dc", "#9aa39c", 600)
    stage.write("lockers", 350, 140, 36, NAVY, at="mm")
    for number in range(18):
        x, y = 70 + number % 6 * 94, 176 + number // 6 * 134
        tone = (TEAL, mix(TEAL, SKY, 0.3), mix(TEAL, NAVY, 0.4))[(number * 5 + number // 6) % 3]
        pen.box(x, y, 86, 126, tone, 6, mix(TEAL, INK, 0.5), 2)
        pen.oval(x + 68, y + 66, 6, fill=AMBER)
        for slot in (18, 28, 38):
            pen.line([(x + 22, y + slot), (x + 64, y + slot)], mix(tone, INK, 0.4), 3)
    pen.box(800, 110, 240, 474, mix(NAVY, INK, 0.3), 6)
    pen.box(812, 122, 216, 462, "#2f6f9f", 4)
    pen.box(838, 250, 164, 130, mix("#2f6f9f", WHITE, 0.12), 4)
    pen.box(838, 410, 164, 130, mix("#2f6f9f", WHITE, 0.12), 4)
    stage.write("door", 920, 190, 32, WHITE, at="mm")
    pen.oval(1008, 396, 10, fill=AMBER)
    panel(pen, 1066, 180, 190, 150, CREAM)
    stage.write("code_label", 1161, 216, 28, SLATE, at="mm")
    stage.write("code", 1161, 280, 56, CORAL, "mono", "mm")
    pen.box(1110, 350, 100, 120, INK, 10)
    for number in range(9):
        pen.oval(1134 + number % 3 * 26, 376 + number // 3 * 32, 9, fill=MIST)
    person(stage, "nora", NORA, Spot(716, 380, 0.8))
    panel(pen, 630, 600, 626, 104, NAVY)
    stage.write("wifi", 656, 630, 28, AMBER)
    stage.write("wifi_name", 656, 674, 28, WHITE, "mono")
    stage.write("wifi_word", 916, 674, 28, CREAM)


def model_ship(pen: Pen, x: float, y: float, size: float, hull: str, masts: int) -> None:
    """Draw a ship on a stand; (x, y) is the middle of its water line."""
    s = size
    pen.shape(
        [(x - 86 * s, y - 26 * s), (x + 92 * s, y - 32 * s), (x + 64 * s, y + 24 * s),
         (x - 62 * s, y + 24 * s)],
        hull,
    )  # fmt: skip
    pen.line([(x - 80 * s, y - 14 * s), (x + 84 * s, y - 18 * s)], CREAM, 4 * s)
    for number in range(masts):
        mast = x + (number - (masts - 1) / 2) * 52 * s
        pen.line([(mast, y - 30 * s), (mast, y - 150 * s)], WOOD, 5 * s)
        for sail, top in ((24, -146), (32, -96)):
            pen.shape(
                [(mast - sail * 0.7 * s, y + top * s), (mast + sail * 0.7 * s, y + top * s),
                 (mast + sail * s, y + (top + 44) * s), (mast - sail * s, y + (top + 44) * s)],
                WHITE,
            )  # fmt: skip
            pen.line(
                [(mast - sail * s, y + (top + 44) * s), (mast + sail * s, y + (top + 44) * s)],
                STONE,
                2,
            )
    pen.line([(x + 90 * s, y - 30 * s), (x + 124 * s, y - 52 * s)], WOOD, 4 * s)
    pen.line([(x - 40 * s, y + 24 * s), (x - 48 * s, y + 50 * s)], INK, 5 * s)
    pen.line([(x + 40 * s, y + 24 * s), (x + 48 * s, y + 50 * s)], INK, 5 * s)


def models(stage: Stage) -> None:
    """A long glass case with ship models and their plates."""
    pen = stage.pen
    room(pen, "#35556b", "#6b5646", 610)
    for x in (200, 640, 1080):
        pen.shape([(x - 40, 0), (x + 40, 0), (x + 150, 190), (x - 150, 190)], "#3f6179")
        pen.box(x - 44, 0, 88, 18, AMBER, 6)
    pen.box(30, 150, 1220, 420, "#dfeaf0", 10, mix(AMBER, WOOD, 0.5), 8)
    pen.box(38, 486, 1204, 76, SAND)
    hulls = (TEAL, SLATE, AMBER, DEEP, "#c8322b")
    shapes = ((0.72, 1), (0.84, 2), (0.98, 3), (0.84, 2), (0.76, 2))
    for number in range(5):
        x = 158 + 241 * number
        size, masts = shapes[number]
        model_ship(pen, x - 8, 436 if number != 2 else 425, size, hulls[number], masts)
        pen.box(x - 106, 488, 212, 72, mix(AMBER, CREAM, 0.35), 6, WOOD, 2)
        stage.write(f"plate_{number + 1}", x, 507, 28, INK, "serif", "mm")
        stage.write(f"year_{number + 1}", x, 541, 28, WOOD, "serif", "mm")
    pen.glaze([(300, 158), (360, 158), (290, 478), (230, 478)], "#ffffff66")
    pen.glaze([(1020, 158), (1120, 158), (1050, 478), (950, 478)], "#ffffff66")
    pen.box(30, 570, 1220, 30, WOOD)
    pen.box(60, 600, 1160, 60, mix(WOOD, INK, 0.25))


def tide_clock(stage: Stage) -> None:
    """A tall clock whose pendulum swings, a brass plate and today's tides."""
    pen = stage.pen
    room(pen, "#4a3b3a", "#2f2524", 640)
    pen.slice(330, 200, 230, 180, 360, "#5a4947")
    pen.box(100, 200, 460, 424, "#5a4947")
    pen.box(170, 70, 320, 560, WOOD, 20)
    pen.box(200, 330, 260, 280, mix(WOOD, INK, 0.55), 12)
    pen.oval(330, 200, 118, fill=AMBER)
    pen.oval(330, 200, 106, fill=CREAM)
    for hour in range(12):
        angle = math.radians(30 * hour)
        inner, outer = (86, 100)
        pen.line(
            [(330 + inner * math.sin(angle), 200 - inner * math.cos(angle)),
             (330 + outer * math.sin(angle), 200 - outer * math.cos(angle))],
            INK,
            6 if hour % 3 == 0 else 3,
        )  # fmt: skip
    pen.line([(330, 200), (286, 166)], NAVY, 9)
    pen.line([(330, 200), (330, 122)], NAVY, 6)
    pen.oval(330, 200, 10, fill=CORAL)

    def swing(brush: Brush, t_s: float) -> None:
        angle = 0.30 * math.sin(math.pi * t_s)
        x, y = 330 + 190 * math.sin(angle), 345 + 190 * math.cos(angle)
        brush.line([(330, 345), (x, y)], AMBER, 6)
        brush.disc(x, y, 36, AMBER)
        brush.disc(x, y, 22, mix(AMBER, WOOD, 0.4))

    stage.move(swing)
    panel(pen, 690, 200, 500, 150, mix(AMBER, WOOD, 0.25))
    for x, y in ((712, 222), (1168, 222), (712, 328), (1168, 328)):
        pen.oval(x, y, 6, fill=WOOD)
    stage.write("retry_node", 940, 252, 42, INK, "serif", "mm")
    stage.write("maker_2", 940, 306, 30, "#3f2a17", "serif", "mm")
    panel(pen, 690, 400, 500, 160, NAVY)
    for row, key in enumerate(("high", "low")):
        stage.write(key, 720, 446 + 68 * row, 34, MIST)
        stage.write(f"{key}_time", 1160, 446 + 68 * row, 44, AMBER, "mono", "rm")


def rope_walk(stage: Stage) -> None:
    """A very long room; the wheel turns, and the steps appear on the wall."""
    pen = stage.pen
    pen.box(0, 0, 1280, 720, "#cdb690")
    pen.shape([(0, 0), (1280, 0), (400, 260), (260, 260)], "#8e6d4b")
    pen.shape([(0, 720), (1280, 720), (400, 380), (260, 380)], PLANK)
    pen.shape([(0, 0), (260, 260), (260, 380), (0, 720)], "#b79c74")
    pen.box(260, 260, 140, 120, "#e9dfc4")
    for share in (0.0, 0.34, 0.6, 0.78, 0.9):
        y = 260 * share
        pen.line([(260 * share, y), (1280 - 880 * share, y)], "#6f5338", 18 * (1 - share) + 3)
    for share in (0.1, 0.45, 0.7):
        x, y, h = 260 * share, 130 + 170 * share, 220 * (1 - share)
        pen.shape([(x, y), (x + h * 0.3, y + h * 0.26), (x + h * 0.3, y + h), (x, y + h)], SKY)
    for offset in (0, 14, 28):
        pen.line([(330, 330), (150 + offset, 560 + offset)], "#e6d3a3", 5)
    panel(pen, 640, 120, 580, 400)
    stage.write("wall", 676, 172, 38, CORAL)
    pen.line([(676, 206), (1184, 206)], SAND, 3)
    for number in range(4):
        stage.write(f"step_{number + 1}", 676, 254 + 68 * number, 38, NAVY)
    hub = (200, 600)
    pen.box(hub[0] - 18, hub[1], 36, 120, mix(WOOD, INK, 0.3))
    pen.box(hub[0] - 90, 690, 180, 30, mix(WOOD, INK, 0.3))

    start = stage.take.lines[6].start_s - stage.take.span.start_s

    def turn(brush: Brush, t_s: float) -> None:
        turned = max(0.0, t_s - start)
        for spoke in range(8):
            angle = turned * 1.2 + spoke * math.pi / 4
            tip = (hub[0] + 96 * math.cos(angle), hub[1] + 96 * math.sin(angle))
            brush.line([hub, tip], WOOD, 9)
            brush.disc(*tip, 13, CORAL if spoke == 0 else WOOD)
        brush.disc(*hub, 20, INK)

    stage.move(turn)
    person(stage, "nora", NORA, Spot(500, 470, 0.8))
