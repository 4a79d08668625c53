"""The contract of a chat model: LangChain's, with capability flags and a token budget.

Callers check `capabilities` before a call and count tokens with the model itself, so that they
send nothing that a model cannot take. Implemented by `agent.models.chat_transformers` and
`agent.models.chat_endpoint`; get one from `agent.models.pool`.
"""

import base64
import binascii
import io
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields, replace
from time import monotonic
from typing import TYPE_CHECKING, Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage
from pydantic import ConfigDict, Field

from tools.errors import InputError, ReelgraphError

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The capabilities of a chat model.

    Attributes:
        images: Messages may contain pictures.
        max_images: Maximum pictures in one conversation; None when only the context limits them.
        context_tokens: Context window in tokens, prompt and reply together; None when unknown.
        option_scoring: `score_options` works.
        visual_tokens: The visual tokens of a picture can be read and replaced before they enter the
            language model.
        tool_calling: `bind_tools` works.
        video: Frames with times are taken as one video (`extras` of their image blocks, see
            `frame_time`); elsewhere they are single pictures.
    """

    images: bool
    max_images: int | None
    context_tokens: int | None
    option_scoring: bool
    visual_tokens: bool
    tool_calling: bool
    video: bool = False


class ContextOverflowError(ReelgraphError):
    """A prompt exceeds a model's context: leave evidence out and call again.

    Attributes:
        needed: Tokens of text, pictures and the longest reply; None if a server did not report it.
        allowed: Tokens of the model's context; None if a server did not report it.
    """

    def __init__(self, name: str, needed: int | None, allowed: int | None) -> None:
        super().__init__(
            f"the prompt for {name} needs {needed or 'too many'} tokens with its reply and the "
            f"model takes {allowed or 'fewer'}; give it less evidence or fewer pictures, or choose "
            f"a model with a longer context with --set chat.model=NAME"
        )
        self.needed = needed
        self.allowed = allowed


class MemoryLimitError(ReelgraphError):
    """The device has too little memory for a model or for one call of it."""


@dataclass(frozen=True, slots=True)
class Decoding:
    """Decoding parameters of one reply, passed with a call or with `.bind(...)`.

    Attributes:
        max_new_tokens: Maximum length of the reply.
        temperature: 0 decodes greedily; above, tokens are sampled.
        seed: Seed of the sampler: the same seed and messages give the same text.
        deadline_s: Seconds after which the partial reply is returned; None waits for the end.
        stop: Stop strings; the reply ends before them.
        unreserved: The reply may run beyond the context, as in code that keeps no room for it.
    """

    max_new_tokens: int
    temperature: float = 0.0
    seed: int = 0
    deadline_s: float | None = None
    stop: tuple[str, ...] = ()
    unreserved: bool = False

    def __post_init__(self) -> None:
        """Reject invalid values."""
        if self.max_new_tokens < 1 or not 0 <= self.temperature < float("inf"):
            raise InputError(
                f"max_new_tokens={self.max_new_tokens}, temperature={self.temperature}: expected "
                f"at least 1 and at least 0"
            )

    @property
    def reserved_tokens(self) -> int:
        """Tokens of the context that are kept for the reply."""
        return 0 if self.unreserved else self.max_new_tokens

    def changed(self, stop: Sequence[str] | None, values: Mapping[str, Any]) -> "Decoding":
        """Return a copy with the values of a call. `InputError` for an unknown name."""
        known = [field.name for field in fields(self)]
        if unknown := sorted(set(values) - set(known)):
            raise InputError(f"a chat call got {unknown[0]!r}, expected any of {', '.join(known)}")
        return replace(self, **{"stop": tuple(stop or self.stop), **values})


@dataclass(frozen=True, slots=True)
class Deadline:
    """A time on the monotonic clock; None: no deadline."""

    at: float | None

    @classmethod
    def after(cls, seconds: float | None) -> "Deadline":
        """Return the deadline some seconds from now."""
        return cls(None if seconds is None else monotonic() + seconds)

    @property
    def left_s(self) -> float | None:
        """Remaining seconds, never below 0."""
        return None if self.at is None else max(0.0, self.at - monotonic())

    @property
    def passed(self) -> bool:
        """Whether the deadline has passed."""
        return self.at is not None and monotonic() >= self.at


class ChatModel(BaseChatModel):
    """A frozen language or vision-language model.

    `invoke`, `stream` and `batch` take `stop` and the fields of `Decoding` as keyword arguments.
    `response_metadata["finish_reason"]` of a reply is "stop", "length", "deadline" or "tool_calls".
    """

    model_config = ConfigDict(frozen=True)

    name: str
    # LangChain notes its version in it when a model is made, which a frozen None does not allow.
    metadata: dict[str, Any] | None = Field(default_factory=dict, exclude=True)
    max_new_tokens: int = 64
    temperature: float = 0.0
    seed: int = 0
    deadline_s: float | None = None
    max_images: int | None = None

    @property
    @abstractmethod
    def capabilities(self) -> Capabilities:
        """The capabilities of the model."""

    @abstractmethod
    def count_tokens(self, text: str) -> int:
        """Return the number of tokens of a plain text."""

    @abstractmethod
    def image_tokens(self, width: int, height: int, count: int = 1) -> int:
        """Return the tokens that `count` pictures of a size in pixels add to one message."""

    def video_tokens(
        self, width: int, height: int, times_s: Sequence[float], length_s: float
    ) -> int:
        """Return the tokens that a video of frames at some times adds to one message."""
        raise InputError(f"{self.name} takes no video; ask its capabilities first")

    def score_options(self, messages: Sequence[BaseMessage], options: Sequence[str]) -> list[float]:
        """Return the mean log-likelihood per token of each option as the model's reply."""
        raise InputError(f"{self.name} cannot score options; ask its capabilities first")

    def undisturbed(self) -> AbstractContextManager[object]:
        """Return a context in which no other thread's calls come between those of this one.

        For a model that reads a prompt again after another one came between.
        """
        return nullcontext()

    @property
    def sees_images(self) -> bool:
        """Whether messages may contain images."""
        return self.capabilities.images

    @property
    def context_tokens(self) -> int | None:
        """Context window in tokens, prompt and reply together; None when unknown."""
        return self.capabilities.context_tokens

    def decoding(self, stop: Sequence[str] | None, values: Mapping[str, Any]) -> Decoding:
        """Return the decoding parameters of a call."""
        usual = Decoding(self.max_new_tokens, self.temperature, self.seed, self.deadline_s)
        return usual.changed(stop, values)

    def check_images(self, messages: Sequence[BaseMessage]) -> None:
        """Reject pictures that the model cannot take. `InputError` says what it can."""
        count = sum(1 for _ in image_blocks(messages))
        limit = self.capabilities.max_images
        if count and not self.capabilities.images:
            raise InputError(
                f"{self.name} reads text only and was sent an image; choose a model that sees "
                f"images with --set chat.model=NAME"
            )
        if limit is not None and count > limit:
            raise InputError(
                f"{self.name} takes at most {limit} pictures and was sent {count}; send fewer, or "
                f"raise the limit with --set chat.max_images={count} if the model allows it"
            )

    def check_fits(self, prompt_tokens: int, max_new_tokens: int) -> None:
        """Raise `ContextOverflowError` if a prompt and its reply exceed the context."""
        needed, allowed = prompt_tokens + max_new_tokens, self.capabilities.context_tokens
        if allowed is not None and needed > allowed:
            raise ContextOverflowError(self.name, needed, allowed)


