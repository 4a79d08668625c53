"""The plan of a run: plain data, deterministic, made before any model call.

Weights in a folder are identified by the names, sizes and modification times of its files, so two
machines make the same plan where these are the same.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import prompts
from agent.answering.method import MethodPlan
from agent.library.keys import captioner_of, digest, run_settings, sampling_values
from agent.methods import choose
from agent.models.identity import encoder_identity, reply_identity
from agent.records import Plan, PlannedTool, Question
from agent.settings import Settings
from agent.state import Context
from tools.base import PER_QUESTION, Tool
from tools.media.video import Video
from tools.registry import make_tool

# Settings of the chat model that change its prompts or the use of a reply, but no reply to the same
# conversation.
AROUND = ("images", "max_images", "tool_calling", "calibration", "abstain_below")


def make_plan(video: Video, question: Question, context: Context) -> Plan:
    """Make the plan of a run, without calling a model or decoding the video."""
    settings = context.settings
    chosen = choose(settings, video, context.pool.capabilities)
    planned = chosen.method.plan(video, question, context)
    tools = [make_tool(name, settings.tools.get(name, {})) for name in planned.tools]
    identities = dict(_identities(planned, tools, settings))
    return Plan(
        video=video.sha256,
        method=chosen.method.name,
        why=chosen.why,
        frames=planned.frames,
        visuals=planned.visuals,
        sampling=sampling_values(video, settings),
        tools=tuple(_planned(tool, video, context) for tool in tools),
        models=_names(identities, tools),
        identities=identities,
        prompts={name: prompts.version(name) for name in planned.prompts},
        calls=planned.calls,
        tokens=planned.tokens,
        settings=digest(
            {
                "question": asdict(question),
                "chat": {name: getattr(settings.chat, name) for name in AROUND},
                "retrieval": settings.retrieval.model_dump(mode="json"),
                "method": settings.methods.get(chosen.method.name, {}),
            }
        ),
    )


def _identities(
    planned: MethodPlan, tools: Sequence[Tool], settings: Settings
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield role and identity of each frozen model that may be used."""
    if planned.calls[1]:
        yield "chat", reply_identity(settings.chat)
    if "captioner" in planned.roles or any("vision" in tool.needs for tool in tools):
        yield "captioner", reply_identity(captioner_of(settings))
    if "embedder" in planned.roles:
        yield "embedder", encoder_identity(settings.embedder)
    if "image encoder" in planned.roles and settings.image_encoder.model != "none":
        yield "image encoder", encoder_identity(settings.image_encoder)


def _names(identities: Mapping[str, Mapping[str, Any]], tools: Sequence[Tool]) -> Mapping[str, str]:
    """Return the names of all models by role; of two tools with one role, the second adds its name.

    The rest of the identity of a tool's models is part of the key of its run.
    """
    named = {role: str(identity["model"]) for role, identity in identities.items()}
    for tool in tools:
        for role, model in tool.models.items():
            named[f"{tool.name}: {role}" if role in named else role] = model
    return named


def _planned(tool: Tool, video: Video, context: Context) -> PlannedTool:
    key = digest(run_settings(tool, video, context.settings))
    waits = bool(tool.needs & PER_QUESTION or tool.uses)
    known = not waits and context.library.finished_run(video, tool.name, key) is not None
    return PlannedTool(tool.name, key, known, waits)
