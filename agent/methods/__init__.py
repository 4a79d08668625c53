"""Methods: one file each, a subgraph that turns a video and a question into an answer."""

from collections.abc import Callable, Mapping
from typing import Any

from agent.methods import video_rag
from agent.settings import Settings

METHODS: Mapping[str, Callable[[Settings], Any]] = {"video-rag": video_rag.build}


def choose(name: str) -> str:
    """Return the method to use: the one that was named, or for "auto" what suits best."""
    return "video-rag" if name == "auto" else name
