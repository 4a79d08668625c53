"""The scenes under the open sky: the title, the courtyard, the pier, the crossing, the light."""

import math

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
    bands,
    mix,
)
from demo.people import NORA, TOBIAS, Spot, person
from demo.rooms import panel
from demo.stage import Stage
from demo.voice import TRAM_BELLS


def sea(pen: Pen, level: float, near: str = TEAL, far: str = "#7fb3bb") -> None:
    """Paint the water in bands down to the lower edge."""
    pen.fade_down(level, 720, bands(far, near, 6))


def ripples(stage: Stage, level: float, colour: str, foot: float = 710) -> None:
    """Let short strokes drift on the water; whole pixels a frame compress well."""
    spots = [((n * 397) % 1400, level + 12 + (n * 83) % int(foot - level)) for n in range(11)]

    def drift(brush: Brush, t_s: float) -> None:
        for number, (x, y) in enumerate(spots):
            at = (x + round(stage.slow(t_s) * 10) * (1 + number % 2)) % 1400 - 60
            brush.line([(at, y), (at + 34 + 10 * (number % 3), y)], colour, 3)

    stage.move(drift)


def gull(brush: Brush, x: float, y: float, beat: float, size: float = 1.0) -> None:
    """Draw a gull by its wings."""
    lift = 12 * math.sin(beat) * size
    wing = 26 * size
    brush.line([(x - wing, y - lift), (x, y), (x + wing, y - lift)], WHITE, 4)


def town(pen: Pen, level: float, left: float, right: float, night: bool = False) -> None:
    """Line up the houses of the quay."""
    tones = (CORAL, CREAM, "#7c9aa6", AMBER, "#b4665a", SAND, TEAL)
    x, number = left, 0
    while x < right:
        w, h = 62 + (number * 37) % 34, 92 + (number * 53) % 66
        tone = tones[number % len(tones)]
        tone, pane = (mix(tone, DEEP, 0.62), AMBER) if night else (tone, NAVY)
        pen.box(x, level - h, w, h, tone)
        pen.shape(
            [(x - 4, level - h), (x + w + 4, level - h), (x + w / 2, level - h - 36)],
            mix(SLATE, DEEP, 0.6) if night else SLATE,
        )
        for row in range(2):
            for column in range(2):
                pen.box(x + 12 + column * (w - 38), level - h + 18 + row * 38, 14, 20, pane, 2)
        x += w + 2
        number += 1


def title(stage: Stage) -> None:
    """Dawn over the bay, with the name of the museum."""
    pen = stage.pen
    pen.fade_down(0, 470, bands("#f3b98a", "#fbe7c6", 8))
    pen.oval(950, 440, 120, fill="#fff3d6")
    sea(pen, 470, NAVY, "#7aa5ad")
    pen.shape([(0, 470), (0, 360), (120, 340), (250, 400), (420, 440), (520, 470)], "#6d8a86")
    town(pen, 470, 20, 420)
    stage.write("museum", 640, 170, 96, NAVY, "serif", "mm")
    stage.write("museum_2", 640, 258, 54, NAVY, "serif", "mm")
    pen.line([(520, 312), (760, 312)], CORAL, 4)
    stage.write("kind", 640, 352, 36, "#8a3b22", at="mm")
    ripples(stage, 480, mix(NAVY, CREAM, 0.55))

    def sail(canvas: Pen) -> None:
        canvas.shape([(0, 520), (130, 520), (104, 556), (24, 556)], WOOD)
        canvas.line([(62, 520), (62, 400)], INK, 5)
        canvas.shape([(68, 404), (68, 508), (126, 508)], CREAM)
        canvas.shape([(56, 420), (56, 508), (14, 508)], CORAL)

    boat = stage.sprite(sail)
    stage.move(lambda brush, t_s: boat(brush, 420 + round(t_s * 10) * 3, 24))

    def flock(brush: Brush, t_s: float) -> None:
        for number in range(3):
            beat = stage.slow(t_s)
            x = 1300 - (beat * 60 + number * 130) % 1500
            gull(brush, x, 80 + 46 * number, beat * 7 + number, 0.8)

    stage.move(flock)


def _tram(pen: Pen, colour: str) -> None:
    pen.box(0, 400, 470, 190, colour, 26)
    pen.box(0, 520, 470, 26, CREAM)
    pen.box(14, 392, 442, 18, mix(colour, INK, 0.3), 8)
    for x in (24, 116, 208, 300, 392):
        pen.box(x, 448, 62, 62, MIST, 6)
    for x in (80, 160, 320, 400):
        pen.oval(x, 594, 22, fill=INK)
        pen.oval(x, 594, 8, fill=STONE)
    pen.line([(235, 392), (270, 352), (235, 330)], INK, 5)
    pen.oval(458, 560, 9, fill=AMBER)


