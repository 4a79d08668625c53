"""What came of a question by each method, and what the methods had in common."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from agent.answer import Answer
from agent.records import Plan
from agent.text import clock
from tools.evidence import ChannelReport

Status = Literal["answered", "abstained", "failed"]
Group = tuple[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class MethodRow:
    """One method on the question.

    Attributes:
        method: As it was named.
        plan: What it was going to do; None if it cannot run.
        answer: Its answer, where it gave or withheld one.
        error: Why it cannot run or failed; empty if it did not.
    """

    method: str
    plan: Plan | None = None
    answer: Answer | None = None
    error: str = ""

    @property
    def status(self) -> Status:
        """What came of it."""
        if self.answer is None:
            return "failed"
        return "abstained" if self.answer.abstained else "answered"

    @property
    def said(self) -> str:
        """The answer, why there is none, or why the method failed."""
        if self.answer is None:
            return self.error
        return self.answer.reason if self.answer.abstained else self.answer.answer

    @property
    def how_sure(self) -> str:
        """The confidence and its kind; empty where none was measured."""
        given = self.answer
        if given is None or given.abstained or given.measured_by == "none":
            return ""
        return f"{given.confidence:.0%} {given.measured_by}"

    @property
    def frames(self) -> int:
        """How many frames were planned for the model."""
        return len(self.plan.frames) if self.plan else 0

    @property
    def tokens(self) -> int:
        """Tokens read and written."""
        given = self.answer
        return int(given.total("input_tokens") + given.total("output_tokens")) if given else 0

    @property
    def calls(self) -> int:
        """Calls of chat models."""
        return int(self.answer.total("model_calls")) if self.answer else 0

    @property
    def citation(self) -> str:
        """The first piece of evidence with its time, and how many more there are."""
        evidence = self.answer.evidence if self.answer and self.status == "answered" else ()
        if not evidence:
            return ""
        more = f" (and {len(evidence) - 1} more)" if len(evidence) > 1 else ""
        return f"{clock(evidence[0].start_s)} {evidence[0].text}{more}"

    def to_json(self) -> dict[str, Any]:
        """Return the row as a plain dictionary."""
        return {
            "method": self.method,
            "status": self.status,
            "error": self.error,
            "frames": self.frames,
            "frame_times_s": [frame.time_s for frame in self.plan.frames] if self.plan else [],
            "answer": self.answer.to_json() if self.answer else None,
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """A question by several methods.

    Attributes:
        question: The question.
        rows: One a method, in the order in which they were named.
        ingest: Reports of the tools that looked at the video before all methods.
        ingest_s: Seconds of that, which no method is charged with.
    """

    question: str
    rows: tuple[MethodRow, ...]
    ingest: tuple[ChannelReport, ...] = ()
    ingest_s: float = 0.0

    @property
    def same_frames(self) -> list[tuple[str, ...]]:
        """Methods that were given the very same frames, in groups of two or more."""
        shown = [(r.plan.frames, r.method) for r in self.rows if r.plan and r.plan.frames]
        return [methods for _, methods in _groups(shown)]

    @property
    def same_prompts(self) -> dict[str, tuple[str, ...]]:
        """Methods that used the same version of a prompt, by its name; two or more each."""
        used = [
            ((name, version), row.method)
            for row in self.rows
            if row.answer
            for name, version in row.answer.prompts.items()
        ]
        return {name: methods for (name, _), methods in _groups(used)}

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as a plain dictionary."""
        return {
            "question": self.question,
            "methods": [row.to_json() for row in self.rows],
            "ingest": {
                "seconds": round(self.ingest_s, 3),
                "channels": [report.to_json() for report in self.ingest],
            },
            "same_frames": self.same_frames,
            "same_prompts": self.same_prompts,
        }


def _groups(pairs: Iterable[tuple[Any, str]]) -> list[tuple[Any, tuple[str, ...]]]:
    """Return each value that two or more methods have, with these methods."""
    found: dict[Hashable, list[str]] = defaultdict(list)
    for value, method in pairs:
        found[value].append(method)
    return [(value, tuple(methods)) for value, methods in found.items() if len(methods) > 1]


def told_in_common(comparison: Comparison) -> Sequence[str]:
    """Say what methods had in common, a line each."""
    frames = [f"the same pictures: {', '.join(group)}" for group in comparison.same_frames]
    together: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for name, methods in comparison.same_prompts.items():
        together[methods].append(name)
    prompts = [f"the same {', '.join(n)}: {', '.join(m)}" for m, n in together.items()]
    return [*frames, *prompts]
