"""Calls of a chat model: turns as messages, one call and its cost, likelihoods of options."""

import base64
import mimetypes
from collections.abc import Mapping, Sequence
from math import exp
from pathlib import Path
from time import perf_counter
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from agent.answer import Usage
from agent.library.reply_cache import ReplyCache
from agent.models.chat_model import ChatModel
from agent.models.identity import reply_identity
from agent.records import Ask, Turn
from agent.state import Context
from tools.media.video import Video


def call(turns: Sequence[Turn], context: Context, **drawn: Any) -> tuple[str, Usage]:
    """Send a conversation to the chat model and return the reply's text and cost."""
    return send(turns, context.pool.chat(), **drawn)


def send(
    turns: Sequence[Turn], chat: ChatModel, *, as_written: bool = False, **drawn: Any
) -> tuple[str, Usage]:
    """Send a conversation to one chat model.

    Args:
        turns: The conversation.
        chat: The model.
        as_written: Keep the white space around the reply.
        drawn: Decoding parameters other than those of the settings.
    """
    start = perf_counter()
    reply = chat.invoke(messages(turns), **drawn)
    text = reply.text if as_written else reply.text.strip()
    return text, usage_of(reply, perf_counter() - start)


def option_likelihoods(
    turns: Sequence[Turn], options: Sequence[str], chat: ChatModel
) -> tuple[tuple[float, ...], Usage]:
    """Return the probability of each option as the reply; () if the model cannot score options.

    It is the softmax of the mean log-likelihood per token: length-normalised.
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


def _message(turn: Turn) -> BaseMessage:
    if turn.role == "system":
        return SystemMessage(turn.text)
    if turn.role == "assistant":
        return AIMessage(turn.text)
    if not turn.images:
        return HumanMessage(turn.text)
    blocks: list[Any] = [*map(_picture, turn.images)]
    for block, time_s in zip(blocks, turn.times_s, strict=False):  # single pictures have no times
        block["extras"] = {"time_s": time_s, "length_s": turn.length_s}
    return HumanMessage([*blocks, {"type": "text", "text": turn.text}])


def _picture(path: Path) -> dict[str, Any]:
    kind = mimetypes.guess_type(path.name)[0] or "image/jpeg"
    data = base64.b64encode(path.read_bytes()).decode()
    return {"type": "image", "base64": data, "mime_type": kind}


def usage_of(reply: AIMessage, seconds: float) -> Usage:
    """Return the cost of one call of the chat model."""
    tokens: Mapping[str, Any] = reply.usage_metadata or {}
    return Usage(
        seconds=seconds,
        model_seconds=seconds,
        model_calls=0 if reply.response_metadata.get("kept") else 1,
        input_tokens=tokens.get("input_tokens", 0),
        output_tokens=tokens.get("output_tokens", 0),
        cost=reply.response_metadata.get("cost", 0.0),
    )


def kept_chat(video: Video, context: Context) -> ChatModel:
    """Return the chat model of the settings with the reply cache of a video.

    Only `invoke` is cached, not `stream` and `score_options`.
    """
    cache = ReplyCache(video, context.library, reply_identity(context.settings.chat))
    return context.pool.chat().model_copy(update={"cache": cache})


def chat_for(asked: Ask, context: Context) -> ChatModel:
    """Return the chat model for the answering nodes of a method that caches its replies."""
    return kept_chat(asked.kept_for, context) if asked.kept_for else context.pool.chat()
