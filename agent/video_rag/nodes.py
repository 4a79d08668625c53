"""The nodes from the tools' evidence to the prompt.

retrieve -> budget -> read -> reason
"""

from math import ceil
from time import perf_counter
from typing import Literal

from langgraph.runtime import Runtime

from agent.answer import Meter, Usage
from agent.answering.evidence_lines import merge_neighbours, within_budget
from agent.answering.prompt import ask_for, notes_section, pictures_section
from agent.frames.files import picture_files, shown
from agent.library import retrieval
from agent.records import Request
from agent.state import Context, State


def retrieve_evidence(state: State, runtime: Runtime[Context]) -> State:
    """Retrieve the evidence relevant to the question, its options and its request."""
    start, context = perf_counter(), runtime.context
    question, request = state["question"], state.get("request", Request())
    queries = [question.text, *question.options, *filter(None, [request.speech])]
    runs = sorted(state.get("runs", {}).values())
    hits = retrieval.Hits((), 0.0)
    if context.library.view(runs).passages:
        hits = retrieval.retrieve(
            context.library, context.pool.embedder(), runs, queries, context.settings.retrieval
        )
    return {
        "evidence": hits.evidence,
        "relevance": hits.relevance,
        "usage": {"retrieve": Usage(seconds=perf_counter() - start)},
    }


def is_relevant(state: State, runtime: Runtime[Context]) -> Literal["budget", "abstain"]:
    """Continue only if the best record is relevant to the question, else abstain."""
    enough = state["relevance"] >= runtime.context.settings.retrieval.min_relevance
    return "budget" if enough and state["evidence"] else "abstain"


def budget(state: State, runtime: Runtime[Context]) -> State:
    """Join neighbours in time, then keep the best records that fit the token budget, each whole."""
    settings = runtime.context.settings.retrieval
    joined = merge_neighbours(state["evidence"], settings.merge_gap_s)
    kept = within_budget(joined, settings.token_budget, runtime.context.pool.chat().count_tokens)
    dropped = [e.id for e in joined if e not in kept]
    if dropped:
        runtime.stream_writer({"stage": "budget", "dropped": dropped})
    return {"evidence": kept}


def read(state: State, runtime: Runtime[Context]) -> State:
    """Write the prompt, with pictures if the model sees them."""
    start, meter, context = perf_counter(), Meter(), runtime.context
    video, question, share = state["video"], state["question"], state.get("context_share", 1.0)
    lines = state["evidence"][: ceil(len(state["evidence"]) * share)]
    frames = state["plan"].frames[:: ceil(1 / share)]
    given = [notes_section("a video", lines)]
    side = context.settings.sampling.max_side
    files = picture_files(video, frames, context.library, meter, side)
    if frames:
        given.insert(0, pictures_section(video, frames))
    meter.seconds = perf_counter() - start
    return {
        **ask_for("read", question, *given, images=files),
        "lines": (*lines, *shown(frames)),
        "usage": {"read": meter.usage()},
    }
