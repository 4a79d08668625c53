"""What is asked, planned and answered: plain records that know nothing of the rest."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from tools.evidence import Evidence
from tools.media.video import Video

Parity = Literal["llovi", "ig-vlm", "ts-llava"]
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
class Understood:
    """A question that stands alone, and how it came to; `how` is empty if it did so by itself."""

    question: str
    how: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a conversation with the chat model.

    Attributes:
        role: Who says it.
        text: What is said.
        images: Pictures that are shown before the text, as files.
    """

    role: Literal["system", "user", "assistant"]
    text: str
    images: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Visual:
    """A picture that the model is shown, as a file that can be looked at.

    Attributes:
        file: The very picture.
        kind: What it is.
        times_s: When the frames in it appear, in the order of its cells.
    """

    file: Path
    kind: Literal["frame", "grid", "thumbnail"]
    times_s: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class TokenPrompt:
    """Visual tokens that stand for a video before the text of the first turn.

    Attributes:
        file: Where they are kept (`agent.visual.token_cache`).
        parity: Whether the text around them is tokenised as the published code does.
        outliers: The tokens that a reply is contrasted with (`agent.visual.contrast`).
    """

    file: Path
    parity: bool = False
    outliers: Path | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """What a method sends to the chat model for an answer.

    Attributes:
        turns: The conversation so far; the last turn is the user's.
        retry_node: The node that made this, and can make a shorter one.
        follow_ups: What the user says after each reply; the last reply holds the answer.
        samples: Replies to vote over; more than one needs a temperature above 0.
        temperature: 0 takes the likeliest token each time.
        tokens: What the model sees of the video in place of pictures, for one that takes tokens.
        visuals: All that it sees as pictures, in their order; empty if those of the turns are all.
        note: What the user must know of how the answer was sought.
        reasoning_tokens: Length of a reply that a follow-up follows, at most; 0: as of any reply.
        parity: Read replies as the published code of this method does, and never ask again.
        kept_for: The video with which replies are kept (`agent.library.reply_cache`); None keeps
            none.
    """

    turns: tuple[Turn, ...]
    retry_node: str = ""
    follow_ups: tuple[str, ...] = ()
    samples: int = 1
    temperature: float = 0.0
    tokens: TokenPrompt | None = None
    visuals: tuple[Visual, ...] = ()
    note: str = ""
    reasoning_tokens: int = 0
    parity: Parity | None = None
    kept_for: Video | None = None


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A part of a record as a model reads it; the record stays as the tool found it.

    Attributes:
        record: Where it comes from.
        text: What is read of it, with what a hint adds.
        score: How well it fits the question.
        beside: The records that the hint comes from, as the sign that a word points at.
    """

    record: Evidence
    text: str
    score: float = 0.0
    beside: tuple[Evidence, ...] = ()

    @property
    def id(self) -> str:
        """Of the record."""
        return self.record.id

    @property
    def kind(self) -> str:
        """Of the record."""
        return self.record.kind

    @property
    def start_s(self) -> float:
        """Start of the record in seconds."""
        return self.record.start_s

    @property
    def end_s(self) -> float:
        """End of the record in seconds."""
        return self.record.end_s


@dataclass(frozen=True, slots=True)
class PlannedFrame:
    """A picture that the model will look at: its number in the video and when it appears."""

    index: int
    time_s: float


@dataclass(frozen=True, slots=True)
class PlannedTool:
    """A tool that may look at the video.

    Attributes:
        tool: Its name.
        key: What its run is known by in the library; for one that waits, the key of all but what
            the question makes it look for.
        known: Whether the library has that run already.
        waits: Whether it waits for what the question asks for.
    """

    tool: str
    key: str
    known: bool
    waits: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run will do; it is made before any model is called, and followed.

    Attributes:
        video: Content hash of the video.
        method: Name of the method.
        why: Why it was chosen.
        frames: Pictures that go to the model; none for a method that reasons over text.
        visuals: How they are laid out: grids, thumbnails, sampled tokens.
        sampling: How pictures are taken for the visual tools.
        tools: Tools that may look at the video, in the order of the profile.
        models: Names of all models that may be used, by role.
        identities: What replies and vectors of the frozen models depend on, by role.
        prompts: Version by prompt name.
        calls: Calls of the chat model, at least and at most.
        tokens: Tokens of evidence in one prompt, at most.
        settings: Hash of everything else that shapes the answer.
    """

    video: str
    method: str
    why: str
    frames: tuple[PlannedFrame, ...]
    visuals: Mapping[str, Any]
    sampling: Mapping[str, Any]
    tools: tuple[PlannedTool, ...]
    models: Mapping[str, str]
    identities: Mapping[str, Mapping[str, Any]]
    prompts: Mapping[str, str]
    calls: tuple[int, int]
    tokens: int
    settings: str

    @property
    def id(self) -> str:
        """First 12 hex digits of the plan's hash; the state of the library does not change it."""
        values = asdict(self)
        values["tools"] = [(tool.tool, tool.key) for tool in self.tools]
        text = json.dumps(values, sort_keys=True, ensure_ascii=False)
        return sha256(text.encode()).hexdigest()[:12]

    def to_json(self) -> dict[str, Any]:
        """Return the plan as a plain dictionary."""
        return {"plan": self.id, **asdict(self)}

    def key(self, tool: str) -> str | None:
        """Return the key of a tool's run; None for one that waits or was not planned."""
        return next((t.key for t in self.tools if t.tool == tool and not t.waits), None)


@dataclass(frozen=True, slots=True)
class CandidateAnswer:
    """An answer before it is checked.

    Attributes:
        text: What the model wrote, or what is quoted.
        choice: Index of the option that it means.
        confidence: 0 to 1.
        measured_by: What the confidence rests on (see `Answer`).
        reason: Why it is not accepted, or what a fallback did.
        accepted: Whether it may be given as the answer.
        refused: Whether the model said that the video does not tell.
        grounded: False if the lines that the model was given do not hold what it claims.
        needs_all: Whether it can only be checked with every line, not just those with its words.
        replies: All samples, where several were drawn.
        likelihoods: Probability of each option as the model's next words, where it can tell.
    """

    text: str = ""
    choice: int | None = None
    confidence: float = 0.0
    measured_by: str = ""
    reason: str = ""
    accepted: bool = False
    refused: bool = False
    grounded: bool = True
    needs_all: bool = False
    replies: tuple[str, ...] = ()
    likelihoods: tuple[float, ...] = ()
