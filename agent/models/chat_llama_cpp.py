"""A chat model in a GGUF file, run by llama.cpp in this process."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.messages import AIMessage, BaseMessage, convert_to_openai_messages
from langchain_core.messages.ai import UsageMetadata, add_usage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from pydantic import ConfigDict, Field, PrivateAttr

from agent.models.chat_endpoint import EndpointChat
from agent.models.chat_model import Capabilities
from agent.models.llama_server import LlamaServer
from tools.errors import InputError
from tools.weights import file_bytes

CONTEXT_TOKENS = 8192  # unless the settings say otherwise; its keys and values take memory
MOST_LOGPROBS = 1000  # of the next token; a token beyond them counts as unlikely as the last one
MOST = 0.5  # of a prompt's tokens
KNOWN = 4096  # texts whose number of tokens is remembered


class LlamaCppChat(EndpointChat):
    """A text model of a GGUF file: asked like one on a server, for llama.cpp is one.

    Unlike one elsewhere it counts tokens exactly and scores options.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    source: Path
    llama: LlamaServer = Field(exclude=True, repr=False)

    _count: Any = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:
        """Create the client of the running server."""
        super().model_post_init(context)
        self._count = lru_cache(KNOWN)(self.llama.count_tokens)

    @property
    def _key(self) -> str:
        return self.llama.key

    @property
    def _llm_type(self) -> str:
        return "llama.cpp"

    @property
    def memory_bytes(self) -> int:
        """Bytes of the weights, which are mapped into memory."""
        return file_bytes(self.source)

    @property
    def capabilities(self) -> Capabilities:
        """The capabilities of the model."""
        return gguf_capabilities(self.llama.context_tokens)

    def count_tokens(self, text: str) -> int:
        """Return the number of tokens of a plain text."""
        count: int = self._count(text)
        return count

    def undisturbed(self) -> AbstractContextManager[object]:
        """Return the lock of the model's only prompt cache: another prompt would overwrite it."""
        return self.llama.turn

    def score_options(self, messages: Sequence[BaseMessage], options: Sequence[str]) -> list[float]:
        """Return the mean log-likelihood per token of each option as the model's reply.

        The prompt is prefilled once for all options.
        """
        prompt = self._prompt(self._as_text(messages))
        replies = [self.llama.tokens(option) for option in options]
        if not all(replies):
            raise InputError(f"an option without any text cannot be scored: {list(options)}")
        self.check_fits(len(prompt), max(map(len, replies), default=0))
        known: dict[tuple[int, ...], dict[int, float]] = {}
        return [self._score(prompt, reply, known) for reply in replies]

    def _score(
        self, prompt: list[int], reply: list[int], known: dict[tuple[int, ...], dict[int, float]]
    ) -> float:
        total = 0.0
        for position, token in enumerate(reply):
            begun = tuple(reply[:position])
            if begun not in known:
                known[begun] = self.llama.next_logprobs([*prompt, *begun], MOST_LOGPROBS)
            likely = known[begun]
            total += likely.get(token, min(likely.values()))
        return total / len(reply)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        result = super()._generate(messages, stop, run_manager, **kwargs)
        self._keep(cast("AIMessage", result.generations[0].message).usage_metadata)
        return result

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        usage: UsageMetadata | None = None
        for chunk in super()._stream(messages, stop, run_manager, **kwargs):
            usage = add_usage(usage, cast("AIMessage", chunk.message).usage_metadata)
            yield chunk
        self._keep(usage)

    def _keep(self, usage: UsageMetadata | None) -> None:
        """Keep the prompt for later programs, if most of it was new to this one."""
        if usage:
            known = usage.get("input_token_details", {}).get("cache_read", 0)
            if known < usage["input_tokens"] * MOST:
                self.llama.keep()

    def _prepared(
        self, messages: list[BaseMessage], stop: list[str] | None, kwargs: dict[str, Any]
    ) -> tuple[list[BaseMessage], dict[str, Any], float | None]:
        return super()._prepared(self._as_text(messages), stop, kwargs)

    def _prompt_tokens(self, messages: Sequence[BaseMessage]) -> int:
        return len(self._prompt(messages))

    def _as_text(self, messages: Sequence[BaseMessage]) -> list[BaseMessage]:
        """Return text messages in which nothing is read as a control token."""
        self.check_images(messages)
        return [m.model_copy(update={"content": self.llama.as_text(m.text)}) for m in messages]

    def _prompt(self, messages: Sequence[BaseMessage]) -> list[int]:
        return self.llama.prompt(convert_to_openai_messages(messages))


def gguf_capabilities(context_tokens: int) -> Capabilities:
    """Return the capabilities of a model that llama.cpp runs here."""
    return Capabilities(
        images=False,
        max_images=0,
        context_tokens=context_tokens,
        option_scoring=True,
        visual_tokens=False,
        tool_calling=False,
    )


def context_for(made_for: int, wanted: int | None) -> int:
    """Return the tokens of context to set up, of those that a model was made for."""
    return min(made_for, wanted or CONTEXT_TOKENS)
