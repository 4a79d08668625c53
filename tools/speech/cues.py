"""Cues of subtitles, and what is done to them whatever file they come from."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

TOUCHING_S = 0.1
"""Cues closer than this are contiguous, as in roll-up captions."""

UNSAID_S = 4.0
"""Longest display of a cue of which only the start is known."""


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
        signs: Whether most of the text stands at places on the picture.
    """

    cues: tuple[Cue, ...]
    broken: int = 0
    encoding: str = ""
    signs: bool = False


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


def with_ends(cues: Sequence[Cue]) -> Iterator[Cue]:
    """End a cue of unknown duration at the next one, which may be an empty end marker."""
    followers = [*(cue.start_s for cue in cues[1:]), float("inf")]
    for cue, next_s in zip(cues, followers[: len(cues)], strict=True):
        if cue.end_s > cue.start_s:
            yield cue
        else:
            yield replace(cue, end_s=max(cue.start_s, min(next_s, cue.start_s + UNSAID_S)))
