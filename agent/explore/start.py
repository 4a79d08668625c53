"""The start of the exploration: the model's initial context."""

from collections.abc import Mapping
from dataclasses import replace
from time import perf_counter

from langchain_core.messages import HumanMessage
from langgraph.runtime import Runtime

import prompts
from agent.answer import Meter
from agent.answering.evidence_lines import in_time_order, spread_order, within_budget
from agent.answering.prompt import lettered
from agent.explore.state import (
    TAIL_CALLS,
    Exploring,
    captions,
    cited_as,
    end_ids,
    numbered,
    options_of,
    picture_id,
    sees,
)
from agent.explore.tool_choice import unasked_tools
from agent.explore.tools import TOOLS
from agent.frames.files import frames_of, picture_files, shown
from agent.ingest.tool_node import recall
from agent.records import PlannedFrame
from agent.state import Context, Findings, State
from agent.text import clock
from tools.evidence import ChannelReport, Evidence
from tools.media.video import Video
from tools.registry import make_tool

PROMPTS = ("explore", "explore_found", "explore_noted", "explore_nudge", "explore_shown")


def open_video(state: Exploring, runtime: Runtime[Context]) -> Exploring:
    """Write the initial context: the question, the channels, and frames or a few notes."""
    start, context, video = perf_counter(), runtime.context, state["video"]
    options, meter, question = options_of(context), Meter(), state["question"]
    known = known_runs(state, context)
    frames = state["plan"].frames
    picture_files(video, frames, context.library, meter, options.max_side)
    lines = () if sees(video, context) else overview(state, context)
    text = prompts.render(
        "explore",
        length=clock(video.duration_s),
        channels=channel_lines({**state.get("channels", {}), **known["channels"]}, context),
        pictures=captions(frames),
        lines=[numbered(e) for e in lines],
        question=" ".join(question.text.split()),
        options=lettered(question.options),
        turns=options.max_calls - TAIL_CALLS,
        frames=options.max_frames if sees(video, context) else 0,
    )
    pictures = [replace(e, id=picture_id(f)) for e, f in zip(shown(frames), frames, strict=True)]
    meter.seconds = perf_counter() - start
    return {
        "channels": known["channels"],
        "runs": known["runs"],
        "messages": [HumanMessage(text)],
        "given": {cited_as(e): e for e in (*pictures, *lines)},
        "steps": (),
        "prompts": {name: prompts.version(name) for name in prompt_files()},
        "usage": {"open": meter.usage()},
    }


def known_runs(state: State, context: Context) -> Findings:
    """Return the earlier runs in the library, to be searched without running the tools again."""
    settings, channels = context.settings, state.get("channels", {})
    names = unasked_tools(settings)
    runs = {n: recall(n, state, context) for n in names if n not in channels}
    found = {name: run for name, run in runs.items() if run}
    return {
        "channels": {name: run.report for name, run in found.items()},
        "runs": {name: run.id for name, run in found.items()},
    }


def first_frames(video: Video, context: Context) -> tuple[PlannedFrame, ...]:
    """Return the initial frames: spread evenly, both ends included."""
    if not sees(video, context):
        return ()
    options, can = options_of(context), context.pool.capabilities()
    most = min(options.frames, options.max_frames, can.max_images or options.frames)
    return frames_of(video, lambda total: end_ids(total, most))


def overview(state: State, context: Context) -> tuple[Evidence, ...]:
    """Return some of the evidence, spread evenly over the video."""
    found = context.library.view(state.get("runs", {}).values()).records
    order = spread_order(found)
    count = context.pool.chat().count_tokens
    return in_time_order(within_budget(order, options_of(context).overview_tokens, count))


def channel_lines(channels: Mapping[str, ChannelReport], context: Context) -> list[str]:
    """Return a line per tool of the profile, without reasons, for they may name files."""
    settings = context.settings
    names = unasked_tools(settings)
    kinds = {name: make_tool(name, settings.tools.get(name, {})).kind for name in names}
    return [f"{name} ({kinds[name]}): {_fared(channels.get(name))}" for name in names]


def _fared(report: ChannelReport | None) -> str:
    if report is None:
        return "not run yet, runs when a tool of yours needs it"
    told = {"ok": f"{report.count} found", "empty": "found nothing", "skipped": "not needed"}
    return told.get(report.status, "not available")


def prompt_files() -> tuple[str, ...]:
    """Return the prompts of the exploration itself, tool descriptions included."""
    return (*PROMPTS, *(f"explore_{tool.name}" for tool in TOOLS))
