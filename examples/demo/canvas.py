"""What the scenes draw with: a pen for still things, a brush for moving ones, and the palette.

Still things are drawn at twice the size, so that edges are smooth and a close-up stays sharp.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from demo.screenplay import HEIGHT, WIDTH, View

try:
    import matplotlib
except ImportError as missing:
    raise SystemExit(
        "Matplotlib was not found; its DejaVu fonts write the text. Install it (pip install "
        "matplotlib). It is needed only to rebuild tour.mp4."
    ) from missing

FINE = 2
Pixels = npt.NDArray[np.uint8]
Points = Sequence[tuple[float, float]]
FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"

INK = "#17222b"
NAVY = "#16395a"
DEEP = "#0d2438"
TEAL = "#23757d"
MIST = "#cfe0e2"
SKY = "#a9cfd8"
CREAM = "#fbf5e6"
SAND = "#ecdcbc"
CORAL = "#dd5a3c"
AMBER = "#f0b03c"
WOOD = "#8a5a3a"
PLANK = "#b98556"
STONE = "#8d9499"
SLATE = "#4d5f69"
MOSS = "#6f8f5a"
WHITE = "#ffffff"
SKIN = "#e8b48f"


@cache
def font(size: int, style: str = "bold") -> ImageFont.FreeTypeFont:
    """Load a DejaVu font at the fine scale; Matplotlib ships the files."""
    names = {
        "bold": "DejaVuSans-Bold.ttf",
        "plain": "DejaVuSans.ttf",
        "serif": "DejaVuSerif-Bold.ttf",
        "hand": "DejaVuSerif-Italic.ttf",
        "mono": "DejaVuSansMono-Bold.ttf",
    }
    return ImageFont.truetype(str(FONTS / names[style]), size * FINE)


class Pen:
    """Draw still shapes, in units of the 1280x720 picture."""

    def __init__(self, ground: str | None = None) -> None:
        size = (WIDTH * FINE, HEIGHT * FINE)
        self.image = Image.new("RGBA", size, ground or (0, 0, 0, 0))
        self._draw = ImageDraw.Draw(self.image)

    def box(
        self,
        x: float,
        y: float,
        w: float,
        h: float,
        fill: str | None,
        round_: float = 0,
        edge: str | None = None,
        thick: float = 3,
    ) -> None:
        """Draw a rectangle from its top left corner."""
        area = [x * FINE, y * FINE, (x + w) * FINE - 1, (y + h) * FINE - 1]
        self._draw.rounded_rectangle(area, round_ * FINE, fill, edge, int(thick * FINE))

    def oval(
        self,
        x: float,
        y: float,
        rx: float,
        ry: float | None = None,
        fill: str | None = None,
        edge: str | None = None,
        thick: float = 3,
    ) -> None:
        """Draw an ellipse around its centre."""
        ry = rx if ry is None else ry
        area = [(x - rx) * FINE, (y - ry) * FINE, (x + rx) * FINE, (y + ry) * FINE]
        self._draw.ellipse(area, fill, edge, int(thick * FINE))

    def slice(self, x: float, y: float, r: float, start: float, end: float, fill: str) -> None:
        """Draw a sector of a disc; degrees clockwise from the right."""
        area = [(x - r) * FINE, (y - r) * FINE, (x + r) * FINE, (y + r) * FINE]
        self._draw.pieslice(area, start, end, fill)

    def shape(self, points: Points, fill: str) -> None:
        """Draw a filled polygon."""
        self._draw.polygon([(x * FINE, y * FINE) for x, y in points], fill)

    def line(self, points: Points, fill: str, thick: float = 3) -> None:
        """Draw a bent line with round joints and ends."""
        fine = [(x * FINE, y * FINE) for x, y in points]
        self._draw.line(fine, fill, int(thick * FINE), joint="curve")
        r = thick / 2
        for x, y in (points[0], points[-1]):
            if thick >= 4:
                self.oval(x, y, r - 0.25, fill=fill)

    def glaze(self, points: Points, fill: str) -> None:
        """Draw a translucent polygon; fill = #rrggbbaa."""
        over = Image.new("RGBA", self.image.size, (0, 0, 0, 0))
        spots = [(x * FINE, y * FINE) for x, y in points]
        ImageDraw.Draw(over).polygon(spots, fill)
        self.image.alpha_composite(over)

    def write(
        self,
        x: float,
        y: float,
        words: str,
        size: int,
        fill: str = INK,
        style: str = "bold",
        at: str = "lm",
    ) -> None:
        """Write one line; at = anchor, l m r for across and m for the middle height."""
        self._draw.text((x * FINE, y * FINE), words, fill, font(size, style), at)

    def width(self, words: str, size: int, style: str = "bold") -> float:
        """Measure a line of text."""
        return font(size, style).getlength(words) / FINE

    def fade_down(self, top: float, bottom: float, shades: Sequence[str]) -> None:
        """Fill the width with flat bands: they compress better than a smooth run of colours."""
        step = (bottom - top) / len(shades)
        for number, shade in enumerate(shades):
            self.box(0, top + number * step, WIDTH, step + 1, shade)


