"""The plan of a run: plain data, made before any model call, the same on every machine."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import prompts
from agent.library.keys import digest, run_settings, sampling_values
from agent.methods import choose
from agent.records import PlannedFrame, Question
from agent.state import Context
from tools.media.video import Video
from tools.registry import make_tool


@dataclass(frozen=True, slots=True)
class PlannedTool:
    """A tool that will look at the video, and whether the library already has what it finds."""

    tool: str
    key: str
    known: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run will do.

    Attributes:
        video: Content hash of the video.
        method: Name of the method.
        why: Why it was chosen.
        frames: Pictures that go to the model; none for a method that reasons over text.
        visuals: How they are laid out: grids, thumbnails, sampled tokens.
        sampling: How pictures are taken for the visual tools.
        tools: Tools of the profile, in its order.
        models: Names of the models by role.
        prompts: Version by prompt name.
        calls: Calls of the chat model, at least and at most.
        tokens: Tokens of evidence in one prompt, at most.
        settings: Hash of everything else that shapes the answer.
    """

    video: str
    method: str
    why: str
    frames: tuple[PlannedFrame, ...]
    visuals: Mapping[str, Any]
    sampling: Mapping[str, Any]
    tools: tuple[PlannedTool, ...]
    models: Mapping[str, str]
    prompts: Mapping[str, str]
    calls: tuple[int, int]
    tokens: int
    settings: str

    @property
    def id(self) -> str:
        """First 12 hex digits of the plan's hash; the state of the library does not change it."""
        values = asdict(self)
        values["tools"] = [(tool.tool, tool.key) for tool in self.tools]
        return digest(values)[:12]

    def to_json(self) -> dict[str, Any]:
        """Return the plan as a plain dictionary."""
        return {"plan": self.id, **asdict(self)}


def make_plan(video: Video, question: Question, context: Context) -> Plan:
    """Say what a run will do, without calling a model or reading the video's pictures."""
    settings = context.settings
    chosen = choose(settings, video, lambda: context.pool.chat().capabilities)
    method, why = chosen.method, chosen.why
    planned = method.plan(video, question, context)
    return Plan(
        video=video.sha256,
        method=method.name,
        why=why,
        frames=planned.frames,
        visuals=planned.visuals,
        sampling=sampling_values(video, settings),
        tools=tuple(_planned(name, video, context) for name in settings.ingest if method.ingests),
        models={"chat": settings.chat.model, "embedder": settings.embedder.model},
        prompts={name: prompts.version(name) for name in planned.prompts},
        calls=planned.calls,
        tokens=planned.tokens,
        settings=digest(
            {
                "question": asdict(question),
                "chat": settings.chat.model_dump(mode="json"),
                "retrieval": settings.retrieval.model_dump(mode="json"),
                "method": settings.methods.get(method.name, {}),
            }
        ),
    )


def _planned(name: str, video: Video, context: Context) -> PlannedTool:
    tool = make_tool(name, context.settings.tools.get(name, {}))
    if "phrases" in tool.needs:
        return PlannedTool(name, "depends on the question", known=False)
    key = digest(run_settings(tool, video, context.settings))
    return PlannedTool(name, key, context.library.finished_run(video, name, key) is not None)
