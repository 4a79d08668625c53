"""Find where a picture holds detail that it loses when it is downscaled, such as small letters."""

import numpy as np
import numpy.typing as npt

from tools.media.video import RGBImage, fit

CELL = 16  # px
LOST = 8.0  # of 255: a smaller loss is noise
# Share of the detail of a cell that is lost. Of text that is seen 7 px high 0.7 is lost, at 10 px
# 0.6, at 14 px 0.4 to 0.5, at 20 px 0.3 to 0.4, at 60 px below 0.3, whatever the contrast.
SHARE = 0.5

Luma = npt.NDArray[np.uint8]  # [height, width]
Cells = npt.NDArray[np.uint8]  # [height / CELL, width / CELL], 0 or 1


def fine_cells(luma: Luma, scale: float, ignored: Luma | None = None) -> Cells:
    """Return the cells with detail that a picture loses at a scale, in runs as words make.

    Args:
        luma: The picture.
        scale: At which it would be seen, below 1.
        ignored: Where this is not 0, detail does not count.
    """
    import cv2

    height, width = luma.shape
    seen = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(luma, seen, interpolation=cv2.INTER_AREA)
    lost = cv2.absdiff(luma, cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR))
    if ignored is not None:
        lost[ignored != 0] = 0
    detail = cv2.absdiff(luma, cv2.blur(luma, (2 * CELL + 1, 2 * CELL + 1)))
    cells = (-(-width // CELL), -(-height // CELL))
    gone, there = (
        cv2.resize(one.astype(np.float32), cells, interpolation=cv2.INTER_AREA)
        for one in (lost, detail)
    )
    fine = ((gone > LOST) & (gone > SHARE * there)).astype(np.uint8)
    return np.asarray(cv2.morphologyEx(fine, cv2.MORPH_OPEN, np.ones((1, 2), np.uint8)))


def loses_detail(image: RGBImage, scale: float) -> bool:
    """Return whether a picture, downscaled, may lose letters that can be read in it."""
    import cv2

    return bool(fine_cells(np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)), scale).any())


def shrunk(image: RGBImage, max_side: int | None) -> RGBImage:
    """Return a picture with no side above `max_side` pixels; itself if it is small enough."""
    import cv2

    height, width = image.shape[:2]
    if max_side is None or max(width, height) <= max_side:
        return image
    size = fit(width, height, max_side)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))
