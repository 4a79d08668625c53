"""The record of a chat model's calls: a LangChain callback, so that it sees every call."""

from collections.abc import Mapping, Sequence
from threading import Lock
from time import perf_counter
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, LLMResult

from agent.library.exchange import ModelCall
from agent.models.chat_model import image_blocks

ROLES = {"human": "user", "ai": "assistant"}  # LangChain's names and those of chat servers


class CallRecord(BaseCallbackHandler):
    """A callback that records every call of a chat model in the runs that it is passed to."""

    def __init__(self) -> None:
        self._calls: dict[UUID, ModelCall] = {}
        self._begun: dict[UUID, float] = {}
        self._lock = Lock()  # nodes run in parallel

    @property
    def calls(self) -> list[ModelCall]:
        """The calls with their replies, in the order of sending."""
        with self._lock:
            return list(self._calls.values())

    def on_chat_model_start(
        self,
        serialized: Mapping[str, Any],
        messages: Sequence[Sequence[BaseMessage]],
        *,
        run_id: UUID,
        metadata: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Record the messages sent."""
        call = ModelCall(
            node=str((metadata or {}).get("langgraph_node", "")),
            messages=[_plain(message) for message in messages[0]],
            reply="",
            input_tokens=0,
            output_tokens=0,
            seconds=0.0,
        )
        with self._lock:
            self._calls[run_id] = call
            self._begun[run_id] = perf_counter()

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **kwargs: Any) -> None:
        """Record the reply."""
        generation = response.generations[0][0]
        if not isinstance(generation, ChatGeneration):
            return
        message = generation.message
        used = message.usage_metadata if isinstance(message, AIMessage) else None
        with self._lock:
            call = self._calls[run_id]
            call["reply"] = message.text
            call["seconds"] = round(perf_counter() - self._begun[run_id], 3)
            call["input_tokens"] = used["input_tokens"] if used else 0
            call["output_tokens"] = used["output_tokens"] if used else 0


def _plain(message: BaseMessage) -> dict[str, Any]:
    pictures = sum(1 for _ in image_blocks([message]))
    return {
        "role": ROLES.get(message.type, message.type),
        "text": message.text,
        "pictures": pictures,
    }
