"""The words of a cue: markup, drawings and readings above characters are not spoken."""

import html
import re
from collections.abc import Sequence

SIGNS = 0.8  # share of placed dialogues from which ASS subtitles translate signs alone
INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200e\u200f\u202a\u202b\u202c\u2060\ufeff"))

# Only tags that subtitle formats know: "a < b and c > d" is text.
_NAMES = "b|i|u|s|br|c|em|font|lang|p|rp|rt|ruby|small|span|strike|strong|tt|v"
_TAG = re.compile(rf"</?(?:{_NAMES})(?:[\s.][^<>]*)?/?>", re.IGNORECASE)
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_READING = re.compile(r"<(rt|rp)(?:\s[^<>]*)?>.*?(?:</\1>|(?=</ruby>)|$)", re.I | re.S)
_WORD_TIME = re.compile(r"<(?:\d+:)?\d{1,2}:\d{2}[.,]\d{1,3}>")
_OVERRIDE = re.compile(r"\{\\[^{}]*\}")
_BLOCK = re.compile(r"\{([^{}]*)\}")
_PLACED = re.compile(r"\\(?:pos|move|org|clip)\(")
_DRAWING = re.compile(r"\\p(\d+)")


def plain_lines(marked: str) -> tuple[str, ...]:
    """Return the lines of an SRT or WebVTT cue without tags, readings or invisible characters."""
    text = _READING.sub("", _WORD_TIME.sub("", _OVERRIDE.sub("", marked)))
    text = _TAG.sub("", _BREAK.sub("\n", text.replace("\\N", "\n")))
    text = html.unescape(text).translate(INVISIBLE)
    lines = (" ".join(line.split()) for line in text.split("\n"))
    return tuple(line for line in lines if line)


def ass_lines(dialogue: str) -> tuple[str, ...]:
    r"""Return the lines of an ASS dialogue without override tags and drawing commands.

    >>> ass_lines(r"{\p1}m 0 0 l 9 0 9 9{\p0}Hello\N{\i1}you")
    ('Hello', 'you')
    """
    parts, drawing, end = [], False, 0
    for block in _BLOCK.finditer(dialogue):
        parts.append("" if drawing else dialogue[end : block.start()])
        for level in _DRAWING.findall(block[1]):
            drawing = int(level) > 0
        end = block.end()
    parts.append("" if drawing else dialogue[end:])
    text = "".join(parts).replace("\\n", "\n").replace("\\h", " ")
    return plain_lines(text)


def mostly_placed(dialogues: Sequence[str]) -> bool:
    """Whether most ASS dialogues are placed on the picture: signs translated, not speech."""
    placed = sum(bool(_PLACED.search(text)) for text in dialogues)
    return bool(dialogues) and placed >= SIGNS * len(dialogues)
