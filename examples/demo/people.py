"""The people of the tour, drawn from a few shapes; they move their lips when they speak."""

from dataclasses import dataclass

from demo.canvas import AMBER, CREAM, INK, NAVY, SKIN, SLATE, TEAL, WHITE, Brush, Pen, mix
from demo.stage import Stage


@dataclass(frozen=True)
class Look:
    """How a person is dressed."""

    coat: str
    hair: str
    skin: str = SKIN
    hat: str | None = None
    beard: bool = False
    long_hair: bool = False


NORA = Look(coat=TEAL, hair="#6b3b22", long_hair=True)
TOBIAS = Look(coat=NAVY, hair="#d9d6cf", hat="cap", beard=True)
ODILE = Look(coat=WHITE, hair="#2b2320", skin="#b98263", hat="toque", long_hair=True)


@dataclass(frozen=True)
class Spot:
    """Where a person stands: the chin's place, the scale, and whether before everything."""

    x: float
    y: float
    size: float = 1.0
    front: bool = False


def person(stage: Stage, voice: str, look: Look, spot: Spot) -> None:
    """Stand somebody somewhere; voice is whose lines move the mouth."""
    x, y, size = spot.x, spot.y, spot.size
    if spot.front:
        with stage.layer(stage.take.span) as pen:
            _body(pen, look, x, y, size)
            _head(pen, look, x, y, size)
    else:
        _body(stage.pen, look, x, y, size)
        _head(stage.pen, look, x, y, size)

    def face(brush: Brush, t_s: float) -> None:
        _mouth(brush, look, x, y, size, stage.speaking(voice, t_s), t_s)
        _eyes(brush, look, x, y, size, t_s)

    stage.move(face, spot.front)


def _body(pen: Pen, look: Look, x: float, y: float, s: float) -> None:
    shade = mix(look.coat, INK, 0.22)
    if look.long_hair:
        pen.box(x - 56 * s, y - 90 * s, 112 * s, 110 * s, look.hair, 40 * s)
    pen.box(x - 19 * s, y - 20 * s, 38 * s, 52 * s, mix(look.skin, INK, 0.15), 12 * s)
    pen.box(x - 100 * s, y + 24 * s, 200 * s, 800, look.coat, 56 * s)
    pen.shape([(x - 34 * s, y + 24 * s), (x + 34 * s, y + 24 * s), (x, y + 92 * s)], CREAM)
    for side in (-1, 1):
        pen.shape(
            [
                (x + side * 36 * s, y + 22 * s),
                (x + side * 62 * s, y + 34 * s),
                (x, y + 130 * s),
                (x, y + 92 * s),
            ],
            shade,
        )
        pen.line([(x + side * 66 * s, y + 150 * s), (x + side * 66 * s, 720)], shade, 4 * s)
    pen.line([(x, y + 130 * s), (x, 720)], shade, 4 * s)


def _head(pen: Pen, look: Look, x: float, y: float, s: float) -> None:
    pen.oval(x, y - 54 * s, 48 * s, 58 * s, look.skin)
    for side in (-1, 1):
        pen.oval(x + side * 47 * s, y - 50 * s, 9 * s, 13 * s, look.skin)
    if look.beard:
        pen.slice(x, y - 36 * s, 50 * s, 0, 180, look.hair)
        pen.oval(x, y - 30 * s, 20 * s, 9 * s, mix(look.skin, look.hair, 0.3))
    if look.hat == "cap":
        pen.slice(x, y - 84 * s, 50 * s, 180, 360, NAVY)
        pen.box(x - 54 * s, y - 92 * s, 108 * s, 14 * s, INK, 7 * s)
        pen.oval(x, y - 108 * s, 9 * s, fill=AMBER)
    elif look.hat == "toque":
        pen.slice(x, y - 74 * s, 50 * s, 180, 360, look.hair)
        pen.box(x - 44 * s, y - 130 * s, 88 * s, 46 * s, WHITE, 6 * s)
        for bump in (-32, 0, 32):
            pen.oval(x + bump * s, y - 138 * s, 27 * s, fill=WHITE)
        pen.line([(x - 44 * s, y - 92 * s), (x + 44 * s, y - 92 * s)], mix(WHITE, SLATE, 0.3), 3)
    else:
        pen.slice(x, y - 68 * s, 53 * s, 178, 362, look.hair)
        pen.oval(x + 18 * s, y - 88 * s, 36 * s, 22 * s, look.hair)


def _eyes(brush: Brush, look: Look, x: float, y: float, s: float, t_s: float) -> None:
    blink = t_s % 4.3 < 0.15
    for side in (-1, 1):
        eye = (x + side * 18 * s, y - 54 * s)
        if blink:
            brush.line([(eye[0] - 5 * s, eye[1]), (eye[0] + 5 * s, eye[1])], INK, 3 * s)
        else:
            brush.disc(*eye, 4.6 * s, INK)


def _mouth(
    brush: Brush, look: Look, x: float, y: float, s: float, speaks: bool, t_s: float
) -> None:
    if speaks and int(t_s * 3.4) % 2:
        brush.disc(x, y - 26 * s, 7 * s, "#8c3b33")
    else:
        smile = [(x - 13 * s, y - 28 * s), (x, y - 23 * s), (x + 13 * s, y - 28 * s)]
        brush.line(smile, "#8c3b33", 4 * s)


def badge(stage: Stage, key: str, x: float, y: float) -> None:
    """Pin a name on a coat."""
    w = stage.pen.width(stage.take.words(key), 28) + 28
    stage.pen.box(x - w / 2, y - 24, w, 48, CREAM, 8, INK, 2)
    stage.write(key, x, y, 28, INK, at="mm")
