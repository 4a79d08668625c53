"""A chat model with a video's visual tokens in its prompt in place of pictures.

It is called like any other (`invoke`, `stream`, `score_options`), so parsing, asking again and
option scoring need no special case. The KV cache of the tokens is kept for the next call and,
optionally, for the next question on the same video.
"""

import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models.chat_models import generate_from_stream
from langchain_core.messages import BaseMessage, HumanMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from PIL import Image
from pydantic import ConfigDict, SkipValidation

from agent.models.chat_model import Capabilities, ChatModel, image_block
from agent.models.chat_transformers import TransformersChat
from agent.models.scoring import score_replies
from agent.models.transformers_writer import memory_errors
from agent.visual.contrast import OutlierContrast
from agent.visual.encoding import takes_tokens
from agent.visual.injection import PromptIds, image_token_of, inputs_for, tokenise
from agent.visual.prefix import VisualPrefix
from agent.visual.token_cache import read_tokens

BLANK_SIDE = 336  # of the placeholder picture


def token_model(chat: ChatModel) -> TransformersChat | None:
    """Return the model if it takes visual tokens, else None."""
    if isinstance(chat, TransformersChat) and takes_tokens(chat.hf_model.config):
        return chat
    return None


def prompt_ids(
    chat: TransformersChat, messages: Sequence[BaseMessage], parity: bool = False
) -> PromptIds:
    """Return a conversation tokenised around the position of the video, before its first words.

    The text of a message is never tokenised as a control token; in parity a question with one is
    rejected, see `agent.visual.injection.tokenise`.
    """
    placed = _with_picture(messages)
    if parity:
        talk = [_plain(message) for message in placed]
        text = chat.hf_processor.apply_chat_template(
            talk, add_generation_prompt=True, tokenize=False
        )
        return tokenise(chat.tokenizer, text, chat.hf_processor.image_token, parity=True)
    ids: list[int] = chat.encode(placed)["input_ids"][0].tolist()
    image = image_token_of(chat.hf_model)
    end = len(ids) - ids[::-1].index(image)
    return PromptIds(tuple(ids[: ids.index(image)]), tuple(ids[end:]))


@dataclass(frozen=True, slots=True)
class PrefixKey:
    """The cache key of a prompt prefix, besides the model."""

    tokens: Path
    before: tuple[int, ...]


