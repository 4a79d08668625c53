"""The front door to the chat models: settings in, a `ChatModel` out."""

from pathlib import Path
from typing import TYPE_CHECKING

from agent.models.chat_gguf import INSTALL_WHEEL, WHEEL, find_source, wheel_folder
from agent.models.chat_model import Capabilities, ChatModel, ContextOverflowError, image_block
from agent.models.chat_transformers import TransformersChat

if TYPE_CHECKING:
    from agent.settings import ChatSettings

__all__ = [
    "INSTALL_WHEEL",
    "WHEEL",
    "Capabilities",
    "ChatModel",
    "ContextOverflowError",
    "TransformersChat",
    "find_source",
    "image_block",
    "make_chat",
    "wheel_folder",
]


def make_chat(settings: "ChatSettings", device: str, models: Path, offline: bool) -> ChatModel:
    """Make the chat model of some settings and load its weights.

    Args:
        settings: Which model, and how it answers.
        device: A torch device string; an endpoint needs none.
        models: Folder for unpacked weights.
        offline: True forbids downloads and servers on other machines.

    Raises:
        MissingError: Weights, a package or a key are not there; the text names the remedy.
        StorageError: Weights cannot be unpacked into `models`.
    """
    usual = {
        "name": settings.model,
        "max_new_tokens": settings.max_new_tokens,
        "temperature": settings.temperature,
        "seed": settings.seed,
        "deadline_s": settings.deadline_s,
        "max_images": settings.max_images,
    }
    if settings.engine == "endpoint":
        from agent.models.chat_endpoint import EndpointChat

        return EndpointChat(**usual, **settings.endpoint(), offline=offline)
    return TransformersChat(
        **usual,
        source=find_source(settings.model, models, offline),
        device=device,
        dtype=settings.dtype,
        quantization=settings.quantization,
        attention=settings.attention,
        rope_factor=settings.rope_factor,
        context_limit=settings.context_tokens,
        batch_size=settings.batch,
        offline=offline,
    )
