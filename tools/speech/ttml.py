"""TTML and DFXP, the XML subtitles of broadcasters and streaming services, to cues.

Times follow W3C TTML2, section 12.3.1: clock times, with frames or a fraction, and offsets with a
unit; a time counts from that of the element around it.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from tools.speech.cue_text import INVISIBLE
from tools.speech.cues import Cue

_CLOCK = re.compile(r"(\d{2,}):(\d{2}):(\d{2})(?:(\.\d+)|:(\d{2,}))?$")
_OFFSET = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s|f|t)$")
USUAL_RATE = 30  # frames per second where the document says none, by the standard
READINGS = {"text", "delimiter", "textContainer"}  # of ruby: how the base is read


class _Clock(NamedTuple):
    """Frames and ticks per second."""

    frames: float
    ticks: float


def read_ttml(text: str) -> tuple[list[Cue], int]:
    """Return the cues of a document, and how many have times that make no sense.

    A document with its own entities is not read: they may unfold without end.
    """
    if "<!ENTITY" in text:
        return [], 0
    try:
        root = ElementTree.fromstring(text.lstrip("\ufeff \n").encode())
    except ElementTree.ParseError:
        return [], 0
    attributes = {_plain(name): value for name, value in root.attrib.items()}
    numerator, denominator = map(float, attributes.get("frameRateMultiplier", "1 1").split())
    frames = float(attributes.get("frameRate", USUAL_RATE)) * numerator / denominator
    clock = _Clock(frames, float(attributes.get("tickRate", 0)) or frames)
    found = list(_cues(root, 0.0, None, clock))
    cues = [cue for cue in found if cue is not None]
    return cues, len(found) - len(cues)


def _cues(
    element: Element, start_s: float, end_s: float | None, clock: _Clock
) -> Iterator[Cue | None]:
    """Yield the cue of each paragraph, None for one without valid times."""
    try:
        if "begin" in element.attrib:
            start_s, end_s = start_s + _seconds(element.attrib["begin"], clock), None
        if "end" in element.attrib:
            around_s = start_s - _seconds(element.attrib.get("begin", "0s"), clock)
            end_s = around_s + _seconds(element.attrib["end"], clock)
        elif "dur" in element.attrib:
            end_s = start_s + _seconds(element.attrib["dur"], clock)
    except ValueError:
        yield None
        return
    timed_inside = any("begin" in one.attrib for one in element.iter() if one is not element)
    if timed_inside or _plain(element.tag) not in ("p", "span"):
        for child in element:
            yield from _cues(child, start_s, end_s, clock)
    elif lines := _lines(element):
        yield Cue(start_s, end_s, lines) if end_s is not None else None


def _lines(element: Element) -> tuple[str, ...]:
    lines = (" ".join(line.split()) for line in _text(element).translate(INVISIBLE).split("\v"))
    return tuple(line for line in lines if line)


def _text(element: Element) -> str:
    """Return the text; a vertical tab stands for a line break, for others are just space."""
    if any(_plain(k) == "ruby" and v in READINGS for k, v in element.attrib.items()):
        return ""
    if _plain(element.tag) == "br":
        return "\v"
    if _plain(element.tag) == "metadata":
        return ""
    parts = [element.text or ""]
    for child in element:
        parts += [_text(child), child.tail or ""]
    return "".join(parts)


def _seconds(time: str, clock: _Clock) -> float:
    if match := _CLOCK.match(time.strip()):
        hours, minutes, seconds, fraction, frames = match.groups()
        whole = 3600 * int(hours) + 60 * int(minutes) + int(seconds)
        return whole + float(fraction or 0) + int(frames or 0) / clock.frames
    if match := _OFFSET.match(time.strip()):
        units = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
        units |= {"f": 1 / clock.frames, "t": 1 / clock.ticks}
        return float(match[1]) * units[match[2]]
    raise ValueError(f"{time!r} is no time")


def _plain(name: str) -> str:
    """Return a name without its namespace."""
    return name.rpartition("}")[2]
