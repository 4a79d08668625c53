"""Subtitle files to cues: SRT, WebVTT, ASS, TTML, SBV, LRC, MicroDVD, MPL2, SAMI.

The format is told from the content, since file endings lie. pysubs2 reads ASS and the formats of
frames and tenths; what must survive broken times and stray lines is read here.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import pysubs2
from pysubs2.exceptions import Pysubs2Error

from tools.speech.cue_text import ass_lines, mostly_placed, plain_lines
from tools.speech.cues import Cue, CueSheet, with_ends
from tools.speech.encodings import decode
from tools.speech.ttml import read_ttml

NAMES = "SRT, WebVTT, ASS, TTML, SBV, LRC, MicroDVD, MPL2 and SAMI"
USUAL_FPS = 23.976  # of MicroDVD files, which count frames, where nothing says the rate

_STAMP = r"(?:(\d{1,3}):)?(\d{1,2}):(\d{1,2})[.,:](\d{1,3})"
_TIMES = re.compile(rf"\s*{_STAMP}\s*-->\s*{_STAMP}(?:\s.*)?$")
_SBV_TIMES = re.compile(r"\s*(\d+):(\d\d):(\d\d)\.(\d{3})\s*,\s*(\d+):(\d\d):(\d\d)\.(\d{3})\s*$")
_SBV = re.compile(r"^\s*\d+:\d\d:\d\d\.\d{3}\s*,\s*\d+:\d\d:\d\d\.\d{3}\s*$", re.MULTILINE)
_LRC_TIME = re.compile(r"\[(\d{1,3}):(\d{2}(?:[.:]\d{1,3})?)\]")
_LRC = re.compile(rf"^\s*{_LRC_TIME.pattern}", re.MULTILINE)
_LRC_OFFSET = re.compile(r"\[offset:\s*([+-]?\d+)\s*\]", re.IGNORECASE)
_MICRODVD = re.compile(r"^\s*\{\d+\}\{\d*\}", re.MULTILINE)
_MPL2 = re.compile(r"^\s*\[\d+\]\s*\[\d*\]", re.MULTILINE)
_ASS_TIMES = re.compile(r"Dialogue:[^,]*,\s*\d+:\d+:\d+\.\d+\s*,\s*\d+:\d+:\d+\.\d+\s*,")


class _Read(NamedTuple):
    cues: list[Cue]
    broken: int = 0
    signs: bool = False


def parse_subtitles(raw: bytes, language: str = "", fps: float | None = None) -> CueSheet:
    """Parse the content of a subtitle file.

    Args:
        raw: The content.
        language: Its probable language, a hint for the encoding.
        fps: Frame rate of the video, for formats that count frames.
    """
    text, encoding = decode(raw, language)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    found = _reader(text)(text, fps)
    in_order = tuple(cue for cue in found.cues if cue.end_s >= cue.start_s)
    broken = found.broken + len(found.cues) - len(in_order)
    return CueSheet(in_order, broken, encoding, found.signs)


def _reader(text: str) -> Callable[[str, float | None], _Read]:
    """Return what reads a text, SRT where nothing else is recognised."""
    head = text[:4096].lower()
    if "[events]" in text.lower() or text.startswith("Dialogue:") or "\nDialogue:" in text:
        return _read_ass
    if re.search(r"<(?:\w+:)?tt[\s>]", head):
        return lambda text, fps: _Read(*read_ttml(text))
    if "-->" in text:
        return _read_vtt if text.lstrip().startswith("WEBVTT") else _read_srt
    if "<sami" in head:
        return _read_sami
    for pattern, read in _BY_PATTERN.items():
        if pattern.search(text):
            return read
    return _read_srt


def _read_srt(text: str, fps: float | None) -> _Read:
    """Read SRT: a cue's text goes on to the next time; the number right before that is a counter.

    A line of digits is text wherever no time follows it at once.
    """
    cues: list[Cue] = []
    lines: list[str] = []
    broken, times = 0, None

    def end() -> None:
        if times:
            cues.append(Cue(*times, plain_lines("\n".join(lines))))

    for line in text.split("\n"):
        if "-->" not in line:
            lines.append(line)
            continue
        if lines and lines[-1].strip().isdigit():
            lines.pop()
        end()
        lines, times = [], _span(_TIMES.match(line))
        broken += times is None
    end()
    return _Read(cues, broken)


def _read_vtt(text: str, fps: float | None) -> _Read:
    """Read WebVTT: an empty line ends a cue; comments, styles and names stand between cues."""
    cues: list[Cue] = []
    broken = 0
    for block in re.split(r"\n{2,}", text):
        if block.startswith("NOTE"):
            continue
        lines = block.split("\n")
        starts = [n for n, line in enumerate(lines) if "-->" in line]
        for start, end in pairwise([*starts, len(lines)]):
            if times := _span(_TIMES.match(lines[start])):
                cues.append(Cue(*times, plain_lines("\n".join(lines[start + 1 : end]))))
            else:
                broken += 1
    return _Read(cues, broken)


def _read_sbv(text: str, fps: float | None) -> _Read:
    """Read YouTube's SBV: "0:00:01.000,0:00:02.500", then text up to an empty line."""
    cues = []
    for block in re.split(r"\n\s*\n", text.strip()):
        first, *lines = block.split("\n")
        if times := _span(_SBV_TIMES.match(first)):
            cues.append(Cue(*times, plain_lines("\n".join(lines).replace("[br]", "\n"))))
    return _Read(cues, len(_SBV.findall(text)) - len(cues))


