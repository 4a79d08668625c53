"""Show a stored picture as a player does: turned, and mirrored where the file says so.

A phone stores what its sensor sees and says how to show it (ISO 14496-12, the matrix of the track
header): turned by quarters, and mirrored for a front camera.
"""

import struct
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame

Pixel = TypeVar("Pixel", bound=np.generic)


@dataclass(frozen=True, slots=True)
class Orientation:
    """How a stored picture becomes the one on screen.

    Attributes:
        flipped: Whether it is first flipped upside down; with a turn of 180 degrees that mirrors
            left and right.
        rotation: Degrees clockwise by which it is then turned: 0, 90, 180, 270.
    """

    rotation: int = 0
    flipped: bool = False

    def apply(self, stored: npt.NDArray[Pixel]) -> npt.NDArray[Pixel]:
        """Return a stored picture [height, width, ...] as a player shows it, as a view."""
        return np.rot90(stored[::-1] if self.flipped else stored, -self.rotation // 90)


def orientation_of(frame: VideoFrame) -> Orientation:
    """Return how a player shows a decoded frame; angles between quarters are rounded to them."""
    notes: Any = frame.side_data  # its type omits the matrix
    if Type.DISPLAYMATRIX not in notes:
        return Orientation()
    a, b, _, c, d = struct.unpack_from("=5i", bytes(notes[Type.DISPLAYMATRIX]))
    return Orientation(round(-frame.rotation / 90) * 90 % 360, a * d < b * c)
