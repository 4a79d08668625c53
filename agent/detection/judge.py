"""Call the model, and recover from a reply that cannot be used: at most three calls in all.

Direct JSON, else the first balanced object, else one repair turn that quotes the error. A refusal,
a timeout or a prompt that is too long is tried once more in neutral words with fewer pictures. What
is left abstains with its code; there is never a default label.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Literal

from langchain_core.messages import AIMessage

import prompts
from agent.answer import Usage
from agent.answering.conversation import messages, usage_of
from agent.detection.compose import milder
from agent.detection.reply import Code, Reading, read_reply
from agent.detection.schema import StrictReply
from agent.models.chat_model import ChatModel, ContextOverflowError
from agent.models.endpoint_errors import ServerTimeoutError
from agent.records import Turn

MAX_CALLS = 3
Recovery = Literal["repair", "soften"]
RECOVERIES: Mapping[str, Recovery] = {
    "invalid": "repair",
    "empty": "repair",
    "truncated": "repair",
    "tool_call": "repair",
    "refused": "soften",
    "timeout": "soften",
    "too_long": "soften",
}
REASONS = {
    "refused": "the model refused",
    "invalid": "the model's replies were not valid",
    "empty": "the model replied with nothing",
    "truncated": "the model's replies were cut off",
    "tool_call": "the model called tools in place of a reply",
    "timeout": "the model did not reply in time",
    "too_long": "the request is longer than the model's context",
}


def ask_model(turns: Sequence[Turn], chat: ChatModel, max_tokens: int) -> tuple[AIMessage, Usage]:
    """Send a conversation at temperature 0; a timeout or an overflow becomes an empty reply."""
    start = perf_counter()
    try:
        reply = chat.invoke(messages(turns), max_new_tokens=max_tokens, temperature=0.0)
    except (TimeoutError, ServerTimeoutError, ContextOverflowError) as error:
        why = "context" if isinstance(error, ContextOverflowError) else "deadline"
        nothing = AIMessage("", response_metadata={"finish_reason": why})
        return nothing, Usage(model_seconds=perf_counter() - start, model_calls=1)
    return reply, usage_of(reply, perf_counter() - start)


def plain_reply(message: AIMessage) -> dict[str, Any]:
    """Return a reply as plain values for the graph's state."""
    return {
        "text": message.text,
        "finish_reason": message.response_metadata.get("finish_reason", ""),
        "calls_tool": bool(message.tool_calls),
    }


def read_plain(reply: Mapping[str, Any], schema: type[StrictReply]) -> Reading:
    """Parse a reply of the state."""
    calls = [{"name": "tool", "args": {}, "id": "call"}] if reply["calls_tool"] else []
    metadata = {"finish_reason": reply["finish_reason"]}
    return read_reply(
        AIMessage(reply["text"], response_metadata=metadata, tool_calls=calls), schema
    )


def next_step(code: Code, tried: Sequence[str], calls: int) -> Recovery | None:
    """Return how to recover from a bad reply; None to abstain.

    Each way is taken once, and the third call is the last.
    """
    way = RECOVERIES[code]
    return None if way in tried or calls >= MAX_CALLS else way


def recovered(
    way: Recovery, turns: Sequence[Turn], frames: int, pictures: int, text: str, error: str
) -> tuple[Turn, ...]:
    """Return the conversation for the next call.

    Args:
        way: How to recover.
        turns: The conversation so far.
        frames: How many of its pictures are frames.
        pictures: Pictures that a softened request keeps at most.
        text: The bad reply.
        error: What is wrong with it.
    """
    if way == "soften":
        return (*turns[:1], milder(turns[1], frames, pictures))
    request = prompts.render("detect_repair", error=error)
    if not text.strip():  # servers refuse an empty turn
        first = turns[1]
        return (turns[0], Turn("user", f"{first.text}\n{request}", tuple(first.images)))
    return (*turns, Turn("assistant", text), Turn("user", request))


@dataclass(frozen=True, slots=True)
class Outcome:
    """A usable reply, or why there is none, with the calls that it took."""

    reply: StrictReply | None
    codes: tuple[str, ...]
    usage: Usage


def judge_once(
    turns: Sequence[Turn], chat: ChatModel, schema: type[StrictReply], max_tokens: int
) -> Outcome:
    """Call the model once, without recovery: for the control with shuffled frames."""
    message, usage = ask_model(turns, chat, max_tokens)
    found = read_reply(message, schema)
    return Outcome(found.reply, (found.code,) if found.code else (), usage)
