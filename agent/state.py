"""The state of the graph: small plain records, never pixels."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypedDict, TypeVar

from agent.answer import Answer, Step, Usage
from agent.library.store import Library
from agent.models.pool import ModelPool
from agent.records import Ask, CandidateAnswer, Plan, Question, Request
from agent.settings import Settings
from tools.evidence import ChannelReport, Evidence
from tools.media.video import Video

T = TypeVar("T")


@dataclass(frozen=True)
class Context:
    """The runtime context of nodes: passed to every call, never part of the state."""

    settings: Settings
    library: Library
    pool: ModelPool


def merge(old: Mapping[str, T], new: Mapping[str, T]) -> Mapping[str, T]:
    """Merge the updates of parallel nodes (an idempotent reducer)."""
    return {**old, **new}


class Findings(TypedDict, total=False):
    """The state keys that ingest writes.

    A subgraph returns its whole output, so its keys are dictionaries that merge.
    """

    channels: Annotated[Mapping[str, ChannelReport], merge]
    """By tool."""
    runs: Annotated[Mapping[str, int], merge]
    """Rows of finished runs in the library, by tool: the evidence that may be used."""
    usage: Annotated[Mapping[str, Usage], merge]
    """By stage."""


class State(Findings, total=False):
    """The state of one question from the path to the answer."""

    path: Path
    """Set by the caller."""
    question: Question
    """Set by the caller."""
    video: Video
    """Set by `probe`."""
    plan: Plan
    """Set by `plan_run` before any model is called, and followed by all nodes after it."""
    request: Request
    """Set by `decouple`."""
    relevance: float
    """How well the best evidence fits the question, 0 to 1, set by `retrieve`."""
    evidence: tuple[Evidence, ...]
    """Chosen by `retrieve`, cut by `budget`; best first."""
    lines: tuple[Evidence, ...]
    """What the model is given to read or to look at, best first."""
    ask: Ask
    """What the method sends to the model, set before `reason`."""
    context_share: float
    """Share of evidence and pictures that fits the model; 1 until a prompt was too long."""
    too_long: Ask
    """The last one that did not fit, set by `reason`."""
    attempt: int
    """Calls of `reason` so far."""
    candidate: CandidateAnswer
    """Written by `reason`, judged by `parse`."""
    prompts: Annotated[Mapping[str, str], merge]
    """Version by prompt name."""
    steps: tuple[Step, ...]
    """What the model did, for a method that lets it explore."""
    answer: Answer
    """Set by `cite` or `abstain`."""
