"""How many tokens a picture costs in LLaVA-NeXT and LLaVA-OneVision, before it is sent.

Both shrink a picture into the best of several canvases, cut that into tiles, encode each, drop
the tokens of the padding, and add one newline token a row; a small version of the whole picture
comes first.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Canvas:
    """A size in pixels into which a picture is fitted."""

    height: int
    width: int


def best_canvas(width: int, height: int, canvases: Iterable[Canvas]) -> Canvas:
    """Return the canvas that keeps most of a picture's pixels, and of these the smallest."""

    def merit(canvas: Canvas) -> tuple[int, int]:
        scale = min(canvas.width / width, canvas.height / height)
        kept = min(int(width * scale) * int(height * scale), width * height)
        return kept, kept - canvas.width * canvas.height

    return max(canvases, key=merit)


def anyres_tokens(config: Any, width: int, height: int) -> int:
    """Return the number of tokens of one picture.

    Args:
        config: Configuration of a LLaVA-NeXT or LLaVA-OneVision checkpoint.
        width: Of the picture, in pixels.
        height: Of the picture, in pixels.
    """
    side = config.vision_config.image_size
    patches = side // config.vision_config.patch_size
    pinpoints = [Canvas(*pinpoint) for pinpoint in config.image_grid_pinpoints]
    canvas = best_canvas(width, height, pinpoints)
    rows, columns = canvas.height // side * patches, canvas.width // side * patches
    if width / height > columns / rows:
        rows = _unpadded(rows, height * columns / width)
    else:
        columns = _unpadded(columns, width * rows / height)
    if most := _most_tiles(config):
        ratio = math.sqrt(rows * columns / (most * patches**2))
        if ratio > 1.1:  # LLaVA-OneVision scales features down that are more than so many tiles
            rows, columns = int(rows // ratio), int(columns // ratio)
    tokens: int = patches**2 + rows * (columns + 1)
    return tokens


def _unpadded(length: int, used: float) -> int:
    """Return what is left of a side after the padding of half the rest at either end."""
    return length - (length - int(round(used, 7))) // 2 * 2


def _most_tiles(config: Any) -> int | None:
    """Return 9 for LLaVA-OneVision's "anyres_max_9"."""
    name: str = getattr(config, "vision_aspect_ratio", "")
    return int(name.removeprefix("anyres_max_")) if name.startswith("anyres_max_") else None