def _read_lrc(text: str, fps: float | None) -> _Read:
    """Read LRC lyrics: a line may have several times, and lasts until the next."""
    offset = _LRC_OFFSET.search(text)
    earlier_s = int(offset[1]) / 1000 if offset else 0.0
    cues = []
    for line in text.split("\n"):
        words = plain_lines(_LRC_TIME.sub("", line))
        for minutes, seconds in _LRC_TIME.findall(line):
            start_s = max(0.0, 60 * int(minutes) + float(seconds.replace(":", ".")) - earlier_s)
            cues.append(Cue(start_s, start_s, words))
    return _Read(list(with_ends(sorted(cues, key=lambda cue: cue.start_s))))


def _read_ass(text: str, fps: float | None) -> _Read:
    """Read ASS: styles are not used, and one broken line would make pysubs2 fail."""
    dialogue = [line.strip() for line in text.split("\n") if line.startswith("Dialogue:")]
    whole = [line for line in dialogue if _ASS_TIMES.match(line)]
    read = _by_pysubs2("\n".join(["[Events]", *whole]), "ass", None)
    return _Read(read.cues, len(dialogue) - len(whole), mostly_placed(dialogue))


def _by_pysubs2(text: str, format_: str, fps: float | None) -> _Read:
    try:
        parsed = pysubs2.SSAFile.from_string(text, format_=format_, fps=fps)
    except (Pysubs2Error, ValueError, IndexError):
        return _Read([])
    return _Read([Cue(one.start / 1000, one.end / 1000, ass_lines(one.text)) for one in parsed])


def _read_sami(text: str, fps: float | None) -> _Read:
    """Read SAMI, which gives starts only; pysubs2 estimates ends from the length of the text."""
    cues = _by_pysubs2(text, "sami", None).cues
    return _Read(list(with_ends([replace(cue, end_s=cue.start_s) for cue in cues])))


def _read_microdvd(text: str, fps: float | None) -> _Read:
    """Read MicroDVD; the first cue may say the frame rate."""
    told = re.match(r"\s*\{[01]\}\{[01]\}\s*(\d+(?:[.,]\d+)?)\s*\n", text)
    rate = float(told[1].replace(",", ".")) if told else fps or USUAL_FPS
    return _by_pysubs2(text[told.end() :] if told else text, "microdvd", rate)


_BY_PATTERN: dict[re.Pattern[str], Callable[[str, float | None], _Read]] = {
    _SBV: _read_sbv,
    _LRC: _read_lrc,
    _MICRODVD: _read_microdvd,
    _MPL2: lambda text, fps: _by_pysubs2(text, "mpl2", None),
}


def _span(match: re.Match[str] | None) -> tuple[float, float] | None:
    """Return start and end in seconds of eight matched numbers."""
    if match is None:
        return None
    parts = [part or "0" for part in match.groups()]
    start_s, end_s = (
        3600 * int(h) + 60 * int(m) + int(s) + int(f"{f:0<3}") / 1000
        for h, m, s, f in (parts[:4], parts[4:])
    )
    return start_s, end_s