class KeptPrefix:
    """The cached prefix of the last video, as long as its model is loaded; held exclusively."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._model: weakref.ref[TransformersChat] | None = None
        self._key: PrefixKey | None = None
        self._prefix: VisualPrefix | None = None

    @contextmanager
    def lend(self, chat: TransformersChat, key: PrefixKey, visual: Any) -> Iterator[VisualPrefix]:
        """Yield the prefix of a prompt, prefilled unless it is the cached one."""
        with self._lock:
            same = self._model is not None and self._model() is chat and self._key == key
            prefix = self._prefix if same else None
            if prefix is None:
                self.drop()  # first, for two may not fit in memory
                with chat.lock, out_of_memory(chat.name):
                    prefix = VisualPrefix(chat.hf_model, key.before, visual)
                self._prefix, self._key = prefix, key
                self._model = weakref.ref(chat, lambda _: self.drop())
            yield prefix

    @property
    def memory_bytes(self) -> int:
        """Memory of the cached prefix in bytes."""
        prefix = self._prefix
        return prefix.memory_bytes if prefix else 0

    def drop(self) -> None:
        """Drop the cached prefix, so that its model can be evicted."""
        self._prefix = self._key = None


class TokenChat(ChatModel):
    """A local model with a video's visual tokens before the first words of a conversation."""

    model_config = ConfigDict(frozen=False)  # LangChain fills its fields in afterwards

    chat: SkipValidation[TransformersChat]  # which is whole, and frozen
    tokens: Path
    kept: SkipValidation[KeptPrefix]
    parity: bool = False
    outliers: Path | None = None  # for contrastive decoding, not for scoring options

    @property
    def _llm_type(self) -> str:
        return "transformers with visual tokens"

    @property
    def capabilities(self) -> Capabilities:
        """The capabilities of the model besides taking visual tokens."""
        return self.chat.capabilities

    def count_tokens(self, text: str) -> int:
        """Return the number of tokens of a plain text."""
        return self.chat.count_tokens(text)

    def image_tokens(self, width: int, height: int, count: int = 1) -> int:
        """Return the tokens that `count` pictures of a size in pixels add to one message."""
        return self.chat.image_tokens(width, height, count)

    def score_options(self, messages: Sequence[BaseMessage], options: Sequence[str]) -> list[float]:
        """Return the mean log-likelihood per token of each option as the model's reply."""
        replies = [self.chat.tokenizer(o, add_special_tokens=False)["input_ids"] for o in options]
        prompt = prompt_ids(self.chat, messages, self.parity)
        visual, longest = read_tokens(self.tokens), max(map(len, replies))
        self.chat.check_fits(len(prompt) + len(visual), longest)
        with self._prefix(prompt, visual, longest) as prefix, self._alone():
            if prefix:
                return prefix.score(prompt.after, replies)
            return score_replies(
                self.chat.hf_model, inputs_for(self.chat.hf_model, prompt, visual), replies
            )

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return generate_from_stream(self._stream(messages, stop, run_manager, **kwargs))

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        decoding = replace(self.chat.decoding(stop, kwargs), unreserved=self.parity)
        prompt = prompt_ids(self.chat, messages, self.parity)
        visual = read_tokens(self.tokens)
        self.chat.check_fits(len(prompt) + len(visual), decoding.reserved_tokens)
        with self._inputs(prompt, visual, decoding.max_new_tokens) as inputs:
            yield from self.chat.stream_written(inputs, decoding, **self._contrast(prompt))

    def _contrast(self, prompt: PromptIds) -> dict[str, Any]:
        """Return the arguments of `generate` for contrastive decoding against the outliers."""
        if self.outliers is None:
            return {}
        against = read_tokens(self.outliers)
        return {"logits_processor": [OutlierContrast(self.chat.hf_model, prompt, against)]}

    @contextmanager
    def _inputs(self, prompt: PromptIds, visual: Any, new: int) -> Iterator[dict[str, Any]]:
        """Yield the inputs of `generate`."""
        with self._prefix(prompt, visual, new) as prefix:
            if prefix is None:
                yield inputs_for(self.chat.hf_model, prompt, visual)
                return
            with prefix.asked(prompt.after) as inputs:
                try:
                    yield inputs
                finally:
                    with self.chat.lock:  # wait until an interrupted reply has really ended
                        pass

    @contextmanager
    def _prefix(self, prompt: PromptIds, visual: Any, new: int) -> Iterator[VisualPrefix | None]:
        """Yield the cached prefix of the video; None where it would change the answer.

        Beyond the trained length, dynamic RoPE scaling depends on the length of the whole prompt.
        """
        trained = self.chat.hf_model.config.get_text_config().max_position_embeddings
        if len(prompt) + len(visual) + new > trained:
            yield None
            return
        with self.kept.lend(self.chat, PrefixKey(self.tokens, prompt.before), visual) as prefix:
            yield prefix

    @contextmanager
    def _alone(self) -> Iterator[None]:
        import torch

        with self.chat.lock, torch.inference_mode(), out_of_memory(self.name):
            yield


def out_of_memory(name: str) -> AbstractContextManager[None]:
    """Turn out-of-memory on the device into an error with a remedy."""
    return memory_errors(
        f"{name} ran out of memory with a video's visual tokens; take fewer with --set "
        f"ts-llava.samples=1000, --set chat.quantization=4bit, or --set device=cpu"
    )


def _with_picture(messages: Sequence[BaseMessage]) -> list[BaseMessage]:
    """Put a blank placeholder picture for the video before the user's first words."""
    placed = list(messages)
    first = next(i for i, message in enumerate(placed) if message.type == "human")
    blank = image_block(Image.new("RGB", (BLANK_SIDE, BLANK_SIDE)))
    placed[first] = HumanMessage([blank, {"type": "text", "text": placed[first].text}])
    return placed


def _plain(message: BaseMessage) -> dict[str, Any]:
    """Return a message in the format of a chat template."""
    roles = {"human": "user", "ai": "assistant", "system": "system"}
    blocks = [
        {"type": "image"} if block["type"] == "image" else {"type": "text", "text": block["text"]}
        for block in message.content_blocks
        if block["type"] in ("image", "text")
    ]
    return {"role": roles[message.type], "content": blocks}
