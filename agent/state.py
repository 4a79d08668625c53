"""What flows through the graph: small plain records, never pixels."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypedDict, TypeVar

from agent.answer import Answer, Usage
from agent.library import Library
from agent.pool import ModelPool
from agent.settings import Settings
from tools.evidence import ChannelReport, Evidence
from tools.video import Video

T = TypeVar("T")
Aspect = Literal["location", "number", "relation", "order"]


@dataclass(frozen=True, slots=True)
class Question:
    """A question as the user put it; `options` is empty for an open question."""

    text: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """What a question asks the tools for (Video-RAG, section 3.2: query decoupling).

    Attributes:
        speech: What somebody would say in the video; empty if speech does not matter.
        entities: Physical things to look for.
        aspects: What to say about them.
        source: "model" if the language model wrote it, "rules" if its text did not parse.
    """

    speech: str = ""
    entities: tuple[str, ...] = ()
    aspects: tuple[Aspect, ...] = ()
    source: Literal["model", "rules"] = "rules"


@dataclass(frozen=True, slots=True)
class Draft:
    """An answer before it is checked."""

    text: str = ""
    choice: int | None = None
    confidence: float = 0.0
    reason: str = ""
    accepted: bool = False
    needs_all: bool = False
    """Whether it can only be checked with every line, not just those that hold its words."""


@dataclass(frozen=True)
class Context:
    """What nodes work with: passed at every call, never part of the state."""

    settings: Settings
    library: Library
    pool: ModelPool


def merge(old: Mapping[str, T], new: Mapping[str, T]) -> Mapping[str, T]:
    """Join what parallel nodes wrote; applying an update twice changes nothing."""
    return {**old, **new}


class Findings(TypedDict, total=False):
    """What ingest adds to the state.

    A subgraph hands back its whole output, so its keys are dictionaries that merge.
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
    frames: Path
    """Folder of the sampled frames, set by `sample_frames`."""
    request: Request
    """Set by `decouple`."""
    relevance: float
    """How well the best evidence fits the question, 0 to 1, set by `retrieve`."""
    evidence: tuple[Evidence, ...]
    """Chosen by `retrieve`, cut by `budget`; best first."""
    lines: tuple[Evidence, ...]
    """What the model is given to read, set by `read`; best first."""
    attempt: int
    """Calls of `reason` so far."""
    draft: Draft
    """Written by `reason`, judged by `parse`."""
    prompts: Annotated[Mapping[str, str], merge]
    """Version by prompt name."""
    answer: Answer
    """Set by `cite` or `abstain`."""
