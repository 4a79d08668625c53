"""Plain records of questions, plans, prompts and candidate answers, without other dependencies."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from tools.media.video import Video

Parity = Literal["llovi", "ig-vlm", "ts-llava", "video-rag"]
Aspect = Literal["location", "number", "relation", "order"]


@dataclass(frozen=True, slots=True)
class Question:
    """A question as the user asked it; `options` is empty for an open-ended question."""

    text: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """The retrieval request of a question (Video-RAG, section 3.2: query decoupling).

    Attributes:
        speech: ASR request: what might be said in the video; None if speech does not matter.
        entities: Physical entities to detect.
        aspects: What to describe of them.
        source: "model" if the language model wrote it, "rules" if its reply did not parse.
    """

    speech: str | None = None
    entities: tuple[str, ...] = ()
    aspects: tuple[Aspect, ...] = ()
    source: Literal["model", "rules"] = "rules"


@dataclass(frozen=True, slots=True)
class Understood:
    """A standalone question, and how it was rewritten; `how` is empty if it was not."""

    question: str
    how: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a conversation with the chat model.

    Attributes:
        role: Author of the message.
        text: Its text.
        images: Image files placed before the text.
        times_s: Times of the images in seconds, where they are the frames of one video that the
            model takes as a video; empty for single pictures.
        length_s: Length of that video in seconds.
    """

    role: Literal["system", "user", "assistant"]
    text: str
    images: tuple[Path, ...] = ()
    times_s: tuple[float, ...] = ()
    length_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Visual:
    """A picture given to the model, as a file.

    Attributes:
        file: The picture itself.
        kind: What it shows.
        times_s: Times of its frames in seconds, in the order of its cells.
    """

    file: Path
    kind: Literal["frame", "grid", "thumbnail"]
    times_s: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class TokenPrompt:
    """Visual tokens of a video, placed before the text of the first turn.

    Attributes:
        file: Where they are cached (`agent.visual.token_cache`).
        parity: Whether the text around them is tokenised as the published code does.
        outliers: The tokens used for contrastive decoding (`agent.visual.contrast`).
    """

    file: Path
    parity: bool = False
    outliers: Path | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """The prompt of a method, and how the chat model answers it.

    Attributes:
        turns: The conversation so far; the last turn is the user's.
        retry_node: The node that wrote the prompt, and can write a shorter one.
        follow_ups: User messages, one after each reply; the last reply contains the answer.
        samples: Number of sampled replies to vote over; more than one needs a temperature above 0.
        temperature: 0 decodes greedily; None decodes as the settings of the chat model say.
        tokens: Visual tokens of the video in place of pictures, for a model that takes them.
        visuals: All pictures that the model sees, in order; empty if those of the turns are all.
        note: A note for the user on how the answer was obtained.
        reasoning_tokens: Maximum length of a reply before a follow-up; 0: as of any reply.
        parity: Treat replies as the published code of this method does: one reply, its own parser
            (none is published for video-rag), no check against the evidence.
        kept_for: The video whose reply cache is used (`agent.library.reply_cache`); None caches
            nothing.
    """

    turns: tuple[Turn, ...]
    retry_node: str = ""
    follow_ups: tuple[str, ...] = ()
    samples: int = 1
    temperature: float | None = None
    tokens: TokenPrompt | None = None
    visuals: tuple[Visual, ...] = ()
    note: str = ""
    reasoning_tokens: int = 0
    parity: Parity | None = None
    kept_for: Video | None = None


@dataclass(frozen=True, slots=True)
class PlannedFrame:
    """A frame that will be given to the model: its number in the video and its time."""

    index: int
    time_s: float


@dataclass(frozen=True, slots=True)
class PlannedTool:
    """A tool that may run on the video.

    Attributes:
        tool: Its name.
        key: Key of its run in the library; for one that waits, without what it waits for.
        known: Whether the library has that run already.
        waits: Whether it waits for the question, its phrases, or the evidence of other tools.
    """

    tool: str
    key: str
    known: bool
    waits: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run will do; made before any model call.

    Attributes:
        video: Content hash of the video.
        method: Name of the method.
        why: Why it was chosen.
        frames: Frames given to the model; none for a method that reasons over text.
        visuals: Their layout: grids, thumbnails, sampled tokens.
        sampling: How frames are sampled for the visual tools.
        tools: Tools that may run on the video, in the order of the profile.
        models: Names of all models that may be used, by role.
        identities: What replies and vectors of the frozen models depend on, by role.
        prompts: Version by prompt name.
        calls: Minimum and maximum number of calls of the chat model.
        tokens: Maximum tokens of evidence in one prompt.
        settings: Hash of everything else that the answer depends on.
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
        """First 12 hex digits of the plan's hash; independent of the state of the library."""
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
        text: The model's reply, or a quotation.
        choice: Index of the option that it means.
        confidence: 0 to 1.
        measured_by: Kind of the confidence (see `Answer`).
        reason: Why it is not accepted, or what a fallback did.
        accepted: Whether it may be given as the answer.
        refused: Whether the model abstained: the video does not answer the question.
        grounded: False if the evidence given to the model does not support it.
        needs_all: Whether checking it takes all evidence lines, not only those with its words.
        replies: All samples, where several were drawn.
        likelihoods: Probability of each option as the model's reply, where it can be scored.
        odds: Log-odds of an open answer against a refusal, where they are measured.
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
    odds: float | None = None
