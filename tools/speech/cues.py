"""Subtitle text to cues: decode, parse and clean up, the first half of the subtitles tool.

pysubs2 parses the cues; this module handles what it does not: unknown encodings, lines with broken
times, WebVTT comments and word timestamps.
"""

import html
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import chardet
import pysubs2
from chardet import EncodingEra

TOUCHING_S = 0.1
"""Cues closer than this are contiguous, as in roll-up captions."""

CLEARLY = 3
"""Minimum ratio of another encoding's confidence to that of cp1252. For one sentence, it was at
most 2.1 where cp1252 was right, and at least 4.9 where cp1250, cp1251 or cp1253 was."""

_MARKED = {"utf-16", "utf-32"}  # known from the byte order mark
_STAMP = r"(?:(\d{1,2}):)?(\d{1,2}):(\d{1,2})[.,](\d{1,3})"
_TIMES = re.compile(rf"\s*{_STAMP}\s*-->\s*{_STAMP}(?:\s.*)?$")
_WORD_TIME = re.compile(r"<[\d:.,]+>")
_ASS_TIMES = re.compile(r"Dialogue:[^,]*,\s*\d+:\d+:\d+\.\d+\s*,\s*\d+:\d+:\d+\.\d+\s*,")
_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200e\u200f\u202a\u202b\u202c\u2060\ufeff"))


@dataclass(frozen=True, slots=True)
class Cue:
    """Lines of text on screen from `start_s` to `end_s`."""

    start_s: float
    end_s: float
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """All lines, joined."""
        return " ".join(self.lines)


@dataclass(frozen=True, slots=True)
class CueSheet:
    """The cues of one source, in its own order.

    Attributes:
        cues: Those that could be parsed.
        broken: Number of cues dropped because of invalid times.
        encoding: Set when it had to be guessed, empty otherwise.
    """

    cues: tuple[Cue, ...]
    broken: int = 0
    encoding: str = ""


def parse_subtitles(raw: bytes) -> CueSheet:
    """Parse the content of an SRT, WebVTT, ASS or SSA file; the format is detected from it."""
    text, encoding = _decode(raw)
    is_ass = "[Events]" in text or "\nDialogue:" in text
    tidy = _tidy_ass(text) if is_ass else _tidy_srt(text)
    parsed = pysubs2.SSAFile.from_string(tidy.text, format_="ass" if is_ass else "srt")
    cues = [
        Cue(event.start / 1000, event.end / 1000, plain_lines(event.text))
        for event in parsed
        if event.is_text
    ]
    in_order = tuple(cue for cue in cues if cue.end_s >= cue.start_s)
    return CueSheet(in_order, tidy.broken + len(cues) - len(in_order), encoding)


def plain_lines(ass_text: str) -> tuple[str, ...]:
    """Return the lines of a cue without override tags, HTML or invisible characters."""
    plain = pysubs2.SSAEvent(text=ass_text).plaintext
    plain = html.unescape(re.sub(r"</?[a-zA-Z][^>]*>", "", plain)).translate(_INVISIBLE)
    lines = (" ".join(line.split()) for line in plain.splitlines())
    return tuple(line for line in lines if line)


def tidy_cues(cues: Iterable[Cue], duration_s: float, offset_s: float = 0.0) -> list[Cue]:
    """Shift cues, clip them to the video, drop empty ones, merge roll-up ones; in time order."""
    shifted = (replace(c, start_s=c.start_s + offset_s, end_s=c.end_s + offset_s) for c in cues)
    ordered = sorted(shifted, key=lambda cue: (cue.start_s, cue.end_s))
    inside = (
        replace(cue, start_s=max(cue.start_s, 0.0), end_s=min(cue.end_s, duration_s))
        for cue in ordered
        if cue.lines and cue.start_s < duration_s and cue.end_s >= 0
    )
    return list(_merge_rolling(inside))


