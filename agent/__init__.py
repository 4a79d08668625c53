"""The state machine: ask questions of videos, or look at videos ahead of the questions.

    from agent import ask
    print(ask("lecture.mp4", "When is the exam?").answer)

Importing this package loads no torch; models load when they are first used.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

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
) -> Answer:
    """Answer a question of a video; for several questions keep a `Session`."""
    return Session(profile, settings).ask(video, question, options)


def index(
    video: Path | str, profile: str | None = None, settings: Mapping[str, Any] | None = None
) -> tuple[ChannelReport, ...]:
    """Look at a video with every tool of the profile, so that questions are fast."""
    return Session(profile, settings).index(video)
