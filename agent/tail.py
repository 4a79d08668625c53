"""The end of every method: reason -> parse -> (ask again once -> backup -> abstain) -> cite.

A model's text is only taken as an answer when the evidence that it was given supports it; nothing
is ever answered at random.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any, Literal

from langchain_core.messages import HumanMessage
from langgraph.graph import END
from langgraph.runtime import Runtime
from langgraph.types import Command

import prompts
from agent.answer import Answer, Usage
from agent.options import match_option
from agent.state import Context, Draft, State
from agent.text import words
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


def reason(state: State, runtime: Runtime[Context]) -> State:
    """Ask the chat model: first with all chosen evidence, the second time with the best record."""
    start, attempt = perf_counter(), state.get("attempt", 0) + 1
    question = state["question"].text
    if attempt == 1:
        name = "answer"
        lines = [as_line(e) for e in in_time_order(state["evidence"])]
        prompt = prompts.render(name, evidence=lines, question=question)
    else:
        name = "answer_again"
        prompt = prompts.render(name, line=as_line(state["evidence"][0]), question=question)
    text, usage = call(prompt, runtime.context)
    usage = replace(usage, seconds=perf_counter() - start)
    return {
        "attempt": attempt,
        "draft": Draft(text=text),
        "prompts": {name: prompts.version(name)},
        "usage": {f"reason {attempt}": usage},
    }


def call(prompt: str, context: Context) -> tuple[str, Usage]:
    """Send one prompt to the chat model and return its text and what it cost."""
    start = perf_counter()
    reply = context.pool.chat().invoke([HumanMessage(prompt)])
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


def parse(
    state: State, runtime: Runtime[Context]
) -> Command[Literal["cite", "reason", "backup", "abstain"]]:
    """Take the draft as the answer if the evidence supports it; else ask again, then fall back."""
    draft, question = state["draft"], state["question"]
    judged = judge(draft.text, question.options, state["evidence"], question.text, runtime.context)
    if judged.accepted:
        return Command(update={"draft": judged}, goto="cite")
    return Command(update={"draft": judged}, goto="reason" if state["attempt"] < 2 else "backup")


def judge(
    text: str,
    options: Sequence[str],
    evidence: Sequence[Evidence],
    question: str,
    context: Context,
) -> Draft:
    """Say whether a model's text answers the question from the evidence."""
    if not text or REFUSALS.search(text):
        return Draft(text=text, reason="the model gave no answer")
    supported = support(text, evidence, question)
    if options:
        match = match_option(text, options, context.pool.embedder())
        if match.choice is None:
            return Draft(text=text, reason="the model's text fits none of the options")
        return Draft(text, match.choice, match.confidence * supported, accepted=True)
    if supported < SUPPORT:
        return Draft(text=text, reason="the evidence does not support the model's text")
    return Draft(text=text, confidence=supported, accepted=True)


def support(text: str, evidence: Sequence[Evidence], question: str) -> float:
    """Return the share of a text's meaningful words that stand in the evidence.

    A number that is not in the evidence makes it 0; words of the question alone support nothing.
    """
    known = set(words(" ".join(e.text for e in evidence)))
    asked = set(words(question))
    said = words(text)
    new = [w for w in said if w not in asked]
    if any(w[0].isdigit() and w not in known for w in said) or not new:
        return 0.0
    return sum(w in known for w in new) / len(new)


def backup(state: State, runtime: Runtime[Context]) -> Command[Literal["cite", "abstain"]]:
    """Answer without the model: quote the best record, or take the option that it mentions."""
    best, question = state["evidence"][0], state["question"]
    why = f"{state['draft'].reason}; "
    if not question.options:
        draft = Draft(
            text=best.text,
            confidence=best.score / 2,
            reason=why + "the best matching evidence is quoted instead",
            accepted=True,
        )
        return Command(update={"draft": draft}, goto="cite")
    match = match_option(best.text, question.options, runtime.context.pool.embedder())
    if match.choice is None:
        draft = replace(state["draft"], reason=why + "the best evidence fits none of them either")
        return Command(update={"draft": draft}, goto="abstain")
    draft = Draft(
        text=best.text,
        choice=match.choice,
        confidence=match.confidence * best.score / 2,
        reason=why + "the option nearest to the best matching evidence is taken",
        accepted=True,
    )
    return Command(update={"draft": draft}, goto="cite")


def cite(state: State, runtime: Runtime[Context]) -> State:
    """Give the answer with the records that hold its words, at most three, in time order."""
    draft, question = state["draft"], state["question"]
    text = draft.text if draft.choice is None else question.options[draft.choice]
    wanted = set(words(f"{draft.text} {text}")) - set(words(question.text))
    overlap = [len(wanted & set(words(e.text))) for e in state["evidence"]]
    ranked = sorted(range(len(overlap)), key=lambda i: (-overlap[i], i))
    cited = [state["evidence"][i] for i in ranked if overlap[i]][:3] or [state["evidence"][0]]
    confidence = round(min(1.0, draft.confidence * state["relevance"]), 3)
    answer = Answer(
        answer=text,
        choice=draft.choice,
        reason=draft.reason,
        confidence=confidence,
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
    nearest = state.get("evidence", ())[:1]
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
    """Add the nodes that every method ends with; the method leads into `reason` or `abstain`."""
    for node in (reason, parse, backup, cite, abstain):
        graph.add_node(node)
    graph.add_edge("reason", "parse")
    graph.add_edge("cite", END)
    graph.add_edge("abstain", END)
