"""The nodes of the detection graph, from the probe to the verdict."""

from collections.abc import Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any, cast

from langgraph.graph import END
from langgraph.runtime import Runtime
from langgraph.types import Command, Send

from agent.answer import Meter, Usage
from agent.detection.canary import CANARY, canary_reading
from agent.detection.compose import compose_turns
from agent.detection.frames import SHOWN, measured_frames, plan_frames, show, shuffled
from agent.detection.grounding import ground
from agent.detection.judge import (
    REASONS,
    ask_model,
    judge_once,
    next_step,
    plain_reply,
    read_plain,
    recovered,
)
from agent.detection.readings import read_tools
from agent.detection.records import ShownFrames, ToolReading, Verdict
from agent.detection.rules import decide_by_rules
from agent.detection.schema import reply_schema
from agent.detection.state import DetectionContext, DetectionState
from agent.detection.task import INCONCLUSIVE
from agent.graph import find_video
from agent.ingest.tool_node import reporting, tool_node
from agent.records import Request, Turn
from agent.state import Findings, State
from tools.errors import MissingError
from tools.evidence import ChannelReport
from tools.media.video import Video
from tools.registry import broken_tools, tool_classes

SEED = 20_250_220  # of the shuffled control
Node = Runtime[DetectionContext]


def probe(state: DetectionState, runtime: Node) -> DetectionState:
    """Probe the file, or take the probe from the library."""
    start = perf_counter()
    video_of(state, runtime.context)
    return {"usage": {"probe": Usage(seconds=perf_counter() - start)}}


def video_of(state: Any, context: DetectionContext) -> Video:
    """Return the video of a state, which holds only its path: the library keeps the probe."""
    return find_video(state["path"], context.library, context.settings.tracks)


def sample(state: DetectionState, runtime: Node) -> DetectionState:
    """Choose the frames by time; nothing is decoded yet."""
    return {"planned": plan_frames(video_of(state, runtime.context))}


def fan_out(state: DetectionState, runtime: Node) -> list[Send] | str:
    """Send each tool of the kit to a run of its own."""
    tools = [tool for tool in runtime.context.job.kit if tool != CANARY]
    return [Send("run_tool", {"path": state["path"], "tool": tool}) for tool in tools] or "decide"


def to_tools(state: DetectionState, runtime: Node) -> list[Send] | str:
    """Send each tool to a run of its own, and nothing else."""
    sent = fan_out(state, runtime)
    return END if isinstance(sent, str) else sent


def run_tool(state: Any, runtime: Node) -> Findings:
    """Run one tool by the adapter of ingest, which keeps its result in the library."""
    name = state["tool"]
    if name not in tool_classes() and name not in broken_tools():
        missing = ChannelReport(name, "unavailable", reason="no such tool is installed")
        return {"channels": {name: missing}}
    given: State = {
        "video": video_of(state, runtime.context),
        "request": Request(entities=runtime.context.job.task.phrases),
    }
    return reporting(tool_node(name), [name])(given, cast("Any", runtime))


def readings(state: DetectionState, context: DetectionContext) -> tuple[ToolReading, ...]:
    """Return the readings of the job's kit from the library."""
    video, kit = video_of(state, context), context.job.kit
    run, channels = state.get("runs", {}), state.get("channels", {})
    tools = [tool for tool in kit if tool != CANARY]
    found = read_tools(tools, channels, run, video, context.library)
    return (*found, canary_reading(video)) if CANARY in kit else found


def decide(state: DetectionState, runtime: Node) -> Command[str]:
    """Decide without a model where rules or trusted provenance can, or where none may judge."""
    context, video = runtime.context, video_of(state, runtime.context)
    found = readings(state, context)
    verdict = decide_by_rules(context.job.task, found, video.duration_s)
    verdict = verdict or _nobody_can_judge(state, context)
    if verdict is None:
        return Command(goto="compose")
    return Command(update={"verdict": verdict, "shown": ShownFrames()}, goto="report")


def _nobody_can_judge(state: DetectionState, context: DetectionContext) -> Verdict | None:
    """Return why no model may judge the clip; None if one may."""
    video, task = video_of(state, context), context.job.task
    if not video.has_picture:
        return Verdict(INCONCLUSIVE, "nobody", "the file has no picture", code="no_picture")
    if video.duration_s < task.min_seconds:
        why = f"the clip lasts {video.duration_s:.2f} s, too short to judge"
        return Verdict(INCONCLUSIVE, "nobody", why, code="too_short")
    name = context.settings.chat.model
    try:
        if context.pool.capabilities().images:
            return None
        lack, code = f"{name} reads text only", "text_only_model"
    except MissingError:
        lack, code = f"{name} is not on this machine", "no_model"
    why = (
        f"{lack}, so nobody looked at the pictures, and measurements alone decide nothing; take a "
        f"model that sees, as with --profile gpu or endpoint"
    )
    return Verdict(INCONCLUSIVE, "nobody", why, code=code)


