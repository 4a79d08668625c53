"""The end of every method.

    reason -> parse -> (ask again once -> backup -> abstain) -> cite

A method leaves what it wants to ask in the state; what comes back is parsed, checked, and given
with its evidence. Nothing is ever answered at random.
"""

import base64
import mimetypes
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import exp
from pathlib import Path
from string import ascii_uppercase
from time import perf_counter
from typing import Any, Literal

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langgraph.graph import END
from langgraph.runtime import Runtime
from langgraph.types import Command

import prompts
from agent.answer import Answer, Usage
from agent.checking import REFUSALS, judge, named_option
from agent.lines import SEPARATOR, as_line, in_time_order
from agent.models.chat_model import ChatModel, ContextOverflowError
from agent.options import Match, match_option
from agent.parsing import Parity, parse_choice
from agent.pictures import PICTURE
from agent.state import Ask, Context, Draft, Question, State, Turn
from agent.text import words
from agent.video_rag.reading import answering_row
from agent.voting import majority

LEAST_ROOM = 1 / 64  # of the evidence; if even that is too long, the question alone is
MAX_CITED = 3  # lines under an answer, unless all are needed
ChatOf = Callable[[Ask, Context], ChatModel]


def pool_chat(asked: Ask, context: Context) -> ChatModel:
    """Return the chat model of the settings, which is asked unless a method says otherwise."""
    return context.pool.chat()


def reason_with(chat_of: ChatOf) -> Callable[[State, Runtime[Context]], Command[str]]:
    """Return the node that asks a chat model, chosen at every call.

    The second time it asks more strictly, after a reply that could not be used. A prompt that is
    too long for the model goes back to where it was made, to be made with half the evidence; the
    question itself is never touched.
    """

    def reason(state: State, runtime: Runtime[Context]) -> Command[str]:
        return _reason(state, runtime, chat_of(state["ask"], runtime.context))

    return reason


def _reason(state: State, runtime: Runtime[Context], chat: ChatModel) -> Command[str]:
    start, attempt = perf_counter(), state.get("attempt", 0) + 1
    asked = state["ask"]
    names: tuple[str, ...] = ()
    try:
        if attempt == 1:
            draft, usage = draft_answer(asked, state["question"], chat)
        else:
            draft, usage, names = _ask_again(state, chat)
    except ContextOverflowError as error:
        room = state.get("room", 1.0) / 2
        if not asked.maker or room < LEAST_ROOM:
            raise
        runtime.stream_writer({"stage": "reason", "shrunk_to": room, "why": str(error)})
        return Command(update={"room": room}, goto=asked.maker)
    update: State = {
        "attempt": attempt,
        "draft": draft,
        "prompts": {name: prompts.version(name) for name in names},
        "usage": {f"reason {attempt}": replace(usage, seconds=perf_counter() - start)},
    }
    return Command(update=update, goto="parse")


def draft_answer(asked: Ask, question: Question, chat: ChatModel) -> tuple[Draft, Usage]:
    """Hold a conversation, once or several times, and return what the last replies say."""
    replies, total = [], Usage()
    for sample in range(asked.samples):
        turns = asked.turns
        how: dict[str, Any] = {}
        if asked.temperature:
            how = {"temperature": asked.temperature, "seed": sample}
        if asked.follow_ups and asked.reasoning_tokens:
            how["max_new_tokens"] = asked.reasoning_tokens
        text, usage = _call(turns, chat, **how)
        total += usage
        for follow_up in asked.follow_ups:
            turns = (*turns, Turn("assistant", text), Turn("user", follow_up))
            text, usage = _call(turns, chat)
            total += usage
        replies.append(text)
    likelihoods: tuple[float, ...] = ()
    plain = not (asked.checked or asked.follow_ups or asked.parity) and asked.samples == 1
    if question.options and plain:
        letters = ascii_uppercase[: len(question.options)]
        likelihoods, usage = option_likelihoods(asked.turns, letters, chat)
        total += usage
    drawn = tuple(replies) if asked.samples > 1 else ()
    return Draft(replies[0], replies=drawn, likelihoods=likelihoods), total


def call(turns: Sequence[Turn], context: Context) -> tuple[str, Usage]:
    """Send a conversation to the chat model and return its text and what it cost."""
    return _call(turns, context.pool.chat())


def _call(turns: Sequence[Turn], chat: ChatModel, **drawn: Any) -> tuple[str, Usage]:
    return _timed(lambda: chat.invoke(messages(turns), **drawn))


def copy(prompt: str, passages: Sequence[str], chat: ChatModel) -> tuple[str, Usage]:
    """Let a chat model reply with a literal span of one of some passages."""
    return _timed(lambda: chat.copy_span([HumanMessage(prompt)], passages))


