"""Frame statistics: brightness, motion, colours, and near-duplicate detection."""

from functools import cache

import numpy as np
import numpy.typing as npt

from tools.media.video import RGBImage, fit

Luma = npt.NDArray[np.uint8]  # [height, width]

COLOUR_NAMES = (
    "black",
    "grey",
    "white",
    "red",
    "orange",
    "yellow",
    "green",
    "cyan",
    "blue",
    "purple",
    "pink",
    "brown",
)

# Pictures are compared at this size, small enough to be cheap and to average noise away, large
# enough to keep a digit of 24 px on a 720p slide (7 px then); larger ones at half their size.
COMPARED_SIDE = 640
BLOCK = 4  # px at that size

# Largest mean luma difference in any block (0 to 255) that still counts as the same picture.
# Measured on synthetic slides (H.264, 1280x720, 10 fps, CRF 18-33, black, grey and faint text,
# light and dark): the same slide at most 15.3; one digit of 24 px changed at least 28, a point
# to a comma at least 19. Static scenes with sensor noise of sigma 15: at most 11.4. Neighbouring
# samples of three real clips with motion: at least 107. Below 640 px of width a comma is missed.
SAME_BELOW = 17.0

COLOURED_SIDE = 96  # px; colours are counted on a small picture
DARK, BRIGHT, PALE = 50, 190, 45  # of 255: value below is black, above is white; saturation
# Upper ends of the hue ranges in OpenCV's half degrees (0-179), and what they are called.
HUES = (
    (8, "red"),
    (21, "orange"),
    (33, "yellow"),
    (82, "green"),
    (98, "cyan"),
    (130, "blue"),
    (150, "purple"),
    (171, "pink"),
    (179, "red"),
)
BROWN_BELOW = 165  # value under which dark orange is called brown
PINK_ABOVE, PINK_PALE = 170, 130  # value above and saturation below which red is called pink


def compared_luma(image: RGBImage, size: tuple[int, int] | None = None) -> Luma:
    """Return the luma of a picture, reduced for comparison.

    Args:
        image: RGB picture.
        size: Width and height to reduce to; if left out, no side exceeds 640 px or half its length.
    """
    import cv2

    luma = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    height, width = luma.shape
    target = size or fit(width, height, max(COMPARED_SIDE, max(width, height) // 2))
    if target == (width, height):
        return np.asarray(luma)
    return np.asarray(cv2.resize(luma, target, interpolation=cv2.INTER_AREA))


def show_the_same(luma: Luma, other: Luma) -> bool:
    """Whether two reduced pictures differ by no more than noise, in every small block."""
    import cv2

    difference = cv2.absdiff(luma, other).astype(np.float32)
    return float(cv2.blur(difference, (BLOCK, BLOCK)).max()) < SAME_BELOW


def brightness(luma: Luma) -> float:
    """Return the mean luma, 0 to 1."""
    return float(luma.mean()) / 255


def motion(luma: Luma, previous: Luma) -> float:
    """Return the mean absolute luma difference, 0 to 1."""
    import cv2

    return float(cv2.absdiff(luma, previous).mean()) / 255


def colour_shares(image: RGBImage) -> tuple[float, ...]:
    """Return the share of each of COLOUR_NAMES; they sum to 1."""
    import cv2

    height, width = image.shape[:2]
    small = cv2.resize(image, fit(width, height, COLOURED_SIDE), interpolation=cv2.INTER_AREA)
    hue, saturation, value = np.moveaxis(cv2.cvtColor(small, cv2.COLOR_RGB2HSV), 2, 0)
    names = _hue_names()[hue]
    number = {name: position for position, name in enumerate(COLOUR_NAMES)}
    red, orange = names == number["red"], names == number["orange"]
    names[orange & (value < BROWN_BELOW)] = number["brown"]
    names[red & (value > PINK_ABOVE) & (saturation < PINK_PALE)] = number["pink"]
    pale = saturation < PALE
    names[pale] = number["grey"]
    names[pale & (value > BRIGHT)] = number["white"]
    names[value < DARK] = number["black"]
    counts = np.bincount(names.ravel(), minlength=len(COLOUR_NAMES))
    return tuple((counts / names.size).tolist())


@cache
def _hue_names() -> npt.NDArray[np.intp]:
    """Return the position in COLOUR_NAMES for each hue, [256]."""
    ends = [end for end, _ in HUES]
    names = np.array([COLOUR_NAMES.index(name) for _, name in HUES])
    return names[np.searchsorted(ends, np.arange(256).clip(max=ends[-1]))]
