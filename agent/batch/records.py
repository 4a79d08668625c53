"""The records of a batch: a question to one video, the work on one video, and a result."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
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
        error: Why the row cannot be asked, and what to do; empty for a good one. It becomes a
            failed result, so that one bad row never stops the rest.
    """

    id: str
    video: Path
    question: Question
    error: str = ""


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
            options, method, models, prompts and settings (`agent.records.Plan.id`); empty if it
            failed.
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

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Result":
        """Return the record of a line; unknown keys are left out. `TypeError` if one is missing."""
        known = {f.name: values[f.name] for f in fields(cls) if f.name in values}
        return cls(**known | {"options": tuple(known.get("options", ()))})

    def number(self, name: str) -> float:
        """Return one sum of the answer's usage, as `output_tokens`; 0 if it failed."""
        return float(self.answer.get("usage", {}).get(name, 0))

    def comparable(self) -> dict[str, Any]:
        """Return what does not depend on when, where and how often the row was asked.

        Left out are times, costs, and what was found in the library rather than done.
        """
        values = self.to_json()
        del values["seconds"]
        values["answer"] = {k: v for k, v in self.answer.items() if k not in ("seconds", "usage")}
        channels = values["answer"].get("channels", ())
        if channels:
            varying = ("seconds", "cached")
            plain = [{k: v for k, v in c.items() if k not in varying} for c in channels]
            values["answer"]["channels"] = plain
        plain_values: dict[str, Any] = json.loads(json.dumps(values))
        return plain_values