def option_likelihoods(
    turns: Sequence[Turn], options: Sequence[str], chat: ChatModel
) -> tuple[tuple[float, ...], Usage]:
    """Return the probability of each option as the reply; () if the model cannot tell.

    It is the softmax of the mean log-likelihood a token, so that long options are not worse off.
    """
    if not chat.capabilities.option_scoring:
        return (), Usage()
    start = perf_counter()
    scores = chat.score_options(messages(turns), options)
    seconds = perf_counter() - start
    total = sum(exp(score) for score in scores)
    return (
        tuple(exp(score) / total for score in scores),
        Usage(seconds=seconds, model_seconds=seconds, scored=len(options)),
    )


def messages(turns: Sequence[Turn]) -> list[BaseMessage]:
    """Return a conversation as LangChain messages; pictures are read from their files."""
    return [_message(turn) for turn in turns]


def parse(state: State, runtime: Runtime[Context]) -> Command[Literal["cite", "reason", "backup"]]:
    """Take the draft as the answer if it is one; else ask again, then fall back."""
    draft, question = state["draft"], state["question"]
    if state["ask"].checked:
        embedder = runtime.context.pool.embedder()
        judged = judge(draft.text, question, state["lines"], embedder)
    elif draft.replies:
        judged = vote(draft, question, state["ask"].parity)
    else:
        judged = understand(draft, question, state["ask"].parity)
    if judged.accepted:
        return Command(update={"draft": judged}, goto="cite")
    again = state["attempt"] < 2 and not state["ask"].parity
    return Command(update={"draft": judged}, goto="reason" if again else "backup")


def understand(draft: Draft, question: Question, parity: Parity | None = None) -> Draft:
    """Read one reply: the option that it chooses, or for an open question the text itself."""
    if not question.options:
        if not draft.text or REFUSALS.search(draft.text):
            return replace(draft, reason="the model gave no answer")
        return replace(draft, accepted=True)
    parsed = parse_choice(draft.text, question.options, parity)
    if parsed.choice is None:
        return replace(draft, reason="the model chose none of the options")
    if not draft.likelihoods:
        return replace(draft, choice=parsed.choice, accepted=True)
    return replace(
        draft,
        choice=parsed.choice,
        confidence=draft.likelihoods[parsed.choice],
        measured_by="likelihood",
        accepted=True,
    )


def vote(draft: Draft, question: Question, parity: Parity | None = None) -> Draft:
    """Take the option that most samples choose (self-consistency)."""
    if not question.options:
        return understand(draft, question)
    choices = [parse_choice(reply, question.options, parity).choice for reply in draft.replies]
    winner = majority(choices)
    if winner.choice is None:
        return replace(draft, reason="no sample chose one of the options")
    return replace(
        draft,
        choice=winner.choice,
        confidence=winner.share,
        measured_by="agreement",
        accepted=True,
    )


def backup(state: State, runtime: Runtime[Context]) -> Command[Literal["cite", "abstain"]]:
    """Answer without the model's words: the best line of the evidence, or the likeliest option."""
    draft, options, usage = state["draft"], state["question"].options, Usage()
    if draft.likelihoods:
        found = _likeliest(draft)
    elif state["ask"].checked:
        found = _quote(state, runtime.context)
        if options and not found.accepted:
            chat, start = runtime.context.pool.chat(), perf_counter()
            likely, usage = option_likelihoods(state["ask"].turns, options, chat)
            usage = replace(usage, seconds=perf_counter() - start)
            found = _likeliest(replace(found, likelihoods=likely)) if likely else found
    else:
        found = replace(draft, accepted=False)
    update: State = {"draft": found, "usage": {"backup": usage}}
    return Command(update=update, goto="cite" if found.accepted else "abstain")


