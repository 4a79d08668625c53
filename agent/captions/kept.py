"""Replies of a chat model that the library keeps with a video.

A run that was killed goes on where it was: it repeats the call in flight and no other. What was
asked, of which model and how it was drawn are the key, so anything else is asked anew.
"""

from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import RunnableConfig
from pydantic import ConfigDict

from agent.library import Library
from agent.models.chat_model import Capabilities, ChatModel
from agent.nodes import digest
from agent.settings import ChatSettings
from agent.state import Ask, Context
from tools.evidence import ChannelReport, Evidence
from tools.video import Video

TOOL = "reply"
_IDENTITY = ("engine", "model", "base_url", "dtype", "quantization", "temperature", "seed")


def identity(chat: ChatSettings) -> dict[str, Any]:
    """Return what a reply depends on beside the conversation: the model and how it draws."""
    return {name: getattr(chat, name) for name in (*_IDENTITY, "max_new_tokens")}


def kept_chat(video: Video, context: Context) -> ChatModel:
    """Return the chat model of the settings, which asks nothing twice about a video."""
    chat = context.pool.chat()
    return KeptChat(
        name=chat.name,
        max_new_tokens=chat.max_new_tokens,
        inner=chat,
        library=context.library,
        video=video,
        identity=identity(context.settings.chat),
    )


def chat_for(asked: Ask, context: Context) -> ChatModel:
    """Return the chat model that the tail of a method asks which keeps its replies."""
    return kept_chat(asked.kept_for, context) if asked.kept_for else context.pool.chat()


class KeptChat(ChatModel):
    """A chat model that looks into the library before it asks another one.

    A kept reply costs nothing; it says so by `response_metadata["kept"]`.
    """

    model_config = ConfigDict(frozen=False)  # LangChain sets fields while it validates

    inner: Any
    library: Any
    video: Any
    identity: Mapping[str, Any]

    def invoke(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AIMessage:
        """Return the kept reply to a conversation, or ask for it and keep it."""
        library: Library = self.library
        talk = self._convert_input(input).to_messages()
        said = [[message.type, message.content] for message in talk]
        asked = digest({"messages": said, "stop": stop, "draw": kwargs})
        settings = {"asked": asked, "chat": dict(self.identity)}
        key = digest(settings)
        if known := library.finished_run(self.video, TOOL, key):
            text = "".join(p.evidence.text for p in library.passages([known.id]))
            return AIMessage(text, response_metadata={"kept": True})
        start = perf_counter()
        reply: AIMessage = self.inner.invoke(talk, config, stop=stop, **kwargs)
        told = [Evidence(TOOL, TOOL, 0.0, self.video.duration_s, reply.text)] if reply.text else []
        report = ChannelReport(TOOL, "ok" if told else "empty", len(told), perf_counter() - start)
        library.save_run(self.video, key, settings, report, told)
        return reply

    @property
    def _llm_type(self) -> str:
        return f"kept-{self.inner._llm_type}"

    @property
    def capabilities(self) -> Capabilities:
        """What the model can do."""
        can: Capabilities = self.inner.capabilities
        return can

    def count_tokens(self, text: str) -> int:
        """Return the number of tokens of a plain text."""
        return int(self.inner.count_tokens(text))

    def image_tokens(self, width: int, height: int, count: int = 1) -> int:
        """Return the tokens that so many pictures of a size in pixels add to one message."""
        return int(self.inner.image_tokens(width, height, count))

    def score_options(self, messages: Sequence[BaseMessage], options: Sequence[str]) -> list[float]:
        """Return the mean log-likelihood per token of each option as the model's reply."""
        scores: list[float] = self.inner.score_options(messages, options)
        return scores

    def copy_span(self, messages: Sequence[BaseMessage], passages: Sequence[str]) -> AIMessage:
        """Reply with a literal span of one of the passages."""
        reply: AIMessage = self.inner.copy_span(messages, passages)
        return reply

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        reply = self.invoke(messages, stop=stop, **kwargs)
        return ChatResult(generations=[ChatGeneration(message=reply)])
