"""Spans of a video: their frames not seen yet, and counts of appearances in them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from langchain_core.tools import ToolException

from agent.answering.time_spans import GAP_S
from agent.frames.files import frames_of
from agent.frames.sampling import centre_ids
from agent.records import PlannedFrame
from agent.text import clock, plain, stem, words
from tools.evidence import Evidence
from tools.media.video import Video

NEAR_S = 0.25  # a frame nearer than this to a seen one is not new


@dataclass(frozen=True, slots=True)
class VideoSpan:
    """A part of a video, in seconds."""

    start_s: float
    end_s: float

    def __str__(self) -> str:
        return f"{clock(self.start_s)}-{clock(self.end_s)}"

    def holds(self, evidence: Evidence) -> bool:
        """Say whether a record overlaps the span."""
        return evidence.start_s <= self.end_s and evidence.end_s >= self.start_s


def read_span(video: Video, start_s: float | None, end_s: float | None) -> VideoSpan:
    """Return a span of a video; a missing bound is that of the video.

    Raises:
        ToolException: The span is empty.
    """
    start = 0.0 if start_s is None else start_s
    end = video.duration_s if end_s is None else min(end_s, video.duration_s)
    if start > end:
        raise ToolException(
            f"there is nothing from {start:g} s to {end_s or end:g} s: a span must start before it "
            f"ends and lie between 0 s and {video.duration_s:.2f} s"
        )
    return VideoSpan(start, end)


def choose_frames(
    video: Video, span: VideoSpan, known_s: Sequence[float], most: int
) -> tuple[PlannedFrame, ...]:
    """Return at most `most` new frames inside a span, spread evenly.

    Where no frame begins inside, it is the one on screen throughout.
    """
    every = frames_of(video, range)
    inside = [frame for frame in every if span.start_s <= frame.time_s <= span.end_s]
    if not inside:
        inside = [frame for frame in every if frame.time_s < span.start_s][-1:]
    new: list[PlannedFrame] = []
    for frame in inside:
        apart = not new or frame.time_s - new[-1].time_s >= NEAR_S
        if apart and all(abs(frame.time_s - time_s) >= NEAR_S for time_s in known_s):
            new.append(frame)
    return tuple(new[i] for i in centre_ids(len(new), most)) if new else ()


def says(text: str, phrase: str) -> bool:
    """Say whether a text has all words of a phrase, in any inflection."""
    held = plain(text).split()
    wanted = [stem(word) for word in words(phrase)] or plain(phrase).split()
    roots = [root.rstrip("s") if len(root) > 3 else root for root in wanted]
    return bool(roots) and all(any(word.startswith(root) for word in held) for root in roots)


def count_appearances(kind: str, records: Sequence[Evidence], phrase: str) -> str:
    """Return in words the number of records of one kind, and of their separate appearances."""
    ends: Mapping[str, list[float]] = defaultdict(list)  # by tool
    rows = [row for record in records for row in _rows(record, phrase)]
    appearances = 0
    for row in sorted(rows, key=lambda e: e.start_s):
        seen = ends[row.tool]
        appearances += not seen or row.start_s - max(seen) > GAP_S
        seen.append(row.end_s)
    said = f"{kind} {_number(len(records), 'record')}, {_number(appearances, 'appearance')}"
    counts = [n for e in records for label, n in _counts(e).items() if says(label, phrase)]
    return f"{said}, at most {max(counts)} at once" if counts else said


def _rows(record: Evidence, phrase: str) -> list[Evidence]:
    """Return the rows of on-screen text with a phrase, each with its own times."""
    rows = [row for row in record.data.get("lines", ()) if says(row["text"], phrase)]
    spans = [(row["start_s"], row["end_s"]) for row in rows if "start_s" in row]
    return [replace(record, start_s=start, end_s=end) for start, end in spans] or [record]


def _counts(evidence: Evidence) -> Mapping[str, int]:
    counts: Mapping[str, int] = evidence.data.get("counts", {})
    return counts


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