def courtyard(stage: Stage) -> None:
    """Rain, an arch, the tram stop, and the trams that go by."""
    pen = stage.pen
    pen.fade_down(0, 560, bands("#8fa3ab", "#c3ced0", 6))
    town(pen, 500, -10, 1290)
    pen.box(0, 500, 1280, 120, "#9a958c")
    pen.box(0, 612, 1280, 108, "#77736d")
    for y in (600, 612):
        pen.line([(0, y), (1280, y)], SLATE, 5)
    pen.line([(0, 330), (1280, 330)], INK, 3)
    pause = stage.since(1)
    lines = (("tram_1", CORAL), ("tram_2", TEAL), ("tram_1", CORAL))
    for (start, _), (key, colour) in zip(TRAM_BELLS, lines, strict=True):
        _pass_by(stage, key, colour, pause + start)
    stage.note("tram_1", 640, 426, 28)
    stage.note("tram_2", 640, 426, 28)
    _rain(stage)
    _arch(stage)


def _pass_by(stage: Stage, key: str, colour: str, start: float) -> None:
    def draw(canvas: Pen) -> None:
        _tram(canvas, colour)
        canvas.box(70, 408, 330, 36, INK, 6)
        canvas.write(235, 426, stage.take.words(key), 28, AMBER, at="mm")

    tram = stage.sprite(draw)

    def run(brush: Brush, t_s: float) -> None:
        x = -500 + round((t_s - start) * 10) * 30
        if -500 < x < 1290:
            tram(brush, x, 0)

    stage.move(run)


def _arch(stage: Stage) -> None:
    with stage.layer(stage.take.span) as pen:
        pen.box(1010, 190, 14, 440, INK)
        pen.box(846, 130, 340, 120, NAVY, 14)
        stone = "#5d564f"
        pen.box(0, 0, 1280, 60, stone)
        pen.box(0, 0, 60, 720, stone)
        pen.box(1220, 0, 60, 720, stone)
        for x, turn in ((60, 1), (1220, -1)):
            pen.shape([(x, 60), (x + 150 * turn, 60), (x + 46 * turn, 110), (x, 210)], stone)
        for y in range(30, 720, 76):
            for x in (0, 1220):
                pen.line([(x, y), (x + 60, y)], mix(stone, INK, 0.3), 3)

    stage.write("stop_2", 1016, 164, 28, AMBER, at="mm", front=True)
    stage.write("stop", 1016, 212, 34, WHITE, at="mm", front=True)


def _rain(stage: Stage) -> None:
    # Three phases that repeat exactly: the encoder finds the pictures among its references.
    drops = [(80 + (n * 211) % 1120, 70 + (n * 137) % 620) for n in range(48)]

    def fall(brush: Brush, t_s: float) -> None:
        phase = round(stage.slow(t_s) * 5) % 3
        for number, (x, y) in enumerate(drops):
            if number % 3 == phase:
                brush.line([(x, y), (x - 5, y + 26)], "#dde8ec", 2)

    stage.move(fall)


def pier(stage: Stage) -> None:
    """The departures board above the quay."""
    pen = stage.pen
    pen.fade_down(0, 470, bands("#8fc3d6", "#dcecee", 7))
    for x, y in ((980, 150), (1120, 90), (1180, 210)):
        pen.oval(x, y, 90, 26, WHITE)
        pen.oval(x + 40, y - 18, 56, 26, WHITE)
    sea(pen, 430)
    ripples(stage, 524, mix(TEAL, WHITE, 0.5), 572)
    pen.box(0, 590, 1280, 130, PLANK)
    for x in range(0, 1280, 80):
        pen.line([(x, 590), (x - 30, 720)], mix(PLANK, INK, 0.25), 3)
    for x in (70, 900):
        pen.box(x, 100, 24, 520, mix(WOOD, INK, 0.3))
    panel(pen, 50, 104, 900, 420, INK)
    stage.write("board", 90, 152, 38, AMBER)
    stage.pen.line([(84, 188), (916, 188)], SLATE, 3)
    for row in range(4):
        y = 232 + 62 * row
        number = row + 1
        stage.write(f"time_{number}", 90, y, 36, AMBER, "mono")
        stage.write(f"to_{number}", 240, y, 36, WHITE)
        stage.write(f"pier_{number}", 740, y, 36, MIST)
    # The chalk mark hides the pier of the boat that does not go.
    with stage.layer(stage.take.text["cancelled"]) as cover:
        cover.box(540, 328, 400, 56, INK)
    stage.write("cancelled", 560, 356, 36, "#ff7a5c")
    stage.write("cash", 90, 486, 30, SAND)
    person(stage, "nora", NORA, Spot(1100, 400, 0.95, front=True))


def ferry(pen: Pen, x: float, y: float) -> None:
    """Draw the ferry; (x, y) is the left end of its water line."""
    pen.shape([(x, y - 84), (x + 500, y - 84), (x + 450, y), (x + 46, y)], CORAL)
    pen.shape([(x + 2, y - 84), (x + 498, y - 84), (x + 488, y - 66), (x + 10, y - 66)], CREAM)
    pen.box(x + 60, y - 160, 330, 78, WHITE, 8)
    for number in range(6):
        pen.box(x + 82 + 50 * number, y - 140, 32, 34, NAVY, 4)
    pen.box(x + 270, y - 222, 110, 64, CREAM, 8)
    pen.box(x + 322, y - 208, 44, 28, NAVY, 4)
    pen.box(x + 130, y - 216, 50, 58, NAVY, 4)
    pen.box(x + 130, y - 204, 50, 14, AMBER)
    pen.line([(x + 470, y - 84), (x + 470, y - 150)], INK, 4)


