"""The answering nodes that every method ends with.

    reason -> parse -> (ask again once -> backup -> abstain) -> cite

A method writes its prompt into the state; the reply is parsed, verified and cited. An answer is
never guessed at random.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from string import ascii_uppercase
from time import perf_counter
from typing import Any

from langgraph.graph import END
from langgraph.runtime import Runtime
from langgraph.types import Command

import prompts
from agent.answer import Answer, Usage
from agent.answering.confidence import calibrated, with_odds
from agent.answering.conversation import option_likelihoods, send
from agent.answering.evidence_lines import in_time_order, told_by
from agent.answering.support import claims_of, held_by
from agent.answering.verification import ask_again, fall_back, judge
from agent.frames.files import PICTURE
from agent.models.chat_model import ChatModel, ContextOverflowError
from agent.records import Ask, CandidateAnswer, Question, Turn
from agent.state import Context, State
from tools.evidence import Evidence

LEAST_SHARE = 1 / 64  # of the evidence; if that is still too long, so is the question alone
MAX_NEAREST = 5  # lines where no chat model is there to read them
MAX_CITED = 3  # lines under an answer, unless all are needed
ChatOf = Callable[[Ask, Context], ChatModel]


def pool_chat(asked: Ask, context: Context) -> ChatModel:
    """Return the chat model of the settings: the default `chat_of`."""
    return context.pool.chat()


def reason_with(chat_of: ChatOf) -> Callable[[State, Runtime[Context]], Command[str]]:
    """Return the node that calls the chat model, which is chosen at every call.

    After an unusable reply, a second call uses a stricter prompt. A prompt beyond the context goes
    back to its retry node, to be rewritten with half the evidence; the question itself is never
    shortened. A prompt that did not become shorter is not sent again.
    """

    def reason(state: State, runtime: Runtime[Context]) -> Command[str]:
        chat = chat_of(state["ask"], runtime.context)
        with chat.undisturbed():  # a reply and the likelihoods of it share their prompt
            return _reason(state, runtime, chat)

    return reason


def _reason(state: State, runtime: Runtime[Context], chat: ChatModel) -> Command[str]:
    start, attempt = perf_counter(), state.get("attempt", 0) + 1
    asked, share = state["ask"], state.get("context_share", 1.0) / 2
    can_shrink = bool(asked.retry_node) and share >= LEAST_SHARE
    if can_shrink and asked == state.get("too_long"):  # rewritten, yet not shorter
        return Command(update={"context_share": share}, goto=asked.retry_node)
    names: list[str] = []
    try:
        if attempt == 1:
            candidate, usage = draft_answer(asked, state["question"], chat)
        else:
            candidate, usage, *names = ask_again(state, chat)
        if not state["question"].options:
            candidate, scored = with_odds(candidate, asked, chat, runtime.context.settings.chat)
            usage += scored
    except ContextOverflowError as error:
        if not can_shrink:
            raise
        runtime.stream_writer({"stage": "reason", "shrunk_to": share, "why": str(error)})
        return Command(update={"context_share": share, "too_long": asked}, goto=asked.retry_node)
    update: State = {
        "attempt": attempt,
        "candidate": candidate,
        "prompts": {name: prompts.version(name) for name in names},
        "usage": {f"reason {attempt}": replace(usage, seconds=perf_counter() - start)},
    }
    return Command(update=update, goto="parse")


def draft_answer(asked: Ask, question: Question, chat: ChatModel) -> tuple[CandidateAnswer, Usage]:
    """Run the conversation once per sample and return a candidate with the last replies."""
    replies, total = [], Usage()
    as_written = bool(asked.parity and question.options)  # published parsers strip nothing
    greedy: dict[str, Any] = {"temperature": 0.0} if asked.temperature == 0 else {}
    for sample in range(asked.samples):
        turns, how = asked.turns, dict(greedy)
        if asked.temperature:
            how = {"temperature": asked.temperature, "seed": sample}
        if asked.follow_ups and asked.reasoning_tokens:
            how["max_new_tokens"] = asked.reasoning_tokens
        text, usage = send(turns, chat, as_written=as_written, **how)
        total += usage
        for follow_up in asked.follow_ups:
            turns = (*turns, Turn("assistant", text), Turn("user", follow_up))
            text, usage = send(turns, chat, as_written=as_written, **greedy)
            total += usage
        replies.append(text)
    likelihoods: tuple[float, ...] = ()
    plain = not (asked.follow_ups or asked.parity) and asked.samples == 1
    if question.options and plain:
        letters = ascii_uppercase[: len(question.options)]
        likelihoods, usage = option_likelihoods(asked.turns, letters, chat)
        total += usage
    drawn = tuple(replies) if asked.samples > 1 else ()
    return CandidateAnswer(replies[0], replies=drawn, likelihoods=likelihoods), total


def parse(state: State, runtime: Runtime[Context]) -> Command[str]:
    """Accept the candidate as the answer, or ask again."""
    judged = judge(state)
    if judged.accepted:
        judged = calibrated(judged, runtime.context.settings.chat)
    if judged.accepted:
        return Command(update={"candidate": judged}, goto="cite")
    again = state["attempt"] < 2 and not (state["ask"].parity or judged.refused)
    return Command(update={"candidate": judged}, goto="reason" if again else "backup")


def backup(state: State, runtime: Runtime[Context]) -> Command[str]:
    """Fall back to the likeliest option, or abstain."""
    found = fall_back(state)
    update: State = {"candidate": found}
    return Command(update=update, goto="cite" if found.accepted else "abstain")


def cite(state: State, runtime: Runtime[Context]) -> State:
    """Return the answer with its supporting lines."""
    candidate, question = state["candidate"], state["question"]
    text = candidate.text if candidate.choice is None else question.options[candidate.choice]
    answer = Answer(
        answer=text,
        choice=candidate.choice,
        reason="; ".join(filter(None, (candidate.reason, _note(state)))),
        confidence=round(max(0.0, min(1.0, candidate.confidence)), 3),
        measured_by=candidate.measured_by or "none",
        evidence=in_time_order(_cited(text, state)),
    )
    return {"answer": answer}


def _cited(said: str, state: State) -> list[Evidence]:
    """Return the lines that support an answer, and the pictures given to the model.

    For an answer on order or number, these are lines on the subject of the question.
    """
    lines, question = state.get("lines", ()), state["question"].text
    told = [line for line in lines if line.kind != PICTURE]
    if state["candidate"].needs_all:
        about = claims_of(f"{question}\n{said}", "").all
        told = _each_once([line for line in told if about & held_by(told_by(line))])
    else:
        told = holding(said, told, question)
    return [*told, *(line for line in lines if line.kind == PICTURE)]


def holding(text: str, lines: Sequence[Evidence], question: str) -> list[Evidence]:
    """Return the lines that support most claims of a text; none that supports no claim."""
    claims = claims_of(text, question).all
    shared = [len(claims & held_by(told_by(line))) for line in lines]
    ranked = sorted(range(len(lines)), key=lambda i: (-shared[i], i))
    return _each_once([lines[i] for i in ranked if shared[i]])[:MAX_CITED]


def _each_once(lines: Sequence[Evidence]) -> list[Evidence]:
    """Return lines without those of a record that an earlier line comes from."""
    kept: list[Evidence] = []
    known: set[str] = set()
    for line in lines:
        records = {line.id, *line.data.get("joined", ())} - {""}
        if not records & known:
            kept.append(line)
        known |= records
    return kept


def abstain(state: State, runtime: Runtime[Context]) -> State:
    """Abstain: say that the video seems not to answer the question, what was searched, and why."""
    candidate = state.get("candidate")
    searched = [c.tool for c in state.get("channels", {}).values() if c.status == "ok"]
    if candidate:
        reason = candidate.reason
    elif searched:
        reason = f"nothing relevant was found by {', '.join(searched)}"
    else:
        reason = "no tool found anything in the video"
    most = 1 if state["plan"].calls[1] else MAX_NEAREST  # where no model reads, the user does
    nearest = in_time_order((state.get("lines") or state.get("evidence", ()))[:most])
    told = "; ".join(filter(None, (reason, _note(state))))
    return {"answer": Answer(answer="", abstained=True, reason=told, evidence=nearest)}


def _note(state: State) -> str:
    return state["ask"].note if "ask" in state else ""


def add_answering_nodes(
    graph: Any, retry_node: str, chat_of: ChatOf = pool_chat, then: str = END
) -> None:
    """Add the nodes that every method ends with.

    Args:
        graph: The method's graph.
        retry_node: Its node before `reason` (or `abstain`), which can shorten its prompt.
        chat_of: Returns the chat model to call.
        then: Node after the answer.
    """
    graph.add_node("reason", reason_with(chat_of), destinations=("parse", retry_node))
    graph.add_node(parse, destinations=("cite", "reason", "backup"))
    graph.add_node(backup, destinations=("cite", "abstain"))
    graph.add_node(cite)
    graph.add_node(abstain)
    graph.add_edge("cite", then)
    graph.add_edge("abstain", then)
