"""Video-RAG as published: retrieval per channel by threshold, and a prompt without times.

The published pipeline is reproduced with its flaws: no budget, no times, everything above the
threshold. The wording is ours. Frames, key frames, the entity filter and scene text have their
parity rules beside the correct ones.
"""

from collections.abc import Sequence
from math import ceil
from time import perf_counter

from langgraph.runtime import Runtime

from agent.answer import Meter, Usage
from agent.answering.prompt import as_published, ask_for, pictures_section, section
from agent.frames.files import picture_files, shown
from agent.library import retrieval
from agent.records import Aspect
from agent.state import Context, State
from agent.video_rag.entity_detection import OBJECTS
from agent.video_rag.scene_text import pixel_box, published_scene
from tools.evidence import Evidence
from tools.media.video import Video
from tools.registry import make_tool

PUBLISHED_THRESHOLD = 0.3  # cosine; MLVU's script alone has 0


def retrieve_as_published(state: State, runtime: Runtime[Context]) -> State:
    """Retrieve speech and text by their own queries; take all detections on key frames."""
    start, context = perf_counter(), runtime.context
    runs = _runs_by_kind(state, context)
    everything = [run for kind in runs.values() for run in kind]
    found: list[Evidence] = []
    if context.library.view(everything).passages:
        for kind, queries in channel_queries(state).items():
            found += _above_threshold(runs.get(kind, []), queries, context)
    seen = context.library.passages(runs.get(OBJECTS, []))
    return {
        "evidence": (*(p.evidence for p in seen), *found),
        "relevance": 1.0,  # the published code never abstains
        "usage": {"retrieve": Usage(seconds=perf_counter() - start)},
    }


def channel_queries(state: State) -> dict[str, list[str]]:
    """Return the queries of each channel; the published code uses options as queries."""
    question, request = state["question"], state["request"]
    asked = [question.text, *question.options]
    speech = [request.speech] if request.speech else []
    return {"speech": asked + speech, "text": [*asked, *request.entities]}


def read(state: State, runtime: Runtime[Context]) -> State:
    """Write the prompt: objects, speech, text, then the question; empty channels are left out."""
    start, meter, context = perf_counter(), Meter(), runtime.context
    video, share = state["video"], state.get("context_share", 1.0)
    found = state["evidence"][: ceil(len(state["evidence"]) * share)]
    frames = state["plan"].frames[:: ceil(1 / share)]
    side = context.settings.sampling.max_side
    files = picture_files(video, frames, context.library, meter, side)
    given = [section("given_channels", **channels(found, video, state["request"].aspects))]
    if frames:
        given.insert(0, pictures_section(video, frames))
    meter.seconds = perf_counter() - start
    told = (one for one in given if one.text.strip())
    made = ask_for("read", state["question"], *told, images=files)
    return {
        **made,
        "ask": as_published(made["ask"], "video-rag"),
        "lines": (*found, *shown(frames)),
        "usage": {"read": meter.usage()},
    }


def channels(
    found: Sequence[Evidence], video: Video, aspects: Sequence[Aspect]
) -> dict[str, object]:
    """Return the content of each block of the prompt, empty for an empty channel.

    Frames are numbered from 1 among the sampled ones, as in the published prompt.
    """
    objects = []
    for one in found:
        if one.kind == OBJECTS and (items := _items(one, video, aspects)):
            objects.append({"number": one.data["frame"] + 1, "text": "; ".join(items)})
    speech, text = (
        [_quoted(one.text) for one in found if one.kind == kind] for kind in ("speech", "text")
    )
    return {
        "objects": objects,
        "speech": " ".join(speech),
        "text": "; ".join(text),
    }


def _items(one: Evidence, video: Video, aspects: Sequence[Aspect]) -> list[str]:
    boxes = [pixel_box(box, video.width, video.height) for box in one.data.get("boxes", ())]
    return published_scene(one.data.get("labels", ()), boxes, aspects)


def _quoted(text: str) -> str:
    """Return a text in quotation marks that it cannot break out of."""
    return " ".join(text.split()).replace('"', "'")


def _runs_by_kind(state: State, context: Context) -> dict[str, list[int]]:
    """Return the runs of the three published channels."""
    runs: dict[str, list[int]] = {}
    for name, run in sorted(state.get("runs", {}).items()):
        tool = make_tool(name, context.settings.tools.get(name, {}))
        asked = "phrases" in tool.needs
        if tool.kind in ("speech", "text") or (tool.kind == OBJECTS and asked):
            runs.setdefault(tool.kind, []).append(run)
    return runs


def _above_threshold(
    runs: Sequence[int], queries: Sequence[str], context: Context
) -> tuple[Evidence, ...]:
    if not runs:
        return ()
    rule = {"rule": "threshold", "threshold": PUBLISHED_THRESHOLD}
    settings = context.settings.retrieval.model_copy(update=rule)
    embedder = context.pool.embedder()
    return retrieval.retrieve(context.library, embedder, runs, queries, settings).evidence
