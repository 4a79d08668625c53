"""The public API: ask questions about videos, or index videos ahead of the questions.

    from agent import ask
    print(ask("lecture.mp4", "When is the exam?").answer)

Importing this package loads neither torch nor LangGraph; they are imported on first use.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tools  # noqa: F401 - first, as it switches off the telemetry of libraries

if TYPE_CHECKING:
    from agent.answer import Answer
    from agent.session import Session
    from tools.evidence import ChannelReport

__all__ = ["Answer", "Session", "ask", "index"]


def ask(
    video: Path | str,
    question: str,
    options: Sequence[str] = (),
    profile: str | None = None,
    settings: Mapping[str, Any] | None = None,
) -> "Answer":
    """Answer a question about a video; for several questions keep a `Session`.

    Arguments and errors are those of `agent.session.Session` and its `stream`.
    """
    from agent.session import Session

    return Session(profile, settings).ask(video, question, options)


def index(
    video: Path | str, profile: str | None = None, settings: Mapping[str, Any] | None = None
) -> "tuple[ChannelReport, ...]":
    """Run every tool of the profile on a video, so that later questions are fast."""
    from agent.session import Session

    return Session(profile, settings).index(video)


def __getattr__(name: str) -> Any:
    if name == "Answer":
        from agent.answer import Answer

        return Answer
    if name == "Session":
        from agent.session import Session

        return Session
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
