"""A model on an OpenAI-compatible server (vLLM, SGLang, llama.cpp, Ollama, a vendor).

LangChain's client sends the requests and retries 429, 5xx and lost connections, a bounded number
of times, with the delay that the server asks for. Other failures become one clear error here.
"""

import json
import math
import os
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import LanguageModelInput
from langchain_core.language_models.chat_models import generate_from_stream
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata, add_usage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import PrivateAttr

from agent.models.chat_model import (
    Capabilities,
    ChatModel,
    Deadline,
    Decoding,
    image_block,
    image_blocks,
    image_size,
    open_image,
)
from agent.models.decoding import DeadlinePassedError, in_thread
from agent.models.endpoint_errors import Server, clear_errors, no_completion
from tools.errors import InputError, MissingError

BYTES_A_TOKEN = 3  # of UTF-8; English has about 4.5 in common vocabularies, Chinese about 3
# Pixels per token: Qwen2.5-VL's 28 x 28. OpenAI's tiles and Qwen3-VL's 32 x 32 give fewer tokens.
PIXELS_A_TOKEN = 28 * 28
MESSAGE_TOKENS = 8  # role and separators that a chat template adds to a message
DRAWS_ALWAYS = re.compile(r"o\d|gpt-5")  # OpenAI's models that refuse a temperature
OPENAI = re.compile(  # hosts of OpenAI and of Azure in its clouds
    r"api\.openai\.com|[\w-]+\.(?:openai|services\.ai|cognitiveservices)\.azure\.(?:com|us|cn)"
)