def _merge_rolling(cues: Iterable[Cue]) -> Iterator[Cue]:
    """Yield each line once, though automatic roll-up captions repeat it."""
    screen: Cue | None = None  # the previous cue as it was shown
    kept: Cue | None = None  # its new lines, which may still be extended
    for cue in cues:
        if screen and kept and cue.start_s <= screen.end_s + TOUCHING_S:
            fresh = cue.lines[_repeated(screen.lines, cue.lines) :]
            if not fresh:
                kept = replace(kept, end_s=max(kept.end_s, cue.end_s))
            elif _grew(screen.lines, cue.lines):
                lines = (*kept.lines[:-1], cue.lines[-1])
                kept = replace(kept, end_s=max(kept.end_s, cue.end_s), lines=lines)
            else:
                yield kept
                kept = replace(cue, lines=fresh)
        else:
            if kept:
                yield kept
            kept = cue
        screen = cue
    if kept:
        yield kept


def _repeated(shown: tuple[str, ...], lines: tuple[str, ...]) -> int:
    """Return how many of the first `lines` repeat the last ones shown."""
    longest = min(len(shown), len(lines))
    return next((n for n in range(longest, 0, -1) if shown[-n:] == lines[:n]), 0)


def _grew(shown: tuple[str, ...], lines: tuple[str, ...]) -> bool:
    """Whether the last line shown got more words and nothing else changed."""
    return shown[:-1] == lines[:-1] and lines[-1].startswith(shown[-1] + " ")


class _Decoded(NamedTuple):
    text: str
    guessed: str


class _Tidied(NamedTuple):
    text: str
    broken: int


def _decode(raw: bytes) -> _Decoded:
    text = raw.decode("utf-8-sig", "replace")
    damaged = text.count("\ufffd")
    if not damaged and "\0" not in text:
        return _Decoded(text, "")
    if damaged and sum(character > "\x7f" for character in text) > 4 * damaged:
        return _Decoded(text, "utf-8, damaged")
    encoding = _guess(raw)
    return _Decoded(raw.decode(encoding, "replace"), "" if encoding in _MARKED else encoding)


def _guess(raw: bytes) -> str:
    """Return the likeliest encoding: cp1252, the most common, unless another clearly is."""
    found = chardet.detect_all(
        raw,
        ignore_threshold=True,
        encoding_era=EncodingEra.MODERN_WEB,
        prefer_superset=True,
        compat_names=False,
    )
    likely = {one["encoding"]: one["confidence"] for one in reversed(found)}
    best = found[0]["encoding"] or "utf-8"
    return "cp1252" if likely.get("cp1252", 0) * CLEARLY > found[0]["confidence"] else best


def _tidy_srt(text: str) -> _Tidied:
    """Reduce to SRT times and text; drop cues with unreadable times."""
    vtt = text.lstrip().startswith("WEBVTT")
    lines, broken, skipping = [], 0, True
    for line in text.splitlines():
        if "-->" in line:
            times = _TIMES.match(line)
            skipping = not times
            broken += skipping
            if times:
                lines.append(_srt_times(times))
        elif vtt and not line and lines and "-->" not in lines[-1]:
            skipping = True  # comments, styles and names of cues stand between empty lines
        elif not skipping:
            lines.append(_WORD_TIME.sub("", line))
    return _Tidied("\n".join(lines), broken)


def _srt_times(times: re.Match[str]) -> str:
    parts = [part or "0" for part in times.groups()]
    stamps = ["{:0>2}:{:0>2}:{:0>2},{:0<3}".format(*parts[at : at + 4]) for at in (0, 4)]
    return " --> ".join(stamps)


def _tidy_ass(text: str) -> _Tidied:
    """Keep valid events only: styles are not used, and one broken line makes pysubs2 fail."""
    dialogue = [line.strip() for line in text.splitlines() if line.startswith("Dialogue:")]
    whole = [line for line in dialogue if _ASS_TIMES.match(line)]
    return _Tidied("\n".join(["[Events]", *whole]), len(dialogue) - len(whole))
