"""The contract of a tool: what a plug-in and every built-in tool implement."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from tools.evidence import Evidence

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from tools.media.audio import AudioBlock
    from tools.media.frames import FrameSet
    from tools.media.video import Video

Need = Literal["file", "frames", "audio", "phrases", "vision"]
"""What a tool wants to be given: the file itself, sampled frames, audio, phrases to look for
(known only once a question was asked), a chat model that can see."""


Keep = Callable[[str, Callable[[], Any]], Any]
"""Does a piece of work, known by a name within the run, or recalls what came of it."""


class ToolOptions(BaseModel):
    """Base of a tool's options: typed, immutable, unknown keys rejected."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True)
class Availability:
    """Whether a tool can run here; if not, what is missing and the command that gets it."""

    ok: bool
    reason: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class ToolInput:
    """What a tool's `run` is given.

    Attributes:
        video: The probed video.
        frames: Distinct sampled frames; None for a tool that does not need them.
        audio: Returns the sound as 16 kHz mono blocks in time order; each call decodes anew.
        phrases: Objects to look for, for a tool that needs phrases.
        chat: A chat model that can see, for a tool that needs vision.
        progress: Call with (seconds of video done, seconds in all) while running.
        stopped: True once the user pressed Stop; look at it between pieces of work and raise
            `StoppedError`, what was found so far is then not stored.
        keep: Call with the name of a piece of work and a function that does it and returns plain
            JSON; a run that was stopped or killed is given back what it kept and does not do it
            again. Numbers and texts come back as they were, tuples as lists.
    """

    video: "Video"
    frames: "FrameSet | None" = None
    audio: "Callable[[], Iterator[AudioBlock]]" = lambda: iter(())
    phrases: tuple[str, ...] = ()
    chat: "BaseChatModel | None" = None
    progress: Callable[[float, float], None] = lambda done_s, total_s: None
    stopped: Callable[[], bool] = lambda: False
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
    """Something that looks at a video and finds evidence.

    A subclass sets `name`, `kind` and `version`, and implements `run`; the rest is optional. It is
    registered under the entry-point group `reelgraph.tools`. Raise `version` when the same input
    would give other evidence: it is part of the library's key.
    """

    name: ClassVar[str]
    kind: ClassVar[str]
    version: ClassVar[str]
    Options: ClassVar[type[ToolOptions]] = ToolOptions

    def __init__(self, options: ToolOptions | None = None) -> None:
        self.options = options or self.Options()

    @property
    def needs(self) -> frozenset[Need]:
        """What `run` wants in its input; may depend on the options."""
        return frozenset()

    @property
    def models(self) -> Mapping[str, str]:
        """The models that find the evidence, by role: names, files or folders.

        They stand in the plan and in the answer. One that is a file or a folder becomes part of the
        run's key, so that other weights under the same name do not give old evidence.
        """
        return {}

    @property
    def reentrant(self) -> bool:
        """Whether several runs may use one loaded tool at once.

        They may where `run` changes neither the tool nor what `setup` loaded, and that can be used
        by several threads. False lends the tool to one run after the other. May depend on the
        options.
        """
        return False

    @property
    def memory_bytes(self) -> int:
        """Bytes that the weights take which `setup` loaded; 0 without any.

        They count among those that all loaded models may take, and a tool that takes some is let
        go of when another needs the room and no run holds it.
        """
        return 0

    def available(self) -> Availability:
        """Say cheaply (no import of a heavy package, no download) whether the tool can run."""
        return Availability(ok=True)

    def reads(self, video: "Video") -> Sequence[Path]:
        """Return further files that `run` reads; their content becomes part of the run's key.

        Of a file over 32 MiB its size and time stand for the content.
        """
        return ()

    def setup(self, runtime: ToolRuntime) -> None:  # noqa: B027 - optional, not abstract
        """Load weights; called once before the first `run`, never at construction.

        Raises:
            MissingError: Weights or a package are not there; the text names the remedy.
        """

    @abstractmethod
    def run(self, given: ToolInput) -> Iterator[Evidence]:
        """Yield evidence, in time order, while looking at the video."""
