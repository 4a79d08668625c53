"""Video-RAG as published: its request, retrieval per channel by threshold, a prompt without times.

The published pipeline is reproduced with its flaws: a reply that is not plain JSON requests
nothing, everything above the threshold is read, there are no times and no budget. The wording is
ours. Frames, key frames and scene text have their parity rules beside the correct ones.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from math import ceil
from time import perf_counter

import numpy as np
import numpy.typing as npt
from langgraph.runtime import Runtime

from agent.answer import Meter, Usage
from agent.answering.method import read_options
from agent.answering.prompt import as_published, ask_for, pictures_section, section
from agent.answering.prompt import lettered as with_letters
from agent.frames.files import frames_of, picture_files, shown
from agent.library.retrieval import by_threshold
from agent.records import Aspect, Question, Request
from agent.state import Context, State
from agent.video_rag.entities import find_tagger, published_filter, visible
from agent.video_rag.entity_detection import OBJECTS, published_frames
from agent.video_rag.options import PUBLISHED_FRAMES, Options
from agent.video_rag.scene_text import pixel_box, published_scene
from tools.evidence import Evidence
from tools.media.video import Video
from tools.registry import make_tool

DECOUPLE = "decouple_published"  # its prompt, which names the fields as the published one does
PUBLISHED_THRESHOLD = 0.3  # cosine; MLVU's script alone has 0
ASPECTS: tuple[Aspect, ...] = ("location", "number", "relation")


def published_request(text: str, question: str) -> Request:
    """Parse the model's request as the published code does; the question itself is not used.

    Only plain JSON counts, only the names ASR, DET and TYPE, only the three aspects as they are
    spelt. A text in DET is a list of its letters, a mapping one of its keys; any text in ASR is a
    query.
    """
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        return Request(source="model")
    speech, kinds = fields.get("ASR"), fields.get("TYPE")
    listed = kinds if isinstance(kinds, str | list | dict) else ()
    return Request(
        speech=speech if isinstance(speech, str) else None,
        entities=_entities(fields.get("DET")),
        aspects=tuple(aspect for aspect in ASPECTS if aspect in listed),
        source="model",
    )


def _entities(value: object) -> tuple[str, ...]:
    """Return the phrases that the published filter keeps; none where one is no text."""
    phrases = list(value) if isinstance(value, str | list | dict) else []
    if not all(isinstance(phrase, str) for phrase in phrases):
        return ()
    tagger = find_tagger()
    return published_filter(phrases, tagger) if tagger else visible(phrases)


def filter_note() -> str:
    """Say what replaces the published entity filter; empty where it is used."""
    if find_tagger():
        return ""
    return "entities were chosen by reelgraph's own rules, for spaCy's en_core_web_sm is not here"


def lettered(question: Question) -> list[str]:
    """Return the options as Video-MME has them: "A. a boat"."""
    return [f"{one['letter']}. {one['text']}" for one in with_letters(question.options)]


def retrieve_as_published(state: State, runtime: Runtime[Context]) -> State:
    """Retrieve speech and text by their own queries; take all detections on key frames."""
    start, context = perf_counter(), runtime.context
    runs = _runs_by_kind(state, context)
    queries = channel_queries(state)
    speech = context.library.view(runs.get("speech", []))
    found: list[Evidence] = []
    if speech.passages:
        vectors = speech.vectors(context.pool.embedder())
        found += _above_threshold(speech.records, vectors, queries["speech"], context)
    if text := _frame_texts(state["video"], runs.get("text", []), context):
        vectors = context.pool.embedder().embed([one.text for one in text])
        found += _above_threshold(text, vectors, queries["text"], context)
    seen = context.library.passages(runs.get(OBJECTS, []))
    return {
        "evidence": (*(p.evidence for p in seen), *found),
        "relevance": 1.0,  # the published code never abstains
        "usage": {"retrieve": Usage(seconds=perf_counter() - start)},
    }


def channel_queries(state: State) -> dict[str, list[str]]:
    """Return the queries of each channel; the published code uses options as queries."""
    question, request = state["question"], state["request"]
    asked = [question.text, *lettered(question)]
    speech = [] if request.speech is None else [request.speech]
    return {"speech": asked + speech, "text": [*asked, *request.entities]}


def _frame_texts(video: Video, runs: Sequence[int], context: Context) -> list[Evidence]:
    """Return the text of the published frames, or of the whole file where it has no picture."""
    records = [passage.evidence for passage in context.library.passages(runs)]
    if not records or not video.has_picture:
        return records
    count = read_options("video-rag", Options, context.settings).pictures or PUBLISHED_FRAMES
    frames = frames_of(video, lambda total: published_frames(total, count), "decord")
    return texts_by_frame(records, [frame.time_s for frame in frames])


def texts_by_frame(records: Sequence[Evidence], times_s: Sequence[float]) -> list[Evidence]:
    """Return one document for each frame on which there is a text that no earlier one has."""
    documents, known = list[Evidence](), set[str]()
    for time_s in dict.fromkeys(times_s):
        there = [one for one in records if one.start_s <= time_s <= one.end_s]
        new = {one.text: one for one in there if one.text not in known}
        known |= set(new)
        if new:
            first = next(iter(new.values()))
            documents.append(replace(first, start_s=time_s, end_s=time_s, text="; ".join(new)))
    return documents


def read(state: State, runtime: Runtime[Context]) -> State:
    """Write the prompt: objects, speech, text, then the question; empty channels are left out."""
    start, meter, context = perf_counter(), Meter(), runtime.context
    video, share = state["video"], state.get("context_share", 1.0)
    found = state["evidence"][: ceil(len(state["evidence"]) * share)]
    frames = state["plan"].frames[:: ceil(1 / share)]
    side = context.settings.sampling.max_side
    files = picture_files(video, frames, context.library, meter, side, "decord")
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
    records: Sequence[Evidence],
    vectors: npt.NDArray[np.float32],
    queries: Sequence[str],
    context: Context,
) -> list[Evidence]:
    """Return the records whose cosine to the mean of the raw query vectors is high enough."""
    asked = context.pool.embedder().embed(list(queries), unit=False)
    chosen = by_threshold(vectors, asked, PUBLISHED_THRESHOLD)
    mean = asked.mean(axis=0)
    cosines = vectors @ (mean / np.linalg.norm(mean)) if chosen else ()
    return [replace(records[i], score=round(float(cosines[i]), 4)) for i in chosen]