def compose(state: DetectionState, runtime: Node) -> DetectionState:
    """Write the request to the model, with the frames and the views as pictures."""
    start, meter, job = perf_counter(), Meter(), runtime.context.job
    video, found = video_of(state, runtime.context), readings(state, runtime.context)
    views = min(job.task.max_views, sum(r.view is not None and r.status == "ok" for r in found))
    limit = runtime.context.pool.capabilities().max_images
    count = SHOWN if limit is None else max(1, min(SHOWN, limit - views))
    if limit is not None and views >= limit:  # the frames come first
        found = tuple(replace(r, view=None) for r in found)
    frames = measured_frames(found, tuple(state["planned"]))
    shown = show(video, frames, runtime.context.library, meter, count)
    turns = compose_turns(
        job.task, job.document, found, _ordered(shown, job.order), video.duration_s
    )
    meter.seconds = perf_counter() - start
    return {"shown": shown, "turns": turns, "usage": {"compose": meter.usage()}}


def _ordered(shown: ShownFrames, order: str) -> ShownFrames:
    if order == "reversed":
        return replace(shown, files=tuple(shown.files)[::-1])
    return shuffled(shown, SEED) if order == "shuffled" else shown


def judge(state: DetectionState, runtime: Node) -> DetectionState:
    """Call the model."""
    call, chat = state.get("calls", 0) + 1, runtime.context.pool.chat()
    message, usage = ask_model(state["turns"], chat, runtime.context.job.task.max_reply_tokens)
    return {"reply": plain_reply(message), "calls": call, "usage": {f"judge {call}": usage}}


def validate(state: DetectionState, runtime: Node) -> Command[str]:
    """Parse the reply strictly, and check what it claims against what was measured."""
    job, found = runtime.context.job, readings(state, runtime.context)
    schema = reply_schema(job.task, job.document, job.kit)
    read = read_plain(state["reply"], schema)
    if read.reply is not None:
        duration_s = video_of(state, runtime.context).duration_s
        verdict = ground(read.reply, found, state["shown"], duration_s, job.task)
        then = "control" if job.check_motion else "report"
        return Command(update={"verdict": verdict}, goto=then)
    codes = {str(state["calls"]): str(read.code)}
    way = next_step(read.code, state.get("tried", ()), state["calls"])
    if way is None:
        return Command(update={"codes": codes}, goto="abstain")
    count = len(state["shown"].frames)
    again = recovered(
        way,
        _turns(state["turns"]),
        count,
        pictures=max(1, count // 2),
        text=state["reply"]["text"],
        error=read.error,
    )
    tried = (*state.get("tried", ()), way)
    return Command(update={"codes": codes, "tried": tried, "turns": again}, goto="repair")


def _turns(turns: Sequence[Turn]) -> tuple[Turn, ...]:
    """Return turns with tuples, which a checkpoint turns into lists."""
    return tuple(replace(turn, images=tuple(turn.images)) for turn in turns)


def repair(state: DetectionState, runtime: Node) -> DetectionState:
    """Say that the model is asked again, and why; the next call follows."""
    code = dict(state["codes"])[str(state["calls"])]
    runtime.stream_writer({"stage": "repair", "done_s": 0.0, "total_s": 0.0, "why": code})
    return {}


def abstain(state: DetectionState, runtime: Node) -> DetectionState:
    """Give no verdict, with the code of the last reply."""
    code = dict(state["codes"])[str(state["calls"])]
    return {"verdict": Verdict(INCONCLUSIVE, "nobody", REASONS[code], code=code)}


def control(state: DetectionState, runtime: Node) -> DetectionState:
    """Judge once more with the pictures of the frames shuffled under their numbers and times."""
    job, found, shown = runtime.context.job, readings(state, runtime.context), state["shown"]
    duration_s = video_of(state, runtime.context).duration_s
    turns = compose_turns(job.task, job.document, found, shuffled(shown, SEED), duration_s)
    schema = reply_schema(job.task, job.document, job.kit)
    outcome = judge_once(turns, runtime.context.pool.chat(), schema, job.task.max_reply_tokens)
    verdict = None
    if outcome.reply is not None:
        verdict = ground(outcome.reply, found, shown, duration_s, job.task)
    return {"control": verdict, "usage": {"control": outcome.usage}}
