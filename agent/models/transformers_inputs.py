"""From LangChain messages to the inputs of a transformers model, and how many tokens they take."""

from collections.abc import Sequence
from typing import Any

from langchain_core.messages import BaseMessage

from agent.models.chat_model import decode_image
from agent.models.loading import Loaded
from tools.errors import InputError

ROLES = {"human": "user", "ai": "assistant", "system": "system"}


class PromptEncoder:
    """Applies a model's own chat template and processor."""

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded
        self._known: dict[tuple[int, int, int], int] = {}

    def encode(self, conversations: Sequence[Sequence[BaseMessage]]) -> Any:
        """Return the inputs of some conversations, padded on the left, on the model's device.

        The text of a message is never tokenised as control tokens.
        """
        talks = [[self._turn(message) for message in messages] for messages in conversations]
        inputs = self._tokenize(talks).to(self._loaded.model.device)
        for name, values in inputs.items():
            if values.is_floating_point():
                inputs[name] = values.to(self._loaded.dtype)
        return inputs

    def count_tokens(self, text: str) -> int:
        """Return the number of tokens of a plain text."""
        return len(self._loaded.tokenizer(text, add_special_tokens=False)["input_ids"])

    def image_tokens(self, width: int, height: int, count: int) -> int:
        """Return the tokens that `count` pictures of a size add to one message.

        Blank pictures are run through the processor, for some models use a different number for one
        picture than for each of several. What the chat template adds around them counts too.
        """
        key = (width, height, count)
        if key not in self._known:
            from PIL import Image

            blank = {"type": "image", "image": Image.new("RGB", (width, height))}
            words = {"type": "text", "text": "."}
            without, along = (
                self._tokenize([[{"role": "user", "content": content}]])["input_ids"].shape[1]
                for content in ([words], [blank] * count + [words])
            )
            self._known[key] = along - without
        return self._known[key]

    def _tokenize(self, talks: list[list[dict[str, Any]]]) -> Any:
        """Return the inputs of rendered conversations, on the CPU."""
        options: dict[str, Any] = {"padding": len(talks) > 1}
        if self._loaded.sees_images:
            options = {"processor_kwargs": options}
        return self._loaded.processor.apply_chat_template(
            talks,
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            sanitize_control_tokens=True,
            **options,
        )

    def _turn(self, message: BaseMessage) -> dict[str, Any]:
        """Return a message for the chat template: text, or blocks for a vision-language model."""
        if message.type not in ROLES:
            raise InputError(
                f"a local model was sent a {message.type} message, expected {', '.join(ROLES)}"
            )
        content: Any = message.text
        if self._loaded.sees_images:
            content = [_block(block) for block in message.content_blocks]
        return {"role": ROLES[message.type], "content": content}


def _block(block: Any) -> dict[str, Any]:
    """Turn a LangChain content block into one of a transformers chat template."""
    if block["type"] == "image":
        return {"type": "image", "image": decode_image(block)}
    return {"type": "text", "text": block["text"]}
