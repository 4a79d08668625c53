"""The records of a batch: a question to one video, the work on one video, and a result."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from agent.records import Question

Status = Literal["answered", "abstained", "failed"]


@dataclass(frozen=True, slots=True)
class Row:
    """A question to one video.

    Attributes:
        id: Name of the row, unique in a batch; results are found again by it.
        video: The video's file.
        question: The question with its options.
    """

    id: str
    video: Path
    question: Question


@dataclass(frozen=True, slots=True)
class Job:
    """All questions to one video: it is looked at once, by one worker."""

    video: Path
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a row: one line of a results file.

    Attributes:
        id: Id of the row.
        video: Path of the video, as the row names it.
        sha256: Content hash of the video; empty if it could not be read.
        question: Text of the question.
        options: Its options.
        status: "answered", "abstained", or "failed" with the reason in `error`.
        fingerprint: Hash of all that the answer depends on: the content of the video, question,
            options, method, models, prompts and settings.
        answer: The answer record (`agent.answer.Answer.to_json`); empty if it failed.
        error: One line that says why it failed and what to do.
        seconds: Wall time of this row.
    """

    id: str
    video: str
    sha256: str
    question: str
    options: tuple[str, ...]
    status: Status
    fingerprint: str = ""
    answer: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Return the record as a plain dictionary."""
        return asdict(self)
