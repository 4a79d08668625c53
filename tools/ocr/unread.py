"""Notice text that the recogniser cannot read, because it does not know its script.

Of a line in Cyrillic, Arabic, Korean or Devanagari it returns the digits and little else: far fewer
characters than the line is long.
"""

from collections.abc import Sequence

from tools.ocr.change_reader import Piece

LONG = 3.0  # widths of a line over its height; a shorter one may be a mark or a single letter
# Characters in a stretch as long as the line is high. Latin and Chinese lines have 1 to 2.
TOO_FEW = 0.5


class Unread:
    """The pictures with text that is not read.

    Attributes:
        times_s: When each of them appeared.
    """

    def __init__(self) -> None:
        self.times_s: list[float] = []

    def look(self, pieces: Sequence[Piece], time_s: float) -> None:
        """Count a picture if one of the texts in it is not read."""
        if any(is_unread(piece) for piece in pieces):
            self.times_s.append(time_s)

    def note(self, languages: Sequence[str]) -> str:
        """Return a sentence for the channel report; "" if all was read.

        Args:
            languages: Which the option `language` knows.
        """
        if not self.times_s:
            return ""
        number = len(self.times_s)
        return (
            f"{number} picture{'s hold' if number > 1 else ' holds'} text that is not read, the "
            f"first at {self.times_s[0]:g} s, perhaps in another script: --set "
            f"ocr.engine=paddleocr --set ocr.language=NAME reads one of {', '.join(languages)}"
        )


def is_unread(piece: Piece) -> bool:
    """Return whether far fewer characters were read than the place of a text is long."""
    width = piece.rect.right - piece.rect.left
    height = piece.rect.bottom - piece.rect.top
    characters = sum(not one.isspace() for one in piece.reading.text)
    return width >= LONG * height > 0 and characters < TOO_FEW * width / height
