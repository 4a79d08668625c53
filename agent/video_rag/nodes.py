"""Answering from evidence: the nodes between what tools found and the prompt of the model.

retrieve -> budget -> read -> (reason | backup | cite | abstain)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from time import perf_counter
from typing import Literal

import numpy as np
from langgraph.runtime import Runtime
from langgraph.types import Command

import prompts
from agent.answer import Meter, Usage
from agent.answering.conversation import option_likelihoods
from agent.answering.evidence_lines import as_line, in_time_order, merge_neighbours, within_budget
from agent.answering.prompt import ask_for, notes_part, pictures_part
from agent.extractive.deixis import resolve_pointing, with_subject
from agent.extractive.rank import (
    best_lines,
    is_beside_the_point,
    is_elsewhere,
    leading,
    meant_row,
    rerank,
    without_repeats,
)
from agent.extractive.timeline import Reckoned, Timeline, reckon
from agent.frames.files import picture_files, shown
from agent.library import retrieval
from agent.records import Ask, Draft, Question, Request, Turn
from agent.state import Context, State
from tools.evidence import Evidence

Next = Literal["cite", "reason", "backup", "abstain"]  # where `read` may lead


@dataclass(frozen=True, slots=True)
class Narrowed:
    """The lines that a small model is given, best first.

    Attributes:
        lines: Few, single rows or sentences.
        relevant: Whether one of them bears on the question.
        scored: Likelihoods that were measured for it.
    """

    lines: tuple[Evidence, ...]
    relevant: bool
    scored: int = 0


def retrieve(state: State, runtime: Runtime[Context]) -> State:
    """Choose the evidence that bears on the question, its options and its request."""
    start, context = perf_counter(), runtime.context
    question, request = state["question"], state.get("request", Request())
    queries = [question.text, *question.options, *filter(None, [request.speech])]
    runs = sorted(state.get("runs", {}).values())
    hits = retrieval.Hits((), 0.0)
    if context.library.count_evidence(runs):
        hits = retrieval.retrieve(
            context.library, context.pool.embedder(), runs, queries, context.settings.retrieval
        )
    return {
        "evidence": hits.evidence,
        "relevance": hits.relevance,
        "usage": {"retrieve": Usage(seconds=perf_counter() - start)},
    }


def is_relevant(state: State, runtime: Runtime[Context]) -> Literal["budget", "abstain"]:
    """Go on only if the best record has something to do with the question."""
    enough = state["relevance"] >= runtime.context.settings.retrieval.min_relevance
    return "budget" if enough and state["evidence"] else "abstain"


def budget(state: State, runtime: Runtime[Context]) -> State:
    """Join neighbours in time, then keep the best records that fit the budget, each whole."""
    settings = runtime.context.settings.retrieval
    joined = merge_neighbours(state["evidence"], settings.merge_gap_s)
    kept = within_budget(joined, settings.token_budget, runtime.context.pool.chat().count_tokens)
    dropped = [e.id for e in joined if e not in kept]
    if dropped:
        runtime.stream_writer({"stage": "budget", "dropped": dropped})
    return {"evidence": kept}


def read(state: State, runtime: Runtime[Context]) -> Command[Next]:
    """Write the prompt: from whole records, or for a small model from the best lines alone.

    A question of order or number that the time line answers goes straight to the end.
    """
    start, context, question = perf_counter(), runtime.context, state["question"]
    runs = sorted(state.get("runs", {}).values())
    told = [p for p in context.library.passages(runs) if p.evidence.kind in ("speech", "text")]
    screen = [p.evidence for p in told if p.evidence.kind == "text"]
    said = in_time_order([p.evidence for p in told if p.evidence.kind == "speech"])
    lines = tuple(resolve_pointing(with_subject(e, said), screen) for e in state["evidence"])
    if not context.settings.retrieval.lines:
        return _ask_about(state, lines, runtime, start)
    embedder = context.pool.embedder()
    stored = context.library.embeddings(embedder.name, runs)
    vectors = np.array([stored[p.row] for p in told], np.float32)
    timeline = Timeline(tuple(p.evidence for p in told), vectors)
    if done := reckon(question, timeline, embedder):
        return _cite(done, Usage(seconds=perf_counter() - start))
    narrowed = narrow(question, lines, timeline.records, context)
    usage = Usage(seconds=perf_counter() - start, scored=narrowed.scored)
    if question.options and narrowed.lines and not narrowed.relevant:
        return _choose_likeliest(question, narrowed.lines, usage, context)
    if not narrowed.lines or not narrowed.relevant:
        return Command(update={"lines": narrowed.lines, "usage": {"read": usage}}, goto="abstain")
    return _ask_small(question, narrowed.lines, usage)


def narrow(
    question: Question, lines: Sequence[Evidence], told: Sequence[Evidence], context: Context
) -> Narrowed:
    """Return the few lines that a small model can read without getting lost.

    Where the model can score texts, it ranks them and says whether any is relevant at all; without
    that the ranking by meaning and words stands.
    """
    settings, chat = context.settings.retrieval, context.pool.chat()
    candidates = best_lines(question, lines, context.pool.embedder())[: settings.candidates]
    if not candidates or not chat.capabilities.option_scoring:
        return Narrowed(tuple(without_repeats(candidates)[: settings.lines]), bool(candidates))
    ranked = rerank(question, candidates, chat)
    chosen = tuple(without_repeats(leading(ranked))[: settings.lines])
    gain = max(gain for _, gain in ranked[: settings.lines])
    relevant = gain >= settings.min_gain
    if is_beside_the_point(question, ranked) or is_elsewhere(question, chosen[0], told):
        relevant = False
    embedder = context.pool.embedder()
    meant = [meant_row(question, line, lines, embedder) for line in chosen]
    chosen = tuple(without_repeats(meant))
    return Narrowed(chosen, relevant, scored=len(ranked) + 1)


def _ask_about(
    state: State, lines: tuple[Evidence, ...], runtime: Runtime[Context], start: float
) -> Command[Next]:
    """Ask a model that reads whole records, and looks at pictures if it can."""
    context, video, question = runtime.context, state["video"], state["question"]
    room, meter = state.get("room", 1.0), Meter()
    lines = lines[: ceil(len(lines) * room)]
    frames = state.get("frames", ())
    frames = frames[:: ceil(1 / room)]
    given = [notes_part("a video", lines)]
    side = context.settings.sampling.max_side
    files = picture_files(video, frames, context.library, meter, side)
    if frames:
        given.insert(0, pictures_part(video, frames))
    meter.seconds = perf_counter() - start
    update: State = {
        **ask_for("read", question, *given, images=files),
        "lines": (*lines, *shown(frames)),
        "usage": {"read": meter.usage()},
    }
    return Command(update=update, goto="reason")


def _ask_small(question: Question, lines: tuple[Evidence, ...], usage: Usage) -> Command[Next]:
    update: State = {
        "lines": lines,
        "ask": _small_ask(question, lines),
        "prompts": {"answer": prompts.version("answer")},
        "usage": {"read": usage},
    }
    return Command(update=update, goto="reason")


def _small_ask(question: Question, lines: Sequence[Evidence]) -> Ask:
    """Ask a small model, without the options: it copies letters, but answers in words."""
    told = [as_line(e) for e in in_time_order(lines)]
    text = prompts.render("answer", evidence=told, question=question.text)
    return Ask((Turn("user", text),), "read")


def _choose_likeliest(
    question: Question, lines: tuple[Evidence, ...], usage: Usage, context: Context
) -> Command[Next]:
    """Let the model weigh the options where no line is clearly about the question.

    A free answer would be invented here, but of given options one is nearly always right.
    """
    asked = _small_ask(question, lines)
    likely, scored = option_likelihoods(asked.turns, question.options, context.pool.chat())
    update: State = {
        "lines": lines,
        "ask": asked,
        "draft": Draft(reason="no line is clearly about the question", likelihoods=likely),
        "prompts": {"answer": prompts.version("answer")},
        "usage": {"read": usage + scored},
    }
    return Command(update=update, goto="backup" if likely else "abstain")


def _cite(reckoned: Reckoned, usage: Usage) -> Command[Next]:
    update: State = {
        "draft": reckoned.draft,
        "lines": reckoned.evidence,
        "usage": {"read": usage},
    }
    return Command(update=update, goto="cite")
