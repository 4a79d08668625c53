"""The factory of chat models: settings in, a `ChatModel` out."""

from pathlib import Path
from typing import TYPE_CHECKING

from agent.models.chat_gguf import (
    INSTALL_WHEEL,
    WHEEL,
    context_length,
    find_source,
    gguf_file,
    wheel_folder,
)
from agent.models.chat_model import Capabilities, ChatModel, ContextOverflowError, image_block
from agent.models.chat_transformers import TransformersChat, local_capabilities
from agent.models.context_window import context_limit
from agent.models.loading import read_config, takes_images

if TYPE_CHECKING:
    from agent.settings import ChatSettings

__all__ = [
    "INSTALL_WHEEL",
    "WHEEL",
    "Capabilities",
    "ChatModel",
    "ContextOverflowError",
    "TransformersChat",
    "configured_capabilities",
    "find_source",
    "image_block",
    "make_chat",
    "wheel_folder",
]


def configured_capabilities(settings: "ChatSettings", models: Path, offline: bool) -> Capabilities:
    """Return the capabilities of a configured chat model, without loading or calling it.

    They are read from the settings of a server, the metadata of a GGUF file (text-only here), or a
    checkpoint's configuration.

    Raises:
        MissingError: The model is missing; the text names the remedy.
    """
    if settings.engine == "endpoint":
        from agent.models.chat_endpoint import served_capabilities

        return served_capabilities(
            settings.images, settings.max_images, settings.context_tokens, settings.tool_calling
        )
    if file := gguf_file(settings.model):
        made_for = int(context_length(file) * settings.rope_factor)
        return local_capabilities(made_for, settings.context_tokens)
    source = find_source(settings.model, models, offline)
    config = read_config(source, offline, settings.rope_factor)
    kind = str(config.model_type) if takes_images(config) else ""
    made_for = context_limit(config)
    return local_capabilities(made_for, settings.context_tokens, kind, settings.max_images)


def make_chat(settings: "ChatSettings", device: str, models: Path, offline: bool) -> ChatModel:
    """Make the chat model of some settings and load its weights.

    Args:
        settings: The model, and its decoding.
        device: A torch device string; an endpoint needs none.
        models: Folder for unpacked weights.
        offline: True forbids downloads and servers on other machines.

    Raises:
        MissingError: Weights, a package or a key are missing; the text names the remedy.
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
