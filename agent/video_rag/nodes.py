"""The nodes from the tools' evidence to the prompt.

retrieve -> budget -> read -> reason
"""

from math import ceil
from time import perf_counter
from typing import Literal

from langgraph.runtime import Runtime

import prompts
from agent.answer import Meter, Usage
from agent.answering.evidence_lines import merge_neighbours, with_neighbours, within_budget
from agent.answering.method import read_options
from agent.answering.prompt import (
    ask_for,
    filmed,
    opening,
    opening_prompts,
    outline_section,
    pictures_section,
    records_section,
)
from agent.frames.files import picture_files, shown
from agent.library import retrieval
from agent.records import Request
from agent.state import Context, State
from agent.video_rag.options import Options
from agent.video_rag.outline import outline
from tools.evidence import ChannelReport, Evidence


def retrieve_evidence(state: State, runtime: Runtime[Context]) -> State:
    """Retrieve the evidence relevant to the question, its options and its request."""
    start, context = perf_counter(), runtime.context
    question, request = state["question"], state.get("request", Request())
    queries = [question.text, *question.options, *filter(None, [request.speech])]
    runs = sorted(state.get("runs", {}).values())
    update: State = {"evidence": (), "relevance": 0.0}
    if context.library.view(runs).passages:
        embedder, why = context.pool.embedder_or_why()
        if why:
            update["channels"] = {"retrieve": ChannelReport("retrieve", "unavailable", reason=why)}
        settings = context.settings.retrieval
        hits = retrieval.retrieve(context.library, embedder, runs, queries, settings)
        update |= {"evidence": hits.evidence, "relevance": hits.relevance}
    return {**update, "usage": {"retrieve": Usage(seconds=perf_counter() - start)}}


def is_relevant(state: State, runtime: Runtime[Context]) -> Literal["budget", "abstain"]:
    """Continue only if the best record is relevant to the question, else abstain."""
    enough = state["relevance"] >= runtime.context.settings.retrieval.min_relevance
    return "budget" if enough and state["evidence"] else "abstain"


def budget(state: State, runtime: Runtime[Context]) -> State:
    """Keep the best records that fit the token budget, each whole, then those around them."""
    context, settings = runtime.context, runtime.context.settings.retrieval
    joined = merge_neighbours(state["evidence"], settings.merge_gap_s)
    records = context.library.view(sorted(state.get("runs", {}).values())).records
    around = with_neighbours(joined, records, settings.neighbours_s)
    kept = within_budget(around, settings.token_budget, context.pool.chat().count_tokens)
    dropped = [e.id for e in joined if e not in kept]
    if dropped:
        runtime.stream_writer({"stage": "budget", "dropped": dropped})
    return {"evidence": kept}


def read(state: State, runtime: Runtime[Context]) -> State:
    """Write the prompt, with pictures if the model sees them."""
    start, meter, context = perf_counter(), Meter(), runtime.context
    video, share = state["video"], state.get("context_share", 1.0)
    lines = state["evidence"][: ceil(len(state["evidence"]) * share)]
    frames = state["plan"].frames[:: ceil(1 / share)]
    parts = _outline(state, context, share)
    given = [*([outline_section(parts)] if parts else []), records_section(lines)]
    side = context.settings.sampling.max_side
    files = picture_files(video, frames, context.library, meter, side)
    native = bool(frames) and context.pool.chat().capabilities.video
    if frames:
        given.insert(0, pictures_section(video, frames, native))
    meter.seconds = perf_counter() - start
    examples = read_options("video-rag", Options, context.settings).examples
    asked = ask_for("read", state["question"], *given, images=files, before=opening(examples))
    if native:
        asked = filmed(asked, video, frames)
    told = {name: prompts.version(name) for name in opening_prompts(examples)}
    return {
        **asked,
        "prompts": {**told, **asked["prompts"]},
        "lines": (*lines, *parts, *shown(frames)),
        "usage": {"read": meter.usage()},
    }


def _outline(state: State, context: Context, share: float) -> tuple[Evidence, ...]:
    """Return the outline of the video, within a share of its token budget."""
    tokens = int(context.settings.retrieval.outline_tokens * share)
    records = context.library.view(sorted(state.get("runs", {}).values())).records
    count = context.pool.chat().count_tokens
    return outline(records, state["video"].duration_s, tokens, count)
