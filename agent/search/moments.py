"""Moments: what a search finds, each told once and not too many of one video."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from agent.text import plain
from tools.evidence import Evidence
from tools.media.video import Video

NEAR_S = 10.0  # between two moments that show or say the same
ALIKE = 0.8  # of the words of two texts that must be common (Jaccard index)


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment of a video that a search found.

    Attributes:
        video: Its video.
        evidence: What was found there; the score is the cosine to the query, or the tool's own
            where only words were compared.
        merged: Records told as one: this one and its near-duplicates.
        thumbnail: JPEG file of the frame at its start; None without pictures.
    """

    video: Video
    evidence: Evidence
    merged: int = 1
    thumbnail: Path | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the moment as a plain dictionary."""
        return {
            **asdict(self.evidence),
            "sha256": self.video.sha256,
            "path": str(self.video.path),
            "merged": self.merged,
            "thumbnail": str(self.thumbnail) if self.thumbnail else None,
        }


class Collected:
    """Moments in the order of their ranks, without near-duplicates."""

    def __init__(self, top: int, per_video: int) -> None:
        """Begin empty.

        Args:
            top: Moments, at most.
            per_video: Of one video, at most; 0 for no limit.
        """
        self.moments: list[Moment] = []
        self._top = top
        self._per_video = per_video
        self._count: Counter[str] = Counter()

    @property
    def full(self) -> bool:
        """Whether no further moment is taken."""
        return len(self.moments) >= self._top

    def add(self, video: Video, evidence: Evidence) -> None:
        """Take a moment, or merge it into one that it nearly equals."""
        for place, moment in enumerate(self.moments):
            if moment.video.sha256 == video.sha256 and near_duplicates(moment.evidence, evidence):
                self.moments[place] = _merge(moment, evidence)
                return
        if not self.full and not (0 < self._per_video <= self._count[video.sha256]):
            self._count[video.sha256] += 1
            self.moments.append(Moment(video, evidence))


def near_duplicates(one: Evidence, other: Evidence) -> bool:
    """Say whether two records of a video say nearly the same at nearly the same time."""
    apart_s = max(one.start_s, other.start_s) - min(one.end_s, other.end_s)
    return apart_s <= NEAR_S and _alike(plain(one.text).split(), plain(other.text).split())


def _alike(one: Iterable[str], other: Iterable[str]) -> bool:
    a, b = set(one), set(other)
    return len(a & b) >= ALIKE * len(a | b)


def _merge(moment: Moment, evidence: Evidence) -> Moment:
    """Return the better one over the time of both."""
    kept = moment.evidence
    start_s, end_s = min(kept.start_s, evidence.start_s), max(kept.end_s, evidence.end_s)
    spanned = replace(kept, start_s=start_s, end_s=end_s)
    return replace(moment, evidence=spanned, merged=moment.merged + 1)
