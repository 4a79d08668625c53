"""The generic adapter that turns any tool into a graph node, and the sampling before it.

It does for all tools what they need besides their work: library look-up, single flight, progress
events, counters, and the channel report, also of a failure.
"""

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from math import isfinite
from time import perf_counter
from typing import Any, Protocol

from langgraph.errors import GraphBubbleUp, GraphDrained
from langgraph.runtime import Runtime

from agent.answer import Meter
from agent.ingest.frames import ensure_frames, progress_of
from agent.ingest.spoken import SPEECH, told_by
from agent.ingest.uses import producers, require_used, used_evidence, used_keys
from agent.library.keys import captioner_of, digest, run_settings
from agent.library.rows import Run
from agent.library.store import Library
from agent.state import Context, Findings, State
from tools.base import Keep, Tool, ToolInput
from tools.errors import ChangedError, MissingError, ReelgraphError, StoppedError, StorageError
from tools.evidence import ChannelReport, Evidence, Status
from tools.media.audio import AudioBlock, read_audio
from tools.media.frames import FrameSet
from tools.media.video import Video
from tools.model_files.ready import ready
from tools.registry import make_tool

MAX_ATTEMPTS = 2  # of a node that fails with a transient error
MAX_FINDINGS = 200_000  # of one run; an hour of words has about 10,000
MAX_TEXT = 100_000  # characters of one finding
logger = logging.getLogger(__name__)


class Node(Protocol):
    """A node of ingest; LangGraph requires its first parameter to be called `state`."""

    def __call__(self, state: State, runtime: Runtime[Context]) -> Findings:
        """Run the tool and return its state update."""
        ...


def tool_node(name: str) -> Node:
    """Return a node that runs a tool, or recalls its earlier run from the library."""

    def node(state: State, runtime: Runtime[Context]) -> Findings:
        start = perf_counter()
        tool = make_tool(name, runtime.context.settings.tools.get(name, {}))
        skip = reason_to_skip(tool, state, runtime.context)
        if skip is not None:
            return {"channels": {name: skip}}
        meter = Meter()
        try:
            run = run_or_recall(tool, state, runtime, meter)
        except StoppedError as stop:
            raise GraphDrained(str(stop)) from stop
        meter.seconds = perf_counter() - start
        report = replace(run.report, cached=not meter.tool_runs)
        return {"channels": {name: report}, "runs": {name: run.id}, "usage": {name: meter.usage()}}

    return node


def reporting(node: Node, names: Sequence[str]) -> Node:
    """Return a node whose failure becomes a channel report of the tools `names`.

    This is the one place where any exception is caught: a tool, above all a plug-in, must not stop
    the answer. A transient error is raised as long as LangGraph will retry the node.
    """

    def guarded(state: State, runtime: Runtime[Context]) -> Findings:
        try:
            return node(state, runtime)
        except (GraphBubbleUp, StorageError, ChangedError):
            raise  # stopped, storage unusable, or the plan cannot be executed
        except Exception as error:
            attempt = runtime.execution_info.node_attempt if runtime.execution_info else 1
            if is_transient(error) and attempt < MAX_ATTEMPTS:
                raise
            logger.debug("%s failed", ", ".join(names), exc_info=error)
            return {"channels": {name: failure_report(name, error) for name in names}}

    return guarded


def failure_report(name: str, error: BaseException) -> ChannelReport:
    """Return the report of a tool that failed or misses something."""
    known = isinstance(error, ReelgraphError)
    return ChannelReport(
        tool=name,
        status="unavailable" if isinstance(error, MissingError) else "failed",
        reason=str(error) if known else f"{type(error).__name__}: {error}",
    )


def is_transient(error: Exception) -> bool:
    """Whether a retry may help: a network error, never a wrong input or a bug."""
    return isinstance(error, ConnectionError | TimeoutError)


def recall(name: str, state: State, context: Context) -> Run | None:
    """Return the finished run of a tool with the planned key, if the library has it."""
    tool = make_tool(name, context.settings.tools.get(name, {}))
    key = planned_key(tool, state) or digest(_values(tool, state, context))
    return context.library.finished_run(state["video"], name, key)


def planned_key(tool: Tool, state: State) -> str | None:
    """Return the planned key of a tool's run; None where it waits for the question.

    A graph that only ingests has no plan, and so no planned key; nor has a tool that uses the
    evidence of others, for its key depends on their runs.
    """
    return state["plan"].key(tool.name) if "plan" in state else None