def mix(one: str, other: str, share: float) -> str:
    """Blend two colours; share 0 gives the first."""
    pair = zip(rgb(one), rgb(other), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pair)


def bands(top: str, bottom: str, count: int) -> list[str]:
    """Return the shades from one colour to another."""
    return [mix(top, bottom, n / (count - 1)) for n in range(count)]


def rgb(colour: str) -> tuple[int, int, int]:
    """Read a colour."""
    red, green, blue = bytes.fromhex(colour[1:])
    return red, green, blue


@dataclass(frozen=True)
class Patch:
    """A picture with transparency and its position, in pixels of the finished frame."""

    pixels: npt.NDArray[np.float32]
    alpha: npt.NDArray[np.float32]
    x: int
    y: int

    def onto(self, frame: Pixels, opacity: float = 1.0, dx: int = 0, dy: int = 0) -> None:
        """Lay the picture over a frame, cut off at its borders."""
        x, y = self.x + dx, self.y + dy
        h, w = self.alpha.shape[:2]
        left, top = max(x, 0), max(y, 0)
        right, bottom = min(x + w, WIDTH), min(y + h, HEIGHT)
        if left >= right or top >= bottom:
            return
        cut = (slice(top - y, bottom - y), slice(left - x, right - x))
        under = frame[top:bottom, left:right]
        alpha = self.alpha[cut] * opacity
        mixed = self.pixels[cut] * alpha + under * (1 - alpha) + 0.5
        frame[top:bottom, left:right] = mixed.astype(np.uint8)


def seen(image: Image.Image, view: View) -> Image.Image:
    """Scale what a view shows of a fine picture to the size of the frame."""
    half_w, half_h = WIDTH / 2 / view.zoom, HEIGHT / 2 / view.zoom
    edges = (view.x - half_w, view.y - half_h, view.x + half_w, view.y + half_h)
    left, top, right, bottom = (edge * FINE for edge in edges)
    return image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS, (left, top, right, bottom))


def whole_patch(image: Image.Image, view: View) -> Patch | None:
    """Cut the drawn part out of a picture at a view's scale, also what lies outside the view."""
    area = image.getchannel("A").getbbox()
    if area is None:
        return None
    left, top, right, bottom = area
    scale = view.zoom / FINE
    size = (max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale)))
    small = image.convert("RGBa").crop(area).resize(size, Image.Resampling.LANCZOS)
    x = (left / FINE - view.x) * view.zoom + WIDTH / 2
    y = (top / FINE - view.y) * view.zoom + HEIGHT / 2
    return _solid(small, round(x), round(y))


def patch(image: Image.Image, view: View) -> Patch | None:
    """Cut the drawn part out of a picture with transparency, as a view shows it."""
    shown = seen(image.convert("RGBa"), view)
    area = shown.getchannel("a").getbbox()
    if area is None:
        return None
    return _solid(shown.crop(area), area[0], area[1])


def _solid(image: Image.Image, x: int, y: int) -> Patch:
    values = np.asarray(image, np.float32)
    alpha = values[..., 3:] / 255
    pixels = values[..., :3] / np.maximum(alpha, 1 / 255)
    return Patch(np.minimum(pixels, 255), alpha, x, y)


class Brush:
    """Draw moving shapes on one frame, in units of the 1280x720 picture, as a view shows them."""

    def __init__(self, frame: Pixels, view: View) -> None:
        self.frame = frame
        self.view = view

    def _place(self, points: Points) -> npt.NDArray[np.int32]:
        middle = np.array([self.view.x, self.view.y])
        spot = (np.array(points, float) - middle) * self.view.zoom + [WIDTH / 2, HEIGHT / 2]
        return np.round(spot * 16).astype(np.int32)

    def shape(self, points: Points, fill: str, opacity: float = 1.0) -> None:
        """Draw a filled polygon."""
        import cv2

        spots = [self._place(points)]
        if opacity == 1:
            cv2.fillPoly(self.frame, spots, rgb(fill), cv2.LINE_AA, 4)
            return
        over = self.frame.copy()
        cv2.fillPoly(over, spots, rgb(fill), cv2.LINE_AA, 4)
        cv2.addWeighted(over, opacity, self.frame, 1 - opacity, 0, self.frame)

    def line(self, points: Points, fill: str, thick: float = 3) -> None:
        """Draw a bent line."""
        import cv2

        wide = max(1, round(thick * self.view.zoom))
        cv2.polylines(self.frame, [self._place(points)], False, rgb(fill), wide, cv2.LINE_AA, 4)

    def disc(self, x: float, y: float, r: float, fill: str) -> None:
        """Draw a filled circle."""
        import cv2

        spot = self._place([(x, y)])[0]
        radius = round(r * self.view.zoom * 16)
        centre = (int(spot[0]), int(spot[1]))
        cv2.circle(self.frame, centre, radius, rgb(fill), -1, cv2.LINE_AA, 4)
