"""The end of every method.

    read -> reason -> parse -> (ask again once -> backup -> abstain) -> cite

A model's text is only taken as an answer when the evidence that it was given supports it; nothing
is ever answered at random.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any, Literal

import numpy as np
from langchain_core.messages import HumanMessage
from langgraph.graph import END
from langgraph.runtime import Runtime
from langgraph.types import Command

import prompts
from agent.answer import Answer, Usage
from agent.embedding import SentenceEmbeddings
from agent.options import match_option
from agent.pointing import resolve_pointing
from agent.reading import SEPARATOR, best_lines, expected_pattern, fits, rerank, without_repeats
from agent.reckoning import Timeline, reckon
from agent.state import Context, Draft, Question, State
from agent.text import mentions, words
from tools.evidence import Evidence

REFUSALS = re.compile(
    r"\b(?:not (?:mentioned|stated|given|specified|provided|say|clear|known|in the notes)"
    r"|no (?:information|mention)|do(?:es)? not|don't know|cannot|can't|unknown|unable)\b",
    re.IGNORECASE,
)
SUPPORT = 0.6  # share of an answer's words that its evidence and question must hold


def clock(seconds: float) -> str:
    """Return a time as a player shows it: 1:05 or 1:02:03."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def as_line(evidence: Evidence) -> str:
    """Return evidence as one prompt line, quoted so that it reads as data, never as orders."""
    text = " ".join(evidence.text.split()).replace('"', "'")
    return f'[{clock(evidence.start_s)}] {evidence.kind}: "{text}"'


def read(state: State, runtime: Runtime[Context]) -> Command[Literal["cite", "reason", "abstain"]]:
    """Choose what the model is given: whole records, or for a small model the best lines.

    A question of order or number that the time line answers goes straight to the end.
    """
    start, context, question = perf_counter(), runtime.context, state["question"]
    runs = sorted(state.get("runs", {}).values())
    told = [p for p in context.library.passages(runs) if p.evidence.kind in ("speech", "text")]
    screen = [p.evidence for p in told if p.evidence.kind == "text"]
    lines = tuple(resolve_pointing(e, screen) for e in state["evidence"])
    relevant = True
    if wanted := context.settings.retrieval.lines:
        embedder = context.pool.embedder()
        stored = context.library.embeddings(embedder.name, runs)
        vectors = np.array([stored[p.row] for p in told], np.float32)
        timeline = Timeline(tuple(p.evidence for p in told), vectors)
        if done := reckon(question, timeline, embedder):
            usage = {"read": Usage(seconds=perf_counter() - start)}
            update: State = {"draft": done.draft, "lines": done.evidence, "usage": usage}
            return Command(update=update, goto="cite")
        candidates = best_lines(question, lines, embedder)[: context.settings.retrieval.candidates]
        ranked = rerank(question, candidates, context.pool.chat())
        lines = tuple(without_repeats([line for line, _ in ranked])[:wanted])
        gain = max((gain for _, gain in ranked[:wanted]), default=0.0)
        relevant = gain >= context.settings.retrieval.min_gain
    update = {"lines": lines, "usage": {"read": Usage(seconds=perf_counter() - start)}}
    return Command(update=update, goto="reason" if lines and relevant else "abstain")


def reason(state: State, runtime: Runtime[Context]) -> State:
    """Ask the chat model: first for an answer from all lines, then for a span of the best one."""
    start, attempt = perf_counter(), state.get("attempt", 0) + 1
    question, lines = state["question"].text, state["lines"]
    if attempt == 1:
        name = "answer"
        told = [as_line(e) for e in in_time_order(lines)]
        text, usage = call(prompts.render(name, evidence=told, question=question), runtime.context)
    else:
        name = "answer_again"
        prompt = prompts.render(name, line=as_line(lines[0]), question=question)
        text, usage = call(prompt, runtime.context, copy_from=lines[0].text.split(SEPARATOR))
    return {
        "attempt": attempt,
        "draft": Draft(text=text),
        "prompts": {name: prompts.version(name)},
        "usage": {f"reason {attempt}": replace(usage, seconds=perf_counter() - start)},
    }


def call(prompt: str, context: Context, copy_from: Sequence[str] = ()) -> tuple[str, Usage]:
    """Send one prompt to the chat model and return its text and what it cost.

    With `copy_from` the model can only write a span of one of these texts.
    """
    start, messages = perf_counter(), [HumanMessage(prompt)]
    chat = context.pool.chat()
    reply = chat.copy_span(messages, copy_from) if copy_from else chat.invoke(messages)
    tokens: Mapping[str, Any] = reply.usage_metadata or {}
    seconds = perf_counter() - start
    usage = Usage(
        seconds=seconds,
        model_seconds=seconds,
        model_calls=1,
        input_tokens=tokens.get("input_tokens", 0),
        output_tokens=tokens.get("output_tokens", 0),
    )
    return reply.text.strip(), usage


def parse(state: State, runtime: Runtime[Context]) -> Command[Literal["cite", "reason", "backup"]]:
    """Take the draft as the answer if the lines support it; else ask again, then fall back."""
    judged = judge(
        state["draft"].text, state["question"], state["lines"], runtime.context.pool.embedder()
    )
    if judged.accepted:
        return Command(update={"draft": judged}, goto="cite")
    return Command(update={"draft": judged}, goto="reason" if state["attempt"] < 2 else "backup")