def crossing(stage: Stage) -> None:
    """The ferry crosses the bay; rocks behind it."""
    pen = stage.pen
    pen.fade_down(0, 400, bands("#7db6d2", "#e3eff0", 8))
    pen.oval(1060, 130, 54, fill="#fff1c9")
    sea(pen, 400)
    for x, w, h in ((110, 90, 44), (240, 120, 66), (390, 80, 36), (500, 140, 58)):
        pen.shape(
            [(x - w / 2, 408), (x - w / 4, 408 - h), (x + w / 8, 408 - h * 0.8), (x + w / 2, 408)],
            SLATE,
        )
    pen.shape([(1080, 404), (1130, 376), (1240, 368), (1280, 380), (1280, 404)], MOSS)
    ripples(stage, 430, mix(TEAL, WHITE, 0.5))

    def draw(canvas: Pen) -> None:
        ferry(canvas, 0, 600)
        canvas.write(250, 560, stage.take.words("hull"), 44, WHITE, at="mm")

    boat = stage.sprite(draw)
    stage.note("hull", 810, 560, 44)

    def sail(brush: Brush, t_s: float) -> None:
        steps = round(t_s * 10)
        boat(brush, min(-420 + 4 * steps, 560), (0, 1, 2, 1)[steps // 5 % 4])

    stage.move(sail)

    def flock(brush: Brush, t_s: float) -> None:
        for number in range(4):
            beat = stage.slow(t_s)
            x = (beat * 40 + number * 170) % 1500 - 100
            gull(brush, x, 150 + 50 * (number % 3), beat * 6 + number)

    stage.move(flock)
    with stage.layer(stage.take.span) as front:
        front.box(0, 606, 1280, 114, mix(TEAL, NAVY, 0.2))
        for x in range(-20, 1300, 64):
            front.oval(x + 32, 610, 36, 12, mix(TEAL, NAVY, 0.2))


def lighthouse(stage: Stage) -> None:
    """Night; the beam goes round, the keeper speaks."""
    pen = stage.pen
    pen.fade_down(0, 560, bands(DEEP, "#2a5573", 7))
    for number in range(26):
        pen.oval((number * 331) % 1270, 20 + (number * 97) % 330, 2, fill=CREAM)
    pen.fade_down(560, 720, bands("#1d4258", DEEP, 4))
    lamp = (330, 190)

    def beam(brush: Brush, t_s: float) -> None:
        # Ten pictures in two seconds are enough for a slow beam, and half the data.
        turn = stage.slow(t_s) * 2 * math.pi / 12
        reach = 4500 * math.cos(turn)
        spread = 24 + 0.06 * abs(reach)
        tip = (lamp[0] + reach, lamp[1] - 0.02 * abs(reach) + 60 * math.sin(turn))
        brush.shape([lamp, (tip[0], tip[1] - spread), (tip[0], tip[1] + spread)], "#ffe9a8", 0.35)
        brush.disc(*lamp, 20 + 10 * max(0.0, math.sin(turn)), "#fff3c4")

    stage.move(beam)
    with stage.layer(stage.take.span) as front:
        front.shape([(60, 640), (150, 560), (330, 540), (520, 566), (640, 640)], INK)
        front.shape([(284, 246), (376, 246), (408, 570), (252, 570)], CREAM)
        for top in (300, 410, 510):
            slope = (top - 246) / 324 * 32
            front.shape(
                [(284 - slope, top), (376 + slope, top), (381 + slope, top + 46),
                 (279 - slope, top + 46)],
                CORAL,
            )  # fmt: skip
        front.box(270, 228, 120, 20, INK, 4)
        front.box(294, 156, 8, 74, INK)
        front.box(358, 156, 8, 74, INK)
        front.slice(330, 160, 50, 180, 360, CORAL)
        front.box(310, 526, 40, 46, NAVY, 14)
        front.box(0, 632, 1280, 88, "#12283a")
    _keeper(stage)


def _keeper(stage: Stage) -> None:
    person_span = stage.take.text["name"]
    person(stage, "tobias", TOBIAS, Spot(1060, 420, 1.05, front=True))
    with stage.layer(person_span) as pen:
        pen.box(560, 586, 400, 104, CREAM, 12)
        pen.box(560, 586, 12, 104, CORAL)
    stage.write("name", 594, 618, 36, INK)
    stage.write("role", 594, 662, 30, SLATE)
    with stage.layer(stage.take.text["fact_1"]) as pen:
        pen.box(484, 330, 440, 212, NAVY, 14, AMBER, 3)
    for number in range(3):
        stage.write(f"fact_{number + 1}", 518, 376 + 60 * number, 34, CREAM)