class EndpointChat(ChatModel):
    """A chat model on a server; its capabilities come from the settings.

    Token counts are conservative estimates: `BYTES_A_TOKEN`, `PIXELS_A_TOKEN`.
    """

    base_url: str | None = None
    key_variable: str | None = None
    images: bool = False
    context_limit: int | None = None
    calls_tools: bool = False
    timeout_s: float = 120.0
    max_retries: int = 4
    input_price: float | None = None
    output_price: float | None = None
    offline: bool = True

    _client: Any = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:
        """Create the client; nothing is sent yet.

        Raises:
            MissingError: The server is not on this machine and `offline` is set, or it needs a key.
        """
        here = is_loopback(self.base_url)
        if self.offline and not here:
            raise MissingError(
                f"the chat server {self.address} is not on this machine and offline is set; allow "
                f"it with --set offline=false, or name a server here with --set chat.base_url=URL"
            )
        if self.base_url is None and not self._key:
            raise MissingError(f"{self.address} needs a key: export {self.key_name}=...")
        self._client = _make_client(self, self._key or "none", here)

    @property
    def address(self) -> str:
        """Address of the server, for messages."""
        return self.base_url or "api.openai.com"

    @property
    def newer(self) -> bool:
        """Whether it is OpenAI's or Azure's server, which reject parameters that others expect."""
        return self.base_url is None or bool(OPENAI.fullmatch(_host(self.base_url)))

    @property
    def key_name(self) -> str | None:
        """The environment variable with the key; OpenAI's own key is sent to OpenAI only."""
        return self.key_variable or (None if self.base_url else "OPENAI_API_KEY")

    @property
    def server(self) -> Server:
        """Description of the server, for error messages."""
        return Server(
            self.name,
            self.address,
            self.key_name,
            self.timeout_s,
            self.max_retries,
            self.context_limit,
        )

    @property
    def _key(self) -> str:
        return os.environ.get(self.key_name, "") if self.key_name else ""

    @property
    def _llm_type(self) -> str:
        return "openai-endpoint"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        names = ("name", "base_url", "max_new_tokens", "temperature", "seed")
        return {name: getattr(self, name) for name in names}

    @property
    def capabilities(self) -> Capabilities:
        """The configured capabilities of the server's model."""
        return served_capabilities(
            self.images, self.max_images, self.context_limit, self.calls_tools
        )

    def count_tokens(self, text: str) -> int:
        """Estimate the number of tokens of a text, conservatively."""
        return math.ceil(len(text.encode()) / BYTES_A_TOKEN)

    def image_tokens(self, width: int, height: int, count: int = 1) -> int:
        """Estimate the tokens of pictures of a size in pixels, conservatively."""
        return count * (math.ceil(width * height / PIXELS_A_TOKEN) + 2)

    def served_models(self) -> list[str]:
        """List the server's models. `MissingError` when it cannot be reached."""
        with clear_errors(self.server):
            return [model.id for model in self._client.root_client.models.list().data]

    def bind_tools(
        self, tools: Sequence[Any], *, tool_choice: str | None = None, **kwargs: Any
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Return the model bound to tools. `InputError` if it has no tool calling."""
        if not self.calls_tools:
            raise InputError(
                f"{self.name} is not known to call tools; if its server can, --set "
                f"chat.tool_calling=true"
            )
        formatted = [convert_to_openai_tool(tool) for tool in tools]
        choice = {"tool_choice": tool_choice} if tool_choice else {}
        return self.bind(tools=formatted, **choice, **kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        sent, options, deadline_s = self._prepared(messages, stop, kwargs)
        if deadline_s is not None:  # only a stream has partial output at the deadline
            return generate_from_stream(self._until(sent, options, deadline_s))
        with clear_errors(self.server):
            result: ChatResult = self._client._generate(sent, **options)
            made = result.generations[0]
        if not isinstance(made.message, AIMessage):
            raise InputError(f"{self.name} answered with a {made.message.type} message")
        made.generation_info = (made.generation_info or {}) | self._cost(
            made.message.usage_metadata
        )
        return result

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        yield from self._until(*self._prepared(messages, stop, kwargs))

    def _until(
        self, sent: list[BaseMessage], options: dict[str, Any], deadline_s: float | None
    ) -> Iterator[ChatGenerationChunk]:
        """Stream a reply up to the deadline; a last chunk reports its cost."""
        deadline, over = Deadline.after(deadline_s), threading.Event()
        usage: UsageMetadata | None = None
        end: dict[str, Any] = {}

        def produce(give: Callable[[Any], None]) -> None:
            finished = False
            for chunk in self._chunks(sent, options):
                if over.is_set():
                    return
                finished |= bool((chunk.generation_info or {}).get("finish_reason"))
                give(chunk)
            if not finished:  # a lost connection looks like the end, and so does malformed output
                raise no_completion(self.server, "its stream ended before the reply did")

        try:
            for chunk in in_thread(produce, deadline):
                if isinstance(chunk, ChatGenerationChunk):
                    usage = _with_usage(usage, chunk)
                    yield chunk
        except DeadlinePassedError:
            end = {"finish_reason": "deadline"}
        finally:
            over.set()
        last = AIMessageChunk(content="", chunk_position="last")
        yield ChatGenerationChunk(message=last, generation_info=end | self._cost(usage))

    def _chunks(
        self, sent: list[BaseMessage], options: dict[str, Any]
    ) -> Iterator[ChatGenerationChunk]:
        """Yield the server's chunks; its errors are distinguished from the caller's."""
        chunks = self._client._stream(sent, **options)
        while True:
            with clear_errors(self.server):
                chunk = next(chunks, None)
            if chunk is None:
                return
            yield chunk

    def _cost(self, usage: UsageMetadata | None) -> dict[str, float]:
        """Return the price of a call, if prices are set and the server reported usage."""
        if usage is None or self.input_price is None or self.output_price is None:
            return {}
        paid = usage["input_tokens"] * self.input_price + usage["output_tokens"] * self.output_price
        return {"cost": paid / 1e6}

    def _prepared(
        self, messages: list[BaseMessage], stop: list[str] | None, kwargs: dict[str, Any]
    ) -> tuple[list[BaseMessage], dict[str, Any], float | None]:
        """Check a call against the capabilities.

        Returns:
            The messages and options for the client, and the deadline of the call in seconds.
        """
        passed = {k: kwargs.pop(k) for k in ("tools", "tool_choice") if k in kwargs}
        decoding = self.decoding(stop, kwargs)
        self.check_images(messages)
        self.check_fits(self._prompt_tokens(messages), decoding.max_new_tokens)
        sent = [_in_true_rgb(message) for message in messages]
        options = self._request(decoding) | passed
        # Serialised once beforehand: what cannot be sent is our error, not the server's.
        json.dumps(self._client._get_request_payload(sent, **options))
        return sent, options, decoding.deadline_s

    def _request(self, decoding: Decoding) -> dict[str, Any]:
        options: dict[str, Any] = {"max_tokens": decoding.max_new_tokens}
        if not (self.newer and DRAWS_ALWAYS.match(self.name)):
            options["temperature"] = decoding.temperature
        if decoding.temperature > 0:
            options["seed"] = decoding.seed
        if decoding.stop:
            options["stop"] = list(decoding.stop)
        return options

    def _prompt_tokens(self, messages: Sequence[BaseMessage]) -> int:
        if self.context_limit is None:
            return 0
        text = sum(self.count_tokens(m.text) + MESSAGE_TOKENS for m in messages)
        return text + sum(self.image_tokens(*image_size(b)) for b in image_blocks(messages))


def served_capabilities(
    images: bool, max_images: int | None, context_tokens: int | None, tool_calling: bool
) -> Capabilities:
    """Return the configured capabilities of a model on a server."""
    return Capabilities(
        images=images,
        max_images=max_images if images else 0,
        context_tokens=context_tokens,
        option_scoring=False,
        visual_tokens=False,
        tool_calling=tool_calling,
    )


def is_loopback(url: str | None) -> bool:
    """Whether an address is on this machine, without a DNS lookup."""
    host = _host(url or "")
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def _make_client(chat: EndpointChat, key: str, here: bool) -> Any:
    """Return LangChain's client; for this machine without proxy and, offline, without redirects.

    One class sends `max_completion_tokens`, the other `max_tokens`, which is all that llama.cpp and
    Ollama know and which OpenAI's newer models reject.
    """
    import openai
    from langchain_openai import ChatOpenAI
    from langchain_openai.chat_models.base import BaseChatOpenAI

    own: dict[str, Any] = {}
    if here:
        own["http_client"] = openai.DefaultHttpxClient(
            trust_env=False, follow_redirects=not chat.offline, timeout=chat.timeout_s
        )
    kind = ChatOpenAI if chat.newer else BaseChatOpenAI
    return kind(
        model=chat.name,
        base_url=chat.base_url or "https://api.openai.com/v1",
        api_key=key,
        timeout=chat.timeout_s,
        max_retries=chat.max_retries,
        stream_usage=True,
        use_responses_api=False,
        **own,
    )


def _in_true_rgb(message: BaseMessage) -> BaseMessage:
    """Return a message with its pictures as PNG or JPEG in RGB, which every server reads."""
    if not any(block["type"] == "image" for block in message.content_blocks):
        return message
    content: Any = [_rgb_block(block) for block in message.content_blocks]
    return message.model_copy(update={"content": content})


def _rgb_block(block: Any) -> Any:
    if block["type"] != "image":
        return block
    picture = open_image(block)
    if picture.mode == "RGB" and picture.format in ("JPEG", "PNG"):
        mime = f"image/{picture.format.lower()}"
        return {"type": "image", "base64": block["base64"], "mime_type": mime}
    return image_block(picture)


def _with_usage(usage: UsageMetadata | None, chunk: ChatGenerationChunk) -> UsageMetadata | None:
    message = chunk.message
    if isinstance(message, AIMessageChunk) and message.usage_metadata:
        return add_usage(usage, message.usage_metadata)
    return usage