def cite(state: State, runtime: Runtime[Context]) -> State:
    """Give the answer with the lines that hold its words, and the pictures that were shown."""
    draft, question, lines = state["draft"], state["question"], state.get("lines", ())
    text = draft.text if draft.choice is None else question.options[draft.choice]
    shown = [line for line in lines if line.kind == PICTURE]
    told = [line for line in lines if line.kind != PICTURE]
    wanted = set(words(f"{draft.text} {text}")) - set(words(question.text))
    overlap = [len(wanted & set(words(e.text))) for e in told]
    ranked = sorted(range(len(told)), key=lambda i: (-overlap[i], i))
    cited = [told[i] for i in ranked if overlap[i]][:MAX_CITED] or told[:1]
    if draft.needs_all:
        cited = told
    answer = Answer(
        answer=text,
        choice=draft.choice,
        reason="; ".join(filter(None, (draft.reason, _note(state)))),
        confidence=round(max(0.0, min(1.0, draft.confidence)), 3),
        measured_by=draft.measured_by or "none",
        evidence=in_time_order([*cited, *shown]),
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
    told = "; ".join(filter(None, (reason, _note(state))))
    return {"answer": Answer(answer="", abstained=True, reason=told, evidence=nearest)}


def _note(state: State) -> str:
    return state["ask"].note if "ask" in state else ""


def add_tail(graph: Any, maker: str, chat_of: ChatOf = pool_chat, then: str = END) -> None:
    """Add the nodes that every method ends with.

    Args:
        graph: The method's graph.
        maker: Its node that leads into `reason` (or `abstain`) and can shorten what it made.
        chat_of: Returns the chat model that is asked.
        then: Where the answer goes.
    """
    graph.add_node("reason", reason_with(chat_of), destinations=("parse", maker))
    for node in (parse, backup, cite, abstain):
        graph.add_node(node)
    graph.add_edge("cite", then)
    graph.add_edge("abstain", then)


def _ask_again(state: State, chat: ChatModel) -> tuple[Draft, Usage, tuple[str, ...]]:
    """Ask for a span of the best line where only that is trusted, else for the bare answer."""
    asked, draft, question = state["ask"], state["draft"], state["question"]
    if asked.checked:
        best = state["lines"][0]
        prompt = prompts.render("answer_again", line=as_line(best), question=question.text)
        if chat.capabilities.span_copying:
            text, usage = copy(prompt, best.text.split(SEPARATOR), chat)
        else:
            text, usage = _call([Turn("user", prompt)], chat)
        return replace(draft, text=text), usage, ("answer_again",)
    name = "ask_letter_again" if question.options else "ask_again"
    turns = (*asked.turns, Turn("assistant", draft.text), Turn("user", prompts.render(name)))
    text, usage = _call(turns, chat)
    return replace(draft, text=text, replies=()), usage, (name,)


def _likeliest(draft: Draft) -> Draft:
    choice = max(range(len(draft.likelihoods)), key=draft.likelihoods.__getitem__)
    return replace(
        draft,
        choice=choice,
        confidence=draft.likelihoods[choice],
        measured_by="likelihood",
        reason=f"{draft.reason}; the option that it finds likeliest is taken",
        accepted=True,
    )


def _quote(state: State, context: Context) -> Draft:
    """Quote the best line, or take the option that the best fitting line means."""
    draft, question, lines = state["draft"], state["question"], state["lines"]
    why = f"{draft.reason}; "
    if not question.options:
        return Draft(
            text=answering_row(question, lines[0].text),
            confidence=lines[0].score / 2,
            measured_by="relevance",
            reason=why + "the best matching line is quoted instead",
            accepted=True,
        )
    embedder = context.pool.embedder()
    for line in lines:
        match = match_option(line.text, question.options, embedder)
        if (named := named_option(line, question)) is not None:
            match = Match(named, 1.0, "mention")
        if match.choice is not None and match.how != "letter":
            return Draft(
                text=line.text,
                choice=match.choice,
                confidence=match.confidence * line.score / 2,
                measured_by="relevance",
                reason=why + "the option that fits the best matching line is taken",
                accepted=True,
            )
    return replace(draft, reason=why + "no line fits one of them either", accepted=False)


def _message(turn: Turn) -> BaseMessage:
    if turn.role == "system":
        return SystemMessage(turn.text)
    if turn.role == "assistant":
        return AIMessage(turn.text)
    if not turn.images:
        return HumanMessage(turn.text)
    blocks: list[str | dict[str, Any]] = [*map(_picture, turn.images)]
    return HumanMessage([*blocks, {"type": "text", "text": turn.text}])


def _picture(path: Path) -> dict[str, Any]:
    kind = mimetypes.guess_type(path.name)[0] or "image/jpeg"
    data = base64.b64encode(path.read_bytes()).decode()
    return {"type": "image", "base64": data, "mime_type": kind}


def usage_of(reply: AIMessage, seconds: float) -> Usage:
    """Return what one call of the chat model cost."""
    tokens: Mapping[str, Any] = reply.usage_metadata or {}
    return Usage(
        seconds=seconds,
        model_seconds=seconds,
        model_calls=0 if reply.response_metadata.get("kept") else 1,
        input_tokens=tokens.get("input_tokens", 0),
        output_tokens=tokens.get("output_tokens", 0),
        cost=reply.response_metadata.get("cost", 0.0),
    )


def _timed(send: Callable[[], AIMessage]) -> tuple[str, Usage]:
    """Return the text of a reply and what it cost."""
    start = perf_counter()
    reply = send()
    return reply.text.strip(), usage_of(reply, perf_counter() - start)
