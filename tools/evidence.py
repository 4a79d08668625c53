"""Evidence and channel reports: the two records that tools produce and later stages consume."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Status = Literal["ok", "empty", "unavailable", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """One finding of a tool in a video.

    Attributes:
        tool: Name of the tool that found it.
        kind: What it is: speech, text, objects, caption, shots, measurement, ...
        start_s: Start in seconds, as a player shows it.
        end_s: End in seconds; equal to `start_s` for a moment.
        text: The finding in words, for people and language models.
        score: The tool's own confidence, 0 to 1; after retrieval, the relevance.
        data: Further values as plain JSON (boxes, counts, language, ...).
        id: `tool:run:number`, assigned by the library and unique in it; empty until stored.
        video: Name of its video, in results over several videos; empty where there is only one.
    """

    tool: str
    kind: str
    start_s: float
    end_s: float
    text: str
    score: float = 1.0
    data: Mapping[str, Any] = field(default_factory=dict)
    id: str = ""
    video: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the record as a plain dictionary."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class ChannelReport:
    """The outcome of one tool on one video.

    Attributes:
        tool: Name of the tool.
        status: ok, empty (ran, found nothing), unavailable (something is missing), failed
            (raised), skipped (not needed; the reason says why).
        count: Number of evidence records.
        seconds: Wall time of the run that produced them, cached or not.
        reason: Why it is not ok, or what a fallback did; empty otherwise.
        cached: True when an earlier run was reused from the library.
    """

    tool: str
    status: Status
    count: int = 0
    seconds: float = 0.0
    reason: str = ""
    cached: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the record as a plain dictionary."""
        return asdict(self)