def reason_to_skip(tool: Tool, state: State, context: Context) -> ChannelReport | None:
    """Return the report of a tool that has nothing to do or cannot run."""
    video, channels = state["video"], state.get("channels", {})
    if tool.name in channels:  # the sampling before it failed
        return channels[tool.name]
    if "audio" in tool.needs and not video.has_audio:
        return ChannelReport(tool.name, "skipped", reason="the file has no sound")
    if "frames" in tool.needs and not video.has_picture:
        return ChannelReport(tool.name, "skipped", reason="the file has no picture")
    listens = "audio" in tool.needs and tool.kind == SPEECH
    if listens and (told := told_by(video, state.get("runs", {}), context.library)):
        reason = f"{' and '.join(told)} already tell what is said"
        return ChannelReport(tool.name, "skipped", reason=reason)
    if "vision" not in tool.needs or recall(tool.name, state, context):
        return None  # a known run needs no model, so no check of its capabilities
    if not context.pool.capabilities("captioner").images:
        name = captioner_of(context.settings).model
        reason = f"{name} reads text only; captions need a model that sees"
        return ChannelReport(tool.name, "unavailable", reason=reason)
    return None


def run_or_recall(
    tool: Tool,
    state: State,
    runtime: Runtime[Context],
    meter: Meter,
    pictures: FrameSet | None = None,
) -> Run:
    """Return the finished run from the library, or run the tool and store its evidence.

    Args:
        tool: The tool; its weights are loaded only if it runs.
        state: Holds the video and, for a tool that needs phrases, the request.
        runtime: Runtime of the node.
        meter: Counts the cost.
        pictures: Frames to run on; None for all sampled ones.

    Raises:
        MissingError: The tool cannot run here.
        StoppedError: Stop was pressed; nothing is stored.
        ChangedError: A file that the tool reads differs from the plan; nothing is stored.
    """
    context, video = runtime.context, state["video"]
    planned = None if pictures else planned_key(tool, state)
    if planned and (done := context.library.finished_run(video, tool.name, planned)):
        return done
    settings = _values(tool, state, context, pictures)
    key = digest(settings)
    if planned and key != planned:
        raise ChangedError(_read_by(tool, video))
    if done := context.library.finished_run(video, tool.name, key):
        return done
    available = ready(tool, context.settings.models)
    if not available.ok:
        raise MissingError(f"{available.reason}; {available.remedy}")
    with context.library.claim(video, tool.name, key):
        if done := context.library.finished_run(video, tool.name, key):
            return done
        meter.tool_runs += 1
        keep = _keeper(video, tool.name, key, context.library)
        notes = list[str]()
        given = _input(tool, state, runtime, meter, pictures)
        given = replace(given, keep=keep, note=notes.append)
        seconds, evidence = _run_lent(tool, given, runtime)
        if digest(_values(tool, state, context, pictures)) != key:
            raise ChangedError(_read_by(tool, video))
        status: Status = "ok" if evidence else "empty"
        reason = "; ".join(dict.fromkeys(notes))
        report = ChannelReport(tool.name, status, len(evidence), seconds, reason)
        return context.library.save_run(video, key, settings, report, evidence)


def _run_lent(
    tool: Tool, given: ToolInput, runtime: Runtime[Context]
) -> tuple[float, list[Evidence]]:
    """Run a tool acquired from the pool; return its seconds, without waiting, and its evidence."""
    pool, waits = runtime.context.pool, partial(_say_waiting, tool.name, runtime)
    with (
        pool.captioner() if "vision" in tool.needs else nullcontext() as chat,
        pool.tool(tool.name, given.stopped, waits) as loaded,
    ):
        start = perf_counter()
        evidence = _run(loaded, replace(given, chat=chat))
        return round(perf_counter() - start, 3), evidence


def _values(
    tool: Tool, state: State, context: Context, pictures: FrameSet | None = None
) -> dict[str, Any]:
    """Return what a run depends on now."""
    phrases = _phrases(tool, state)
    values = dict(run_settings(tool, state["video"], context.settings, phrases))
    if "question" in tool.needs:
        values["question"] = state["question"].text
    if tool.uses:
        values["uses"] = used_keys(_used(tool, state, context), state["video"], context.library)
    if pictures:
        values["pictures"] = [[frame.path.name, frame.start_s] for frame in pictures.frames]
    return values


def _used(tool: Tool, state: State, context: Context) -> dict[str, int]:
    """Return the runs whose evidence a tool uses: of this graph's run, else of the library."""
    found: dict[str, int] = {}
    runs, channels = state.get("runs", {}), state.get("channels", {})
    for name in producers(tool, context.settings):
        if name in runs:
            found[name] = runs[name]
        elif name not in channels and (run := recall(name, state, context)):
            found[name] = run.id
    return found


