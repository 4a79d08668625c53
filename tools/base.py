"""The contract of a tool: what a plug-in and every built-in tool implement."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from tools.evidence import Evidence

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from tools.media.audio import AudioBlock
    from tools.media.frames import FrameSet
    from tools.media.video import Video

Need = Literal["file", "frames", "audio", "phrases", "question", "vision"]
"""Inputs that a tool can require: the file itself, sampled frames, audio, phrases to detect or the
question (both known only once one was asked), a vision chat model."""
PER_QUESTION: frozenset[Need] = frozenset({"phrases", "question"})


Keep = Callable[[str, Callable[[], Any]], Any]
"""Runs a unit of work, named within the run, or returns its checkpointed result."""


class Isolation(BaseModel):
    """How a tool runs in a process of its own; what exceeds a limit ends that process."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    python: Path | None = Field(None, description="another interpreter; none takes the same one")
    timeout_s: float = Field(300, gt=0, description="seconds without a finding or progress")
    memory_gb: float = Field(8, gt=0, description="of the process and its children")
    output_mb: float = Field(64, gt=0, description="of all that it reports")


class ToolOptions(BaseModel):
    """Base of a tool's options: typed, immutable, unknown keys rejected.

    `isolation` belongs to every tool: how it runs, not what it finds, so it is in no cache key.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    isolation: Isolation | None = Field(
        None, exclude=True, repr=False, description="none, process, or limits of the process"
    )

    @field_validator("isolation", mode="before")
    @classmethod
    def _in_words(cls, given: Any) -> Any:
        return {"process": {}, "none": None}.get(given, given) if isinstance(given, str) else given


@dataclass(frozen=True, slots=True)
class Availability:
    """Whether a tool can run here; if not, what is missing and the command that gets it."""

    ok: bool
    reason: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class ToolInput:
    """Input of a tool's `run`.

    Attributes:
        video: The probed video.
        frames: Distinct sampled frames; None for a tool that does not need them.
        audio: Returns the audio as 16 kHz mono blocks in time order; each call decodes it again.
        phrases: Objects to detect, for a tool that needs phrases.
        question: The user's words, for a tool that needs the question.
        evidence: What other tools found, by the names in the tool's `uses`, in time order.
        chat: A vision chat model, for a tool that needs vision.
        progress: Call with (seconds of video done, seconds in all) while running.
        stopped: True once the user pressed Stop; check it between units of work and raise
            `StoppedError`; the evidence so far is then not stored.
        note: Call with a sentence that the channel report is to tell, of what was chosen or left
            out.
        keep: Call with the name of a unit of work and a function that does it and returns plain
            JSON. The result is checkpointed: a run resumed after a stop or kill does not repeat
            the work. Numbers and texts round-trip unchanged, tuples become lists.
    """

    video: "Video"
    frames: "FrameSet | None" = None
    audio: "Callable[[], Iterator[AudioBlock]]" = lambda: iter(())
    phrases: tuple[str, ...] = ()
    question: str = ""
    evidence: "Mapping[str, Sequence[Evidence]]" = field(default_factory=dict)
    chat: "BaseChatModel | None" = None
    progress: Callable[[float, float], None] = lambda done_s, total_s: None
    stopped: Callable[[], bool] = lambda: False
    note: Callable[[str], None] = lambda text: None
    keep: Keep = lambda name, work: work()


@dataclass(frozen=True)
class ToolRuntime:
    """Where and how a tool may load its weights.

    Attributes:
        device: A torch device string ("cpu", "cuda:0").
        offline: True forbids any download: raise `MissingError` instead.
        models: Folder for downloaded or converted weights.
    """

    device: str
    offline: bool
    models: Path


class Tool(ABC):
    """Finds evidence in a video.

    A subclass sets `name`, `kind` and `version`, and implements `run`; the rest is optional. It is
    registered under the entry-point group `reelgraph.tools`. Raise `version` when the same input
    would give other evidence: it is part of the library's cache key.
    """

    name: ClassVar[str]
    kind: ClassVar[str]
    version: ClassVar[str]
    Options: ClassVar[type[ToolOptions]] = ToolOptions
    expensive: ClassVar[bool] = False
    """True: the method `explore` runs it only if the model chooses it by its description."""

    def __init__(self, options: ToolOptions | None = None) -> None:
        self.options = options or self.Options()

    @property
    def needs(self) -> frozenset[Need]:
        """What `run` requires in its input; may depend on the options."""
        return frozenset()

    @property
    def uses(self) -> frozenset[str]:
        """Tools, by name or by kind of evidence, whose evidence `run` is given.

        It runs after them, and their runs are part of its cache key. May depend on the options.
        """
        return frozenset()

    @property
    def models(self) -> Mapping[str, str]:
        """The models that find the evidence, by role: names, files or folders.

        The plan and the answer list them. A file or folder is part of the run's cache key, so that
        other weights under the same name do not return stale evidence.
        """
        return {}

    @property
    def reentrant(self) -> bool:
        """Whether several runs may use one loaded tool concurrently.

        True requires that `run` changes neither the tool nor what `setup` loaded, and that the
        latter is thread-safe. With False, runs are serialized. May depend on the options.
        """
        return False

    @property
    def memory_bytes(self) -> int:
        """Bytes of the weights that `setup` loaded; 0 without any.

        They count towards the memory limit of all loaded models. A tool with weights is evicted
        when another model needs the memory and no run uses the tool.
        """
        return 0

    def available(self) -> Availability:
        """Check cheaply (no import of a heavy package, no download) whether the tool can run."""
        return Availability(ok=True)

    def reads(self, video: "Video") -> Sequence[Path]:
        """Return further files that `run` reads; their content is part of the run's cache key.

        For a file over 32 MiB, size and modification time replace the content.
        """
        return ()

    def setup(self, runtime: ToolRuntime) -> None:  # noqa: B027 - optional, not abstract
        """Load weights; called once before the first `run`, never at construction.

        Raises:
            MissingError: Weights or a package are missing; the message names the remedy.
        """

    @abstractmethod
    def run(self, given: ToolInput) -> Iterator[Evidence]:
        """Yield evidence, in time order, while processing the video."""
