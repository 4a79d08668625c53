"""The factory of chat models: settings in, a `ChatModel` out."""

from pathlib import Path

from agent.models.chat_llama_cpp import LlamaCppChat, context_for, gguf_capabilities
from agent.models.chat_model import Capabilities, ChatModel, ContextOverflowError, image_block
from agent.models.chat_transformers import TransformersChat, local_capabilities
from agent.models.context_window import context_limit
from agent.models.engines import REGISTRY
from agent.models.gguf import context_length, gguf_file, is_gguf
from agent.models.llama_server import LlamaServer
from agent.models.loading import has_video, read_config, takes_images
from agent.settings import ENGINES, ChatSettings
from tools.base import ToolRuntime
from tools.errors import InputError, MissingError

__all__ = [
    "Capabilities",
    "ChatModel",
    "ContextOverflowError",
    "LlamaCppChat",
    "TransformersChat",
    "configured_capabilities",
    "find_source",
    "image_block",
    "make_chat",
]

A_DAY_S = 86_400.0  # llama.cpp takes one call at a time; the others wait


def configured_capabilities(settings: ChatSettings, models: Path, offline: bool) -> Capabilities:
    """Return the capabilities of a configured chat model, without loading or calling it.

    They are read from the settings of a server, the metadata of a GGUF file (text-only here), or a
    checkpoint's configuration.

    Raises:
        InputError: A setting does not suit the model.
        MissingError: The model is missing; the text names the remedy.
    """
    if settings.engine == "endpoint":
        from agent.models.chat_endpoint import served_capabilities

        return served_capabilities(
            settings.images, settings.max_images, settings.context_tokens, settings.tool_calling
        )
    if settings.engine not in ENGINES:
        return REGISTRY.find(settings.engine).capabilities(settings)
    if is_gguf(settings.model):
        return gguf_capabilities(_gguf_context(settings, gguf_file(settings.model, models)))
    source = find_source(settings.model, offline)
    config = read_config(source, offline, settings.rope_factor)
    kind = str(config.model_type) if takes_images(config) else ""
    made_for = context_limit(config)
    video = bool(kind) and settings.native_video and has_video(config)
    return local_capabilities(made_for, settings.context_tokens, kind, settings.max_images, video)


def make_chat(
    settings: ChatSettings, device: str, models: Path, offline: bool, kept: Path | None = None
) -> ChatModel:
    """Make the chat model of some settings and load its weights.

    Args:
        settings: The model, and its decoding.
        device: A torch device string; an endpoint needs none.
        models: Folder of fetched weights.
        offline: True forbids downloads and servers on other machines.
        kept: Folder where a model of a GGUF file keeps the latest prompt for the next program.

    Raises:
        InputError: A setting does not suit the model.
        MissingError: Weights, a package or a key are missing; the text names the remedy.
    """
    if settings.engine not in ENGINES:
        engine = REGISTRY.find(settings.engine)
        return engine.load(settings, ToolRuntime(device, offline, models))
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
    if is_gguf(settings.model):
        file = gguf_file(settings.model, models)
        context = _gguf_context(settings, file)
        llama = LlamaServer(settings.model, file, context, kept)
        waits = {"timeout_s": A_DAY_S, "max_retries": 0, "context_limit": context}
        address = f"{llama.url}/v1"
        return LlamaCppChat(**usual, **waits, base_url=address, source=file, llama=llama)
    return TransformersChat(
        **usual,
        source=find_source(settings.model, offline),
        device=device,
        dtype=settings.dtype,
        quantization=settings.quantization,
        attention=settings.attention,
        rope_factor=settings.rope_factor,
        context_limit=settings.context_tokens,
        batch_size=settings.batch,
        native_video=settings.native_video,
        offline=offline,
    )


def find_source(name: str, offline: bool) -> str:
    """Return the folder or hub name to load a transformers model from.

    Raises:
        MissingError: It is not on this machine and nothing may be downloaded.
    """
    if Path(name).is_dir() or not offline:
        return name
    raise MissingError(
        f"the chat model {name!r} is not a folder on this machine and downloads are off; allow "
        f"them with --set offline=false, or name a folder with --set chat.model=DIR"
    )


def _gguf_context(settings: ChatSettings, file: Path) -> int:
    """Return the tokens of context of a GGUF file's model, which is never stretched."""
    if settings.rope_factor > 1:
        raise InputError(
            f"the context of {settings.model!r}, a GGUF model, cannot be stretched: leave "
            f"chat.rope_factor at 1, or name the folder of a checkpoint with --set chat.model=DIR"
        )
    return context_for(context_length(file), settings.context_tokens)
