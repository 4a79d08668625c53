"""The plan of a question to several videos: made before any model call."""

from collections.abc import Iterable
from dataclasses import asdict

import prompts
from agent.answering.method import read_options
from agent.answering.prompt import opening_prompts, prompt_names
from agent.library.keys import digest
from agent.models.identity import encoder_identity, reply_identity
from agent.plan import AROUND
from agent.records import Plan, Question
from agent.state import Context
from agent.video_rag.method import unread
from agent.video_rag.options import Options

METHOD = "search"  # what an answer from several videos names as its method


def plan_search(videos: Iterable[str], question: Question, context: Context) -> Plan:
    """Return the plan for a question to the videos with these hashes."""
    settings = context.settings
    examples = read_options("video-rag", Options, settings).examples
    names = prompt_names(question, *opening_prompts(examples, several=True), "given_records")
    reads = not unread(context)
    identities = {"embedder": encoder_identity(settings.embedder)}
    if reads:
        identities = {"chat": reply_identity(settings.chat), **identities}
    return Plan(
        video=digest(sorted(videos)),
        method=METHOD,
        why="several videos are searched, and the best of all is read",
        frames=(),
        visuals={},
        sampling={},
        tools=(),
        models={role: str(identity["model"]) for role, identity in identities.items()},
        identities=identities,
        prompts={name: prompts.version(name) for name in names if reads},
        calls=(0, 2) if reads else (0, 0),
        tokens=settings.retrieval.token_budget if reads else 0,
        settings=digest(
            {
                "question": asdict(question),
                "chat": {name: getattr(settings.chat, name) for name in AROUND},
                "retrieval": settings.retrieval.model_dump(mode="json"),
                "method": {"examples": examples},
            }
        ),
    )
