"""A frozen language or vision-language model of transformers, run in this process."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import get_config_list
from pydantic import PrivateAttr

from agent.models.chat_model import (
    Capabilities,
    ChatModel,
    Decoding,
    MemoryLimitError,
    frame_time,
    image_blocks,
    image_size,
)
from agent.models.context_window import context_limit
from agent.models.loading import Loaded, load_model
from agent.models.scoring import score_replies
from agent.models.transformers_inputs import PromptEncoder
from agent.models.transformers_writer import Writer, Written
from tools.errors import InputError, ReelgraphError

log = logging.getLogger(__name__)
# Models whose pictures become a plain sequence of visual tokens in the prompt, which can be read,
# dropped and replaced. Qwen-VL's cannot: its visual features also enter deeper layers.
TOKEN_ACCESS = ("llava", "llava_next", "llava_onevision", "llava_next_video", "video_llava")
Reply = AIMessage | ReelgraphError


def local_capabilities(
    made_for: int,
    context_tokens: int | None,
    sees: str = "",
    max_images: int | None = None,
    video: bool = False,
) -> Capabilities:
    """Return the capabilities of a model in this process.

    Args:
        made_for: Context window of the checkpoint in tokens.
        context_tokens: Tokens that the settings allow; None for all.
        sees: Its `model_type` if it takes pictures, else empty.
        max_images: Pictures that the settings allow; None for any number.
        video: Whether its processor takes videos and the settings want them.
    """
    return Capabilities(
        images=bool(sees),
        max_images=max_images if sees else 0,
        context_tokens=min(made_for, context_tokens or made_for),
        option_scoring=True,
        visual_tokens=sees in TOKEN_ACCESS,
        tool_calling=False,
        video=video,
    )


class TransformersChat(ChatModel):
    """Any text or image-text-to-text model in a local folder or, if allowed, on the hub.

    Decoding is greedy unless a temperature is given. One call runs at a time.
    """

    source: str
    device: str = "cpu"
    dtype: str = "auto"
    quantization: str = "none"
    attention: str = "auto"
    rope_factor: float = 1.0
    context_limit: int | None = None
    batch_size: int = 4
    native_video: bool = True
    offline: bool = True

    _loaded: Loaded = PrivateAttr()
    _encoder: PromptEncoder = PrivateAttr()
    _writer: Writer = PrivateAttr()
    _fitting_batch: int = PrivateAttr()  # conversations at once; reduced when out of memory

    def model_post_init(self, context: Any, /) -> None:
        """Load the weights. `MissingError` when they or their dependencies are missing."""
        self._loaded = load_model(
            self.source,
            self.device,
            self.dtype,
            self.quantization,
            self.attention,
            self.offline,
            self.rope_factor,
        )
        self._encoder = PromptEncoder(self._loaded, self._takes_video)
        self._writer = Writer(self.name, self._loaded, self.check_fits)
        self._fitting_batch = self.batch_size

    @property
    def _llm_type(self) -> str:
        return "transformers"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        names = ("name", "dtype", "quantization", "max_new_tokens", "temperature", "seed")
        return {name: getattr(self, name) for name in names}

    @property
    def hf_model(self) -> Any:
        """The transformers model; hold `lock` while you use it."""
        return self._loaded.model

    @property
    def hf_processor(self) -> Any:
        """Its processor; for a text-only model its tokenizer."""
        return self._loaded.processor

    @property
    def tokenizer(self) -> Any:
        """The transformers tokenizer."""
        return self._loaded.tokenizer

    @property
    def lock(self) -> Any:
        """The re-entrant lock that every call of the model holds."""
        return self._writer.lock

    @property
    def memory_bytes(self) -> int:
        """Bytes of weights and buffers."""
        return int(self.hf_model.get_memory_footprint())

    @property
    def capabilities(self) -> Capabilities:
        """The capabilities of the model, from its configuration and the settings."""
        config, sees = self.hf_model.config, self._loaded.sees_images
        kind = config.model_type if sees else ""
        return local_capabilities(
            context_limit(config), self.context_limit, kind, self.max_images, self._takes_video
        )

    def count_tokens(self, text: str) -> int:
        """Return the number of tokens of a plain text."""
        return self._encoder.count_tokens(text)

    def image_tokens(self, width: int, height: int, count: int = 1) -> int:
        """Return the tokens that `count` pictures of a size in pixels add to one message."""
        return self._encoder.image_tokens(width, height, count)

    def video_tokens(
        self, width: int, height: int, times_s: Sequence[float], length_s: float
    ) -> int:
        """Return the tokens that a video of frames at some times adds to one message."""
        if not self._takes_video:
            return super().video_tokens(width, height, times_s, length_s)
        return self._encoder.video_tokens(width, height, times_s, length_s)

    @property
    def _takes_video(self) -> bool:
        return self.native_video and self._loaded.takes_video

    def encode(self, *conversations: Sequence[BaseMessage]) -> Any:
        """Return the model's inputs for some conversations, padded on the left, on its device.

        Raises:
            InputError: Pictures for a text-only model, or too many.
        """
        for messages in conversations:
            self.check_images(messages)
        return self._encoder.encode(conversations)

    def write(self, inputs: Mapping[str, Any], decoding: Decoding, **options: Any) -> list[Written]:
        """Generate a reply for each row of prepared inputs.

        Args:
            inputs: What `encode` returns, or `inputs_embeds` [batch, length, width] with an
                `attention_mask`, for prompts assembled by hand.
            decoding: Decoding parameters; `decoding(stop, {...})` makes them.
            options: Further arguments for transformers' `generate`.

        Raises:
            ContextOverflowError: Before the model runs.
            MemoryLimitError: The device is out of memory.
        """
        return self._writer.write(inputs, decoding, **options)

    def stream_written(
        self, inputs: Mapping[str, Any], decoding: Decoding, **options: Any
    ) -> Iterator[ChatGenerationChunk]:
        """Stream a reply for one row of prepared inputs.

        Closing the iterator stops generation. Arguments and errors are those of `write`.
        """
        for part in self._writer.stream(inputs, decoding, **options):
            yield _chunk(self._message(part) if isinstance(part, Written) else part)

    def score_options(self, messages: Sequence[BaseMessage], options: Sequence[str]) -> list[float]:
        """Return the mean log-likelihood per token of each option as the model's reply.

        The prompt is prefilled once for all options.
        """
        replies = [self.tokenizer(o, add_special_tokens=False)["input_ids"] for o in options]
        if not all(replies):
            raise InputError(f"an option without any text cannot be scored: {list(options)}")
        prompt = self.encode(messages)
        longest = max(map(len, replies), default=0)
        self.check_fits(prompt["input_ids"].shape[1], longest)
        with self._writer.running(prompt):
            return score_replies(self.hf_model, prompt, replies)

    def batch(
        self,
        inputs: Sequence[LanguageModelInput],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[AIMessage]:
        """Answer several conversations; those with equal picture sizes are batched."""
        talks = [self._convert_input(each).to_messages() for each in inputs]
        replies = self._answer(talks, self.decoding(kwargs.pop("stop", None), kwargs))
        configs = get_config_list(config, len(talks))
        answers: list[Any] = []
        for talk, each, reply in zip(talks, configs, replies, strict=True):
            try:  # through `invoke`, so that callbacks and traces see every call
                answers.append(self.invoke(talk, each, **{**kwargs, "reply": reply}))
            except ReelgraphError as error:
                if not return_exceptions:
                    raise
                answers.append(error)
        return answers

    def _answer(self, talks: Sequence[list[BaseMessage]], decoding: Decoding) -> list[Reply]:
        """Answer conversations of any shapes, in order."""
        replies: dict[int, Reply] = {}
        shapes = [_shape(talk) for talk in talks]
        order = sorted(range(len(talks)), key=lambda i: shapes[i])
        for _, group in groupby(order, key=lambda i: shapes[i]):
            members = list(group)
            answers = self._answer_alike([talks[i] for i in members], decoding)
            replies |= zip(members, answers, strict=True)
        return [replies[i] for i in range(len(talks))]

    def _answer_alike(self, talks: list[list[BaseMessage]], decoding: Decoding) -> list[Reply]:
        """Answer conversations of one shape in batches, smaller ones when out of memory."""
        answers: list[Reply] = []
        while len(answers) < len(talks):
            some = talks[len(answers) : len(answers) + self._fitting_batch]
            try:
                written = self.write(self.encode(*some), decoding)
            except ReelgraphError as error:
                if len(some) == 1:
                    answers.append(error)
                elif isinstance(error, MemoryLimitError):
                    self._fitting_batch = len(some) // 2
                    log.warning("batches of %d from now on: %s", self._fitting_batch, error)
                else:  # one by one, to find which of them it was
                    answers += [r for talk in some for r in self._answer_alike([talk], decoding)]
                continue
            report = {"batch_size": len(some)}
            if self._fitting_batch < self.batch_size:
                report["batch_size_wanted"] = self.batch_size
            answers += [self._message(each, **report) for each in written]
        return answers

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        reply: Reply | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        """Answer, or return the `reply` that `batch` generated for these messages."""
        if isinstance(reply, ReelgraphError):
            raise reply
        if reply is None:
            decoding = self.decoding(stop, kwargs)
            reply = self._message(self.write(self.encode(messages), decoding)[0])
        return ChatResult(generations=[ChatGeneration(message=reply)])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        reply: Reply | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        if isinstance(reply, ReelgraphError):
            raise reply
        if reply is None:
            yield from self.stream_written(self.encode(messages), self.decoding(stop, kwargs))
        else:
            yield _chunk(reply.text)
            yield _chunk(reply)

    def _message(self, written: Written, **report: Any) -> AIMessage:
        details = {"model_name": self.name, "finish_reason": written.finish_reason, **report}
        return AIMessage(written.text, usage_metadata=written.usage, response_metadata=details)


def _shape(messages: Sequence[BaseMessage]) -> tuple[tuple[int, int, bool], ...]:
    """Return the sizes of a conversation's pictures in pixels, and which are frames of a video."""
    blocks = image_blocks(messages)
    return tuple((*image_size(block), frame_time(block) is not None) for block in blocks)


def _chunk(part: str | AIMessage) -> ChatGenerationChunk:
    """Return a piece of text, or the metadata of a whole reply, as a streamed chunk."""
    if isinstance(part, str):
        return ChatGenerationChunk(message=AIMessageChunk(content=part))
    details = AIMessageChunk(
        content="",
        usage_metadata=part.usage_metadata,
        response_metadata=part.response_metadata,
        chunk_position="last",
    )
    return ChatGenerationChunk(message=details)
