"""Methods: one file each, a subgraph that turns a video and a question into an answer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from agent.methods import (
    blind,
    direct,
    explore,
    ig_vlm,
    llovi,
    subtitles_only,
    ts_llava,
    video_rag,
)
from agent.methods.base import Method, Need
from agent.models.chat_model import Capabilities
from agent.settings import Settings
from tools.errors import InputError
from tools.registry import suggest
from tools.video import Video

_ALL = (
    video_rag.METHOD,
    llovi.METHOD,
    direct.METHOD,
    explore.METHOD,
    ig_vlm.METHOD,
    ts_llava.METHOD,
    subtitles_only.METHOD,
    blind.METHOD,
)
METHODS: Mapping[str, Method] = {method.name: method for method in _ALL}
SHORT_S = 60.0  # below this a few pictures show nearly everything


@dataclass(frozen=True, slots=True)
class Choice:
    """The method of a run and why it was taken."""

    method: Method
    why: str


def find_method(name: str) -> Method:
    """Return a method. `InputError` when there is none of that name."""
    if name not in METHODS:
        raise InputError(f"unknown method {name!r}{suggest(name, {'auto': 0, **METHODS})}")
    return METHODS[name]


def choose(settings: Settings, video: Video, can: Callable[[], Capabilities]) -> Choice:
    """Return the method that was named, or for "auto" what suits model and video best.

    Args:
        settings: Name the method.
        video: The video to be asked about.
        can: Says what the chat model can do; loading it takes a while, so it is asked last.

    Raises:
        InputError: The method asks for more than the chat model can do.
    """
    if settings.method == "auto":
        silent = video.has_picture and not video.has_audio and not video.subtitles
        if silent and video.duration_s <= SHORT_S and can().images:
            return Choice(direct.METHOD, "the video is short and silent, and the model sees")
        return Choice(video_rag.METHOD, "what the tools find is searched, however long the video")
    method = find_method(settings.method)
    missing = [need for need in sorted(method.needs) if not has(can(), need)]
    if missing:
        raise InputError(
            f"method {method.name!r} needs a chat model with {' and '.join(missing)}, which "
            f"{settings.chat.model!r} has not; choose another with --set chat.model=NAME or "
            f"--profile, or take --method auto"
        )
    return Choice(method, "it was asked for")


def has(can: Capabilities, need: Need) -> bool:
    """Say whether a chat model can do what a method needs."""
    return {
        "images": can.images,
        "visual tokens": can.visual_tokens,
        "tool calls": can.tool_calling,
    }[need]
