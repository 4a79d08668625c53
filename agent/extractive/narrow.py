"""Narrowing: from the retrieved records to the few excerpts that a small model can read.

read -> (reason | backup | cite | abstain)

A question of order or number that the time line answers goes straight to the end.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np
from langgraph.runtime import Runtime
from langgraph.types import Command
from pydantic import Field

import prompts
from agent.answer import Usage
from agent.answering.conversation import option_likelihoods
from agent.answering.evidence_lines import as_line, in_time_order
from agent.answering.method import read_options
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
from agent.records import Ask, CandidateAnswer, Excerpt, Question, Turn
from agent.settings import Section
from agent.state import Context, State
from tools.evidence import Evidence


class Options(Section):
    """Settings of the extractive reader."""

    lines: int = Field(3, gt=0, description="best lines that the model is given")
    candidates: int = Field(10, gt=0, description="lines that the model ranks")
    min_gain: float = Field(
        0.2,
        description="log-likelihood per token that the best line must add to the question's,"
        " or it is not relevant: abstain",
    )


@dataclass(frozen=True, slots=True)
class Narrowed:
    """The excerpts that a small model is given, best first.

    Attributes:
        excerpts: Few, single rows or sentences.
        relevant: Whether one of them bears on the question.
        scored: Likelihoods that were measured for it.
    """

    excerpts: tuple[Excerpt, ...]
    relevant: bool
    scored: int = 0


def read(state: State, runtime: Runtime[Context]) -> Command[str]:
    """Answer from the time line, or ask the model about the best excerpts alone."""
    if "too_long" in state:
        return _read_less(state)
    start, context, question = perf_counter(), runtime.context, state["question"]
    timeline = _timeline(state, context)
    if done := reckon(question, timeline, context.pool.embedder()):
        return _cite(done, Usage(seconds=perf_counter() - start))
    hinted = with_hints(state["evidence"], timeline.records)
    narrowed = narrow(question, hinted, timeline.records, context)
    usage = Usage(seconds=perf_counter() - start, scored=narrowed.scored)
    update: State = {
        "lines": records_of(narrowed.excerpts),
        "excerpts": narrowed.excerpts,
        "usage": {"read": usage},
    }
    if question.options and narrowed.excerpts and not narrowed.relevant:
        return _choose_likeliest(question, update, context)
    if not narrowed.excerpts or not narrowed.relevant:
        return Command(update=update, goto="abstain")
    asked = ask_small(question, narrowed.excerpts)
    told = {"extractive_answer": prompts.version("extractive_answer")}
    return Command(update={**update, "ask": asked, "prompts": told}, goto="reason")


def _read_less(state: State) -> Command[str]:
    """Ask about the better half of the excerpts that were too long; their ranking stands."""
    excerpts = state["excerpts"][: max(1, len(state["excerpts"]) // 2)]
    update: State = {
        "lines": records_of(excerpts),
        "excerpts": excerpts,
        "ask": ask_small(state["question"], excerpts),
    }
    return Command(update=update, goto="reason")


def _timeline(state: State, context: Context) -> Timeline:
    """Return what was said and shown, with its vectors."""
    embedder, runs = context.pool.embedder(), sorted(state.get("runs", {}).values())
    view = context.library.view(runs)
    told = [i for i, one in enumerate(view.records) if one.kind in ("speech", "text")]
    vectors = view.vectors(embedder)[told] if told else np.empty((0, 0), np.float32)
    return Timeline(tuple(view.records[i] for i in told), vectors)


def with_hints(evidence: Sequence[Evidence], told: Sequence[Evidence]) -> list[Excerpt]:
    """Return records as excerpts, with what their pronouns and pointing words mean beside them."""
    screen = [e for e in told if e.kind == "text"]
    said = in_time_order([e for e in told if e.kind == "speech"])
    whole = (Excerpt(e, e.text, e.score) for e in evidence)
    return [resolve_pointing(with_subject(excerpt, said), screen) for excerpt in whole]


def records_of(excerpts: Sequence[Excerpt]) -> tuple[Evidence, ...]:
    """Return the records behind excerpts, each once, as their tools found them."""
    records = [record for e in excerpts for record in (e.record, *e.beside)]
    return tuple({record.id: record for record in records}.values())


def narrow(
    question: Question, lines: Sequence[Excerpt], told: Sequence[Evidence], context: Context
) -> Narrowed:
    """Return the few excerpts that a small model can read without getting lost.

    Where the model can score texts, it ranks them and says whether any is relevant at all; without
    that the ranking by meaning and words stands.
    """
    options = read_options("extractive", Options, context.settings)
    chat, embedder = context.pool.chat(), context.pool.embedder()
    candidates = best_lines(question, lines, embedder)[: options.candidates]
    if not candidates or not chat.capabilities.option_scoring:
        return Narrowed(tuple(without_repeats(candidates)[: options.lines]), bool(candidates))
    ranked = rerank(question, candidates, chat)
    chosen = tuple(without_repeats(leading(ranked))[: options.lines])
    relevant = max(gain for _, gain in ranked[: options.lines]) >= options.min_gain
    if is_beside_the_point(question, ranked) or is_elsewhere(question, chosen[0], told):
        relevant = False
    meant = [meant_row(question, line, lines, embedder) for line in chosen]
    return Narrowed(tuple(without_repeats(meant)), relevant, scored=len(ranked) + 1)


def ask_small(question: Question, excerpts: Sequence[Excerpt]) -> Ask:
    """Ask a small model, without the options: it copies letters, but answers in words."""
    ordered = sorted(excerpts, key=lambda e: (e.start_s, e.end_s, e.record.tool))
    told = [as_line(e) for e in ordered]
    text = prompts.render("extractive_answer", evidence=told, question=question.text)
    retry_node = "read" if len(excerpts) > 1 else ""  # less than one excerpt is no evidence
    return Ask((Turn("user", text),), retry_node)


def _choose_likeliest(question: Question, update: State, context: Context) -> Command[str]:
    """Let the model weigh the options where no line is clearly about the question."""
    asked = ask_small(question, update["excerpts"])
    likely, scored = option_likelihoods(asked.turns, question.options, context.pool.chat())
    chosen: State = {
        **update,
        "ask": asked,
        "candidate": CandidateAnswer(
            reason="no line is clearly about the question", likelihoods=likely
        ),
        "prompts": {"extractive_answer": prompts.version("extractive_answer")},
        "usage": {"read": update["usage"]["read"] + scored},
    }
    return Command(update=chosen, goto="backup" if likely else "abstain")


def _cite(reckoned: Reckoned, usage: Usage) -> Command[str]:
    update: State = {
        "candidate": reckoned.candidate,
        "lines": reckoned.evidence,
        "usage": {"read": usage},
    }
    return Command(update=update, goto="cite")