def judge(
    text: str, question: Question, lines: Sequence[Evidence], embedder: SentenceEmbeddings
) -> Draft:
    """Say whether a model's text answers the question from the lines that it was given."""
    if not text or REFUSALS.search(text):
        return Draft(text, reason="the model gave no answer")
    supported = support(text, lines, question.text)
    if supported < SUPPORT:
        return Draft(text, reason="the evidence does not support what the model wrote")
    if question.options:
        match = match_option(text, question.options, embedder)
        if match.choice is None:
            return Draft(text, reason="what the model wrote fits none of the options")
        named = [i for i, o in enumerate(question.options) if mentions(lines[0].text, o)]
        if len(named) == 1 and match.choice != named[0]:
            return Draft(text, reason="the best line names another option than the model")
        return Draft(text, match.choice, match.confidence * supported, accepted=True)
    if not fits(text, expected_pattern(question.text)):
        return Draft(text, reason="what the model wrote is not the kind of thing asked for")
    return Draft(text, confidence=supported, accepted=True)


def support(text: str, lines: Sequence[Evidence], question: str) -> float:
    """Return the share of a text's meaningful words that stand in the lines.

    A number that is not in the lines makes it 0; words of the question alone support nothing.
    """
    known = set(words(" ".join(e.text for e in lines)))
    asked = set(words(question))
    said = words(text)
    new = [w for w in said if w not in asked]
    if any(w[0].isdigit() and w not in known for w in said) or not new:
        return 0.0
    return sum(w in known for w in new) / len(new)


def backup(state: State, runtime: Runtime[Context]) -> Command[Literal["cite", "abstain"]]:
    """Answer without the model: quote the best line, or take the option that a line mentions."""
    question, lines = state["question"], state["lines"]
    why = f"{state['draft'].reason}; "
    if not question.options:
        draft = Draft(
            text=lines[0].text,
            confidence=lines[0].score / 2,
            reason=why + "the best matching line is quoted instead",
            accepted=True,
        )
        return Command(update={"draft": draft}, goto="cite")
    embedder = runtime.context.pool.embedder()
    matches = [(line, match_option(line.text, question.options, embedder)) for line in lines]
    found = [(line, m) for line, m in matches if m.choice is not None and m.how != "letter"]
    if not found:
        draft = replace(state["draft"], reason=why + "no line fits one of them either")
        return Command(update={"draft": draft}, goto="abstain")
    line, match = found[0]
    draft = Draft(
        text=line.text,
        choice=match.choice,
        confidence=match.confidence * line.score / 2,
        reason=why + "the option that fits the best matching line is taken",
        accepted=True,
    )
    return Command(update={"draft": draft}, goto="cite")


def cite(state: State, runtime: Runtime[Context]) -> State:
    """Give the answer with the lines that hold its words, at most three, in time order."""
    draft, question, lines = state["draft"], state["question"], state["lines"]
    text = draft.text if draft.choice is None else question.options[draft.choice]
    wanted = set(words(f"{draft.text} {text}")) - set(words(question.text))
    overlap = [len(wanted & set(words(e.text))) for e in lines]
    ranked = sorted(range(len(lines)), key=lambda i: (-overlap[i], i))
    cited = [lines[i] for i in ranked if overlap[i]][:3] or lines[:1]
    if draft.needs_all:
        cited = list(lines)
    answer = Answer(
        answer=text,
        choice=draft.choice,
        reason=draft.reason,
        confidence=round(max(0.0, min(1.0, draft.confidence)), 3),
        evidence=in_time_order(cited),
    )
    return {"answer": answer}


def abstain(state: State, runtime: Runtime[Context]) -> State:
    """Say that the video does not seem to answer the question, what was searched, and why."""
    draft = state.get("draft")
    searched = [c.tool for c in state.get("channels", {}).values() if c.status == "ok"]
    if draft:
        reason = draft.reason
    elif searched:
        reason = f"nothing relevant was found by {', '.join(searched)}"
    else:
        reason = "no tool found anything in the video"
    nearest = (state.get("lines") or state.get("evidence", ()))[:1]
    return {"answer": Answer(answer="", abstained=True, reason=reason, evidence=nearest)}


def in_time_order(evidence: Sequence[Evidence]) -> tuple[Evidence, ...]:
    """Return evidence sorted by its start."""
    return tuple(sorted(evidence, key=lambda e: (e.start_s, e.end_s, e.tool)))


def within_budget(
    evidence: Sequence[Evidence], tokens: int, count: Callable[[str], int]
) -> tuple[Evidence, ...]:
    """Return the records, best first, whose prompt lines fit the budget; none is ever cut.

    A record that does not fit is passed over and a smaller one behind it may still be taken.
    """
    kept, used = [], 0
    for item in evidence:
        cost = count(as_line(item)) + 1  # the line break
        if used + cost <= tokens:
            kept.append(item)
            used += cost
    return tuple(kept)


def add_tail(graph: Any) -> None:
    """Add the nodes that every method ends with; the method leads into `read` or `abstain`."""
    for node in (read, reason, parse, backup, cite, abstain):
        graph.add_node(node)
    graph.add_edge("reason", "parse")
    graph.add_edge("cite", END)
    graph.add_edge("abstain", END)