def _read_by(tool: Tool, video: Video) -> str:
    """Name the files that a tool reads besides the video."""
    return " or ".join(file.name for file in tool.reads(video)) or f"a file that {tool.name} reads"


def _phrases(tool: Tool, state: State) -> tuple[str, ...]:
    """Return the phrases that a tool searches for, independent of their order."""
    return tuple(sorted(state["request"].entities)) if "phrases" in tool.needs else ()


def _input(
    tool: Tool,
    state: State,
    runtime: Runtime[Context],
    meter: Meter,
    pictures: FrameSet | None,
) -> ToolInput:
    """Return the input of a tool; frames are sampled first if it needs those of the video."""
    video = state["video"]

    def audio() -> Iterator[AudioBlock]:
        meter.decodes += 1
        return read_audio(video)

    if pictures is None and "frames" in tool.needs:
        pictures = ensure_frames(video, runtime, meter)
    context, runs = runtime.context, _used(tool, state, runtime.context)
    require_used(tool, runs, context.settings)
    return ToolInput(
        video=video,
        frames=pictures,
        audio=audio,
        phrases=_phrases(tool, state),
        question=state["question"].text if "question" in tool.needs else "",
        evidence=used_evidence(tool, runs, context.settings, context.library),
        progress=progress_of(tool.name, runtime),
        stopped=lambda: runtime.drain_requested,
    )


def _run(tool: Tool, given: ToolInput) -> list[Evidence]:
    """Run a tool to its end and validate its evidence.

    Raises:
        StoppedError: Stop was pressed.
        ReelgraphError: Its evidence is wrong or has no end, or it tries to end the program.
    """
    found: list[Evidence] = []
    try:
        for evidence in tool.run(given):
            found.append(checked(evidence, tool, given.video))
            if len(found) > MAX_FINDINGS:
                raise ReelgraphError(f"{tool.name} reports more than {MAX_FINDINGS:,} findings")
    except SystemExit as error:  # as a library does that takes itself for a program
        raise ReelgraphError(f"{tool.name} tried to end the program ({error.code})") from error
    if given.stopped():
        raise StoppedError("stopped by the user")
    return found


def _keeper(video: Video, tool: str, key: str, library: Library) -> Keep:
    """Return a function that runs pieces of a run with checkpoints, or restores finished ones."""
    known = library.pieces(video, tool, key)

    def keep(name: str, work: Callable[[], Any]) -> Any:
        if name in known:
            return known.pop(name)
        value = json.loads(json.dumps(work(), allow_nan=False))  # as it will be when restored
        library.save_piece(video, tool, key, name, value)
        return value

    return keep


def checked(evidence: Evidence, tool: Tool, video: Video) -> Evidence:
    """Reject evidence outside the video; its tool and kind are those that the tool declares.

    A plug-in may yield NumPy numbers, which the library would store as bytes.
    """
    if not isinstance(evidence, Evidence):
        raise ReelgraphError(
            f"{tool.name} reports {evidence!r:.80}, expected Evidence; this is a mistake in the "
            f"tool"
        )
    start_s, end_s, score = (float(x) for x in (evidence.start_s, evidence.end_s, evidence.score))
    if not isinstance(evidence.text, str) or not isfinite(score):
        raise ReelgraphError(
            f"{tool.name} reports the text {evidence.text!r} with the score {score}, expected a "
            f"string and a number; this is a mistake in the tool"
        )
    if len(evidence.text) > MAX_TEXT:
        raise ReelgraphError(
            f"{tool.name} reports a text of {len(evidence.text):,} characters, expected at most "
            f"{MAX_TEXT:,}"
        )
    slack_s = 0.5  # a container's duration may end before its last frame or cue does
    if not -slack_s <= start_s <= end_s <= video.duration_s + slack_s:
        raise ReelgraphError(
            f"{tool.name} reports {start_s:.2f}-{end_s:.2f} s in a video of "
            f"{video.duration_s:.2f} s; this is a mistake in the tool"
        )
    start_s = min(max(start_s, 0.0), video.duration_s)
    return replace(
        evidence,
        tool=tool.name,
        kind=tool.kind,
        start_s=start_s,
        end_s=min(max(end_s, start_s), video.duration_s),
        score=score,
    )


def _say_waiting(stage: str, runtime: Runtime[Context]) -> None:
    """Stream that a stage waits for another run to end."""
    runtime.stream_writer({"stage": stage, "waits": True})
