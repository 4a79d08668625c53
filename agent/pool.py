"""The one owner of loaded models: loads each once, on first use, and shares it."""

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from agent.chat import TransformersChat, find_source
from agent.embedding import SentenceEmbeddings
from agent.library import Library
from agent.settings import Settings
from tools.base import Tool, ToolRuntime
from tools.errors import MissingError
from tools.registry import make_tool

T = TypeVar("T")


class ModelPool:
    """Loads models and tools for one `Settings`; nodes ask here and never load themselves."""

    def __init__(self, settings: Settings, library: Library) -> None:
        self.settings = settings
        self._library = library
        self._loaded: dict[str, Any] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def chat(self) -> TransformersChat:
        """Return the chat model. `MissingError` when its weights are not there."""
        return self._once("chat", self._load_chat)

    def embedder(self) -> SentenceEmbeddings:
        """Return the embedding model. `MissingError` when its weights are not there."""
        return self._once("embedder", self._load_embedder)

    def tool(self, name: str) -> Tool:
        """Return a tool with its weights loaded. `MissingError` when they are not there."""
        return self._once(f"tool {name}", lambda: self._load_tool(name))

    @property
    def device(self) -> str:
        """The torch device of all models."""
        return self._once("device", lambda: _pick_device(self.settings.device))

    def _once(self, key: str, load: Callable[[], T]) -> T:
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            if key not in self._loaded:
                self._loaded[key] = load()
            loaded: T = self._loaded[key]
            return loaded

    def _load_embedder(self) -> SentenceEmbeddings:
        settings = self.settings
        return SentenceEmbeddings(
            settings.embedder.model, self.device, settings.offline, settings.embedder.batch
        )

    def _load_chat(self) -> TransformersChat:
        settings = self.settings
        name = settings.chat.model
        return TransformersChat(
            name=name,
            source=find_source(name, self._library.models, settings.offline),
            device=self.device,
            dtype=settings.chat.dtype,
            max_new_tokens=settings.chat.max_new_tokens,
            offline=settings.offline,
        )

    def _load_tool(self, name: str) -> Tool:
        tool = make_tool(name, self.settings.tools.get(name, {}))
        tool.setup(ToolRuntime(self.device, self.settings.offline, self._library.models))
        return tool


def _pick_device(wanted: str) -> str:
    if wanted == "cpu":  # which needs no look at torch
        return wanted
    import torch

    if wanted == "auto":
        accelerator = torch.accelerator.current_accelerator(check_available=True)
        return str(accelerator) if accelerator else "cpu"
    try:
        torch.empty(0, device=wanted)
    except (RuntimeError, AssertionError) as error:  # the latter from a torch without CUDA
        reason = str(error).split(". ")[0]
        raise MissingError(
            f"the device {wanted!r} cannot be used here: {reason}; take --set device=cpu or auto"
        ) from error
    return wanted
