"""What reads text in a picture: the interface of an engine, and the pictures it is given."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

BGRImage = npt.NDArray[np.uint8]  # [height, width, 3]
Corners = npt.NDArray[np.int_]  # [4, 2], x and y in pixels


@dataclass(frozen=True, slots=True)
class Reading:
    """The text recognised in one crop, and the confidence, 0 to 1."""

    text: str
    confidence: float


class OcrEngine(Protocol):
    """A text detector and a text recogniser."""

    def detect(self, picture: BGRImage, max_side: int) -> list[Corners]:
        """Return where there is text, after downscaling to `max_side` pixels."""

    def recognise(self, picture: BGRImage, places: Sequence[Corners]) -> list[Reading]:
        """Return the text at the places, in their order."""

    @property
    def memory_bytes(self) -> int:
        """Bytes of the weights of both."""
