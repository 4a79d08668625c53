"""The methods: each a subgraph that turns a video and a question into an answer.

They are plug-ins: a package registers a method in the entry-point group `reelgraph.methods`, as
this one does.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from agent.answering.method import REGISTRY, Method, Need
from agent.ingest.spoken import SPEECH
from agent.models.chat_model import Capabilities
from agent.settings import Settings
from tools.errors import InputError, MissingError
from tools.media.video import Video
from tools.registry import METHODS, make_tool, names, suggest

DEFAULT = "video-rag"
AUTO = (DEFAULT, "direct")  # the methods that "auto" chooses from
BASELINES = ("direct", "subtitles-only", "blind")  # what a method is compared with
SHORT_S = 60.0  # below this a few frames show nearly everything


@dataclass(frozen=True, slots=True)
class Choice:
    """The method of a run and why it was chosen."""

    method: Method
    why: str


def find_method(name: str) -> Method:
    """Return a method.

    Raises:
        InputError: There is none of that name.
        MissingError: The package that provides it cannot be loaded.
    """
    if name not in names(METHODS):
        known = dict.fromkeys(["auto", *names(METHODS)])
        raise InputError(f"unknown method {name!r}{suggest(name, known)}")
    return REGISTRY.find(name)


def methods() -> Mapping[str, Method]:
    """Return every method that loads, by name."""
    return REGISTRY.all().usable


def broken_methods() -> Mapping[str, str]:
    """Return why methods do not load, by name."""
    return REGISTRY.all().broken


def candidates(settings: Settings) -> tuple[str, ...]:
    """Return the candidates for `choose`: the configured method, or those of "auto"."""
    return AUTO if settings.method == "auto" else (settings.method,)


def choose(settings: Settings, video: Video, can: Callable[[], Capabilities]) -> Choice:
    """Return the configured method, or for "auto" the one that suits model and video best.

    Args:
        settings: Name the method.
        video: The video of the question.
        can: Returns the chat model's capabilities; called last, for reading them takes a while.

    Raises:
        InputError: The chat model lacks a capability that the method needs.
    """
    if settings.method == "auto":
        short = video.has_picture and video.duration_s <= SHORT_S
        if short and not _says_something(settings, video) and _sees(can):
            return Choice(
                find_method("direct"), "the video is short and silent, and the model sees"
            )
        return Choice(
            find_method(DEFAULT), "what the tools find is searched, however long the video"
        )
    method = find_method(settings.method)
    missing = [need for need in sorted(method.needs) if not has(can(), need)]
    if missing:
        raise InputError(
            f"method {method.name!r} needs a chat model with {' and '.join(missing)}, which "
            f"{settings.chat.model!r} has not; choose another with --set chat.model=NAME or "
            f"--profile, or take --method auto"
        )
    return Choice(method, "it was asked for")


def _sees(can: Callable[[], Capabilities]) -> bool:
    """Whether the chat model takes pictures; one that is not there takes none."""
    try:
        return can().images
    except MissingError:
        return False


def _says_something(settings: Settings, video: Video) -> bool:
    """Whether there is audio or, within the file or beside it, subtitles."""
    if video.has_audio or video.subtitles:
        return True
    tools = (make_tool(name, settings.tools.get(name, {})) for name in settings.ingest)
    return any(tool.kind == SPEECH and tool.reads(video) for tool in tools)


def has(can: Capabilities, need: Need) -> bool:
    """Say whether a chat model has a capability that a method needs."""
    return {
        "images": can.images,
        "visual tokens": can.visual_tokens,
        "tool calls": can.tool_calling,
    }[need]
