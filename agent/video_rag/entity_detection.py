"""Entity detection: detect the entities of a question on its key frames.

    request -> key frames -> a tool that needs phrases -> evidence in the library

The library stores detections by tool, phrases and frames. Phrases are detected and stored as one
set, because an open-vocabulary detector's result for one phrase depends on the others: with one
entry per phrase, answers would depend on earlier questions.
"""

from collections.abc import Sequence
from dataclasses import replace
from time import perf_counter

from langgraph.errors import GraphDrained
from langgraph.runtime import Runtime

from agent.answer import Meter
from agent.frames.files import frames_of, picture_files
from agent.ingest.frames import ensure_frames
from agent.ingest.picture_vectors import picture_vectors
from agent.ingest.tool_node import Node, reason_to_skip, run_or_recall
from agent.models.image_text import ImageTextEncoder
from agent.state import Context, Findings, State
from agent.video_rag.key_frames import (
    KeyFrameRule,
    KeyFrames,
    choose_key_frames,
    spread_key_frames,
    wording,
)
from tools.base import Tool
from tools.errors import MissingError, StoppedError
from tools.evidence import ChannelReport
from tools.media.frames import FrameSet, StoredFrame
from tools.media.video import Video
from tools.registry import make_tool

OBJECTS = "objects"  # the kind of evidence with boxes


def look_node(name: str, rule: KeyFrameRule, note: str = "", frames: int = 0) -> Node:
    """Return a node that runs a tool on key frames, or takes its earlier run from the library.

    Args:
        name: A tool that needs phrases and frames.
        rule: Rule for the choice of key frames.
        note: Text to add to its channel report.
        frames: Number of candidate frames, spread as in the published code; 0 takes all distinct
            frames of the library.
    """

    def node(state: State, runtime: Runtime[Context]) -> Findings:
        start, meter = perf_counter(), Meter()
        tool = make_tool(name, runtime.context.settings.tools.get(name, {}))
        if skip := reason_to_skip(tool, state, runtime.context) or _nothing_to_do(tool, state):
            return {"channels": {name: skip}}
        try:
            pictures = _pictures(state["video"], runtime, meter, frames)
            chosen = _choose(pictures, state, runtime, rule)
            why = "; ".join(filter(None, [chosen.why, note]))
            if not chosen.positions:
                return {"channels": {name: ChannelReport(name, "skipped", reason=why)}}
            run = run_or_recall(tool, state, runtime, meter, _only(pictures, chosen))
        except StoppedError as stop:
            raise GraphDrained(str(stop)) from stop
        meter.seconds = perf_counter() - start
        report = replace(run.report, cached=not meter.tool_runs, reason=f"looked at {why}")
        return {"channels": {name: report}, "runs": {name: run.id}, "usage": {name: meter.usage()}}

    return node


def published_frames(total: int, count: int) -> list[int]:
    """Return the frame numbers of the published code: evenly from first to last, truncated.

    Always `count` of them, so frames of a short video repeat.
    """
    import numpy as np

    return [int(i) for i in np.linspace(0, total - 1, count, dtype=int)]


def _nothing_to_do(tool: Tool, state: State) -> ChannelReport | None:
    """Return the report of a tool that the question does not need."""
    request = state["request"]
    if not request.entities:
        return ChannelReport(tool.name, "skipped", reason="the question names nothing to look for")
    if tool.kind == OBJECTS and not request.aspects:
        reason = "the question asks for no place, number, order or relation of things"
        return ChannelReport(tool.name, "skipped", reason=reason)
    return None


def _pictures(video: Video, runtime: Runtime[Context], meter: Meter, count: int) -> FrameSet:
    """Return the candidate frames, each with the time span that it represents."""
    if not count:
        return ensure_frames(video, runtime, meter)
    context = runtime.context
    planned = frames_of(video, lambda total: published_frames(total, count), "decord")
    side = context.settings.sampling.max_side
    files = picture_files(video, planned, context.library, meter, side, "decord")
    ends = [*(frame.time_s for frame in planned[1:]), video.duration_s]
    stored = tuple(
        StoredFrame(number, frame.time_s, max(frame.time_s, end_s), file)
        for number, (frame, end_s, file) in enumerate(zip(planned, ends, files, strict=True))
    )
    return FrameSet(files[0].parent, video.duration_s, stored, ())


def _choose(
    pictures: FrameSet, state: State, runtime: Runtime[Context], rule: KeyFrameRule
) -> KeyFrames:
    """Return the key frames; without an encoder, evenly spread frames, with a note."""
    total, context = len(pictures.frames), runtime.context
    try:
        encoder = context.pool.image_encoder()
    except MissingError as error:
        return spread_key_frames(total, rule.most, str(error))
    if encoder is None:
        return spread_key_frames(total, rule.most, "no image_encoder.model is configured")
    phrases = state["request"].entities
    return _compare(pictures, phrases, state["video"], runtime, rule, encoder)


def _compare(
    pictures: FrameSet,
    phrases: Sequence[str],
    video: Video,
    runtime: Runtime[Context],
    rule: KeyFrameRule,
    encoder: ImageTextEncoder,
) -> KeyFrames:
    vectors = picture_vectors(
        video, pictures, encoder, runtime.context.library, lambda: runtime.drain_requested
    )
    return choose_key_frames(vectors, encoder.texts(wording(phrases)), rule)


def _only(pictures: FrameSet, chosen: KeyFrames) -> FrameSet:
    """Return the set of chosen frames; each keeps its number and its time."""
    kept = set(chosen.positions)
    return FrameSet(
        pictures.folder,
        pictures.duration_s,
        tuple(pictures.frames[i] for i in sorted(kept)),
        tuple(sample for sample in pictures.samples if sample.frame in kept),
    )
