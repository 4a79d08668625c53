"""One scene as pictures: what stands still, what appears, what moves; and the frame at a time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from demo.canvas import CREAM, INK, NAVY, Brush, Patch, Pen, Pixels, patch, seen, whole_patch
from demo.screenplay import Span, Take, View

APPEAR_S = 0.3
FADE_IN_S, FADE_OUT_S = 0.3, 0.6
CHAPTER_S = 5.0
Mover = Callable[[Brush, float], None]


@dataclass(frozen=True)
class Layer:
    """A still picture that is there for a while."""

    image: Image.Image
    span: Span


@dataclass(frozen=True)
class Writing:
    """Where and when a key of the screenplay can be read, in 1280x720 units."""

    key: str
    words: str
    span: Span
    x: float
    y: float
    w: float
    size: int


class Stage:
    """Collect the parts of a scene, then render any moment of it."""

    def __init__(self, take: Take, ground: str) -> None:
        self.take = take
        self.pen = Pen(ground)
        self.written: list[Writing] = []
        self._layers: list[Layer] = []
        self._movers: list[Mover] = []
        self._front: list[Mover] = []
        self._cache: dict[tuple[str, int, View], Patch | Pixels | None] = {}

    def write(
        self,
        key: str,
        x: float,
        y: float,
        size: int,
        fill: str = INK,
        style: str = "bold",
        at: str = "lm",
        front: bool = False,
    ) -> None:
        """Write the words of a key where and when the screenplay has them."""
        words, span = self.take.words(key), self.take.text[key]
        w = self.pen.width(words, size, style)
        left = {"l": x, "m": x - w / 2, "r": x - w}[at[0]]
        self.written.append(Writing(key, words, span, left, y, w, size))
        if span == self.take.span and not front:
            self.pen.write(x, y, words, size, fill, style, at)
            return
        with self.layer(span) as pen:
            pen.write(x, y, words, size, fill, style, at)

    def note(self, key: str, x: float, y: float, size: int) -> None:
        """Record a text that a moving thing carries; (x, y) is its middle at rest."""
        w = self.pen.width(self.take.words(key), size)
        span = self.take.text[key]
        self.written.append(Writing(key, self.take.words(key), span, x - w / 2, y, w, size))

    @contextmanager
    def layer(self, span: Span) -> Iterator[Pen]:
        """Draw something that appears and vanishes."""
        pen = Pen()
        yield pen
        self._layers.append(Layer(pen.image, span))

    def move(self, mover: Mover, front: bool = False) -> None:
        """Add something that moves; its time counts from the start of the scene."""
        (self._front if front else self._movers).append(mover)

    def sprite(self, draw: Callable[[Pen], None]) -> Callable[[Brush, int, int], None]:
        """Draw a picture once that is then shifted about by whole units."""
        pen = Pen()
        draw(pen)
        made: dict[View, Patch | None] = {}

        def show(brush: Brush, dx: int, dy: int) -> None:
            if brush.view not in made:
                made[brush.view] = whole_patch(pen.image, brush.view)
            picture, zoom = made[brush.view], brush.view.zoom
            if picture:
                picture.onto(brush.frame, 1.0, round(dx * zoom), round(dy * zoom))

        return show

    def speaking(self, voice: str, t_s: float) -> bool:
        """Return whether a voice is heard at a time of the scene."""
        moment = t_s + self.take.span.start_s
        pairs = zip(self.take.scene.lines, self.take.lines, strict=True)
        return any(span.holds(moment) for line, span in pairs if line.voice == voice)

    @staticmethod
    def slow(t_s: float) -> float:
        """Round the time to steps of 0.2 s: enough for small movements, at half the data."""
        return round(t_s * 10) // 2 / 5

    def since(self, line: int) -> float:
        """Return the scene's time at which a line ends."""
        return self.take.lines[line].end_s - self.take.span.start_s

    def view(self, moment: float) -> View:
        """Find what the camera shows."""
        return [v for v in self.take.views if v.from_s <= moment + 1e-6][-1]

    def add_chapter(self, number: int) -> None:
        """Show the scene's name in the corner for a few seconds."""
        name, start = self.take.scene.chapter, self.take.span.start_s
        if name is None:
            return
        with self.layer(Span(start, start + CHAPTER_S)) as pen:
            w = pen.width(name, 30) + 108
            pen.box(36, 32, w, 60, NAVY, 30)
            pen.oval(66, 62, 23, fill=CREAM)
            pen.write(66, 62, str(number), 28, NAVY, at="mm")
            pen.write(104, 62, name, 30, CREAM)

    def check(self) -> None:
        """Check that every text of the screenplay was drawn, inside the picture.

        Raises:
            ValueError: for a text that was forgotten or does not fit.
        """
        missing = set(self.take.text) - {writing.key for writing in self.written}
        outside = [w.key for w in self.written if w.x < 8 or w.x + w.w > 1272]
        small = [w.key for w in self.written if w.size < 28]
        if missing or outside or small:
            scene = self.take.scene.id
            raise ValueError(f"{scene}: {missing=} {outside=} {small=} texts; mend the drawing.")

    def render(self, moment: float) -> Pixels:
        """Draw the frame at a time of the video."""
        view = replace(self.view(moment), from_s=0.0)
        opacities = tuple(self._opacity(layer.span, moment) for layer in self._layers)
        t_s = moment - self.take.span.start_s
        frame = self._ground(view).copy()
        brush = Brush(frame, view)
        for mover in self._movers:
            mover(brush, t_s)
        for number, opacity in enumerate(opacities):
            self._lay(frame, number, opacity, view)
        for mover in self._front:
            mover(brush, t_s)
        return self._dimmed(frame, moment)

    def _opacity(self, span: Span, moment: float) -> float:
        if not span.holds(moment):
            return 0.0
        late = span.end_s < self.take.span.end_s - 1e-6
        leaving = (span.end_s - moment) / APPEAR_S if late else 1.0
        arriving = (moment - span.start_s) / APPEAR_S
        if span.start_s <= self.take.span.start_s:
            arriving = 1.0
        return float(np.clip(min(arriving, leaving), 0, 1))

    def _ground(self, view: View) -> Pixels:
        key = ("ground", 0, view)
        if key not in self._cache:
            self._cache[key] = np.asarray(seen(self.pen.image.convert("RGB"), view)).copy()
        ground = self._cache[key]
        assert isinstance(ground, np.ndarray)
        return ground

    def _lay(self, frame: Pixels, number: int, opacity: float, view: View) -> None:
        if opacity == 0:
            return
        key = ("layer", number, view)
        if key not in self._cache:
            self._cache[key] = patch(self._layers[number].image, view)
        picture = self._cache[key]
        if isinstance(picture, Patch):
            picture.onto(frame, opacity)

    def _dimmed(self, frame: Pixels, moment: float) -> Pixels:
        if not self.take.scene.fade:
            return frame
        arriving = (moment - self.take.span.start_s) / FADE_IN_S
        light = max(0.0, min(arriving, (self.take.span.end_s - moment) / FADE_OUT_S))
        return frame if light >= 1 else (frame * light).astype(np.uint8)