def image_block(picture: "Image") -> dict[str, Any]:
    """Return a picture as a LangChain content block, lossless and in true RGB."""
    file = io.BytesIO()
    picture.convert("RGB").save(file, "PNG", compress_level=1)
    data = base64.b64encode(file.getvalue()).decode("ascii")
    return {"type": "image", "base64": data, "mime_type": "image/png"}


def image_blocks(messages: Sequence[BaseMessage]) -> Iterator[Any]:
    """Yield the pictures of a conversation as LangChain's standard content blocks."""
    for message in messages:
        yield from (block for block in message.content_blocks if block["type"] == "image")


def frame_time(block: Any) -> tuple[float, float] | None:
    """Return time and video length in seconds of a frame of a video; None for a picture."""
    extras = block.get("extras") or {}
    return (extras["time_s"], extras["length_s"]) if "time_s" in extras else None


def decode_image(block: Any) -> "Image":
    """Return the picture of a content block in RGB. `InputError` if it has none."""
    try:
        return open_image(block).convert("RGB")
    except OSError as error:
        raise _unreadable(error) from error


def image_size(block: Any) -> tuple[int, int]:
    """Return width and height in pixels of a content block's picture, from its header."""
    return open_image(block).size


def open_image(block: Any) -> "Image":
    """Open the picture of a content block. `InputError` if it has none."""
    from PIL import Image, UnidentifiedImageError

    try:
        return Image.open(io.BytesIO(base64.b64decode(block["base64"])))
    except (KeyError, binascii.Error, UnidentifiedImageError, OSError) as error:
        raise _unreadable(error) from error


def _unreadable(error: Exception) -> InputError:
    return InputError(
        f"a message holds an image block that cannot be read ({type(error).__name__}); give PNG or "
        f"JPEG data under 'base64'"
    )
