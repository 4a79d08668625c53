"""The one owner of loaded models: loads each once, on first use, shares it, and makes room."""

import logging
import threading
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar

from agent.models.chat import ChatModel, make_chat
from agent.models.chat_gguf import WHEEL
from agent.models.chat_model import MemoryLimitError
from agent.models.embedding import SentenceEmbeddings
from agent.models.image_text import ImageTextEncoder
from agent.models.loading import weight_bytes
from agent.models.transformers_writer import free_memory
from agent.settings import ChatSettings, Settings
from tools.base import Tool, ToolRuntime
from tools.errors import MissingError
from tools.registry import make_tool

T = TypeVar("T")
Role = Literal["chat", "captioner"]
log = logging.getLogger(__name__)


@dataclass
class Held:
    """A loaded model, the memory it takes in bytes (0 when unknown) and when it was last used."""

    model: Any
    size: int
    used: int


class ModelPool:
    """Loads models and tools for one `Settings`; nodes ask here and never load themselves.

    When a new model does not fit beside the others, the ones longest unused are let go. Whoever
    still holds such a model may go on with it, so nodes ask anew for each call.
    """

    def __init__(self, settings: Settings, models: Path) -> None:
        self.settings = settings
        self.evicted: list[str] = []  # names of what was let go, in order
        self._models = models
        self._held: dict[str, Held] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()
        self._making_room = threading.Lock()  # or two would count on the same free memory
        self._clock = 0

    def chat(self, role: Role = "chat") -> ChatModel:
        """Return the model that answers or the one that describes pictures, by default the same.

        Raises:
            MissingError: Its weights, a package or a key are not there.
            MemoryLimitError: It does not fit, even alone.
        """
        captioner = self.settings.captioner
        if role == "chat" or captioner is None or captioner == self.settings.chat:
            return self._once("chat", self._load_chat, self._expected(self.settings.chat))
        return self._once("captioner", self._load_captioner, self._expected(captioner))

    def sees(self) -> bool:
        """Return whether the chat model sees pictures.

        The embedded model need not be loaded to know that it reads text only: a plan waits for no
        weights.
        """
        return self.settings.chat.model != WHEEL and self.chat().capabilities.images

    def embedder(self) -> SentenceEmbeddings:
        """Return the embedding model. `MissingError` when its weights are not there."""
        return self._once("embedder", self._load_embedder)

    def image_encoder(self) -> ImageTextEncoder | None:
        """Return the model that compares pictures with phrases; None if the settings want none.

        Raises:
            MissingError: Its weights are not there.
        """
        if self.settings.image_encoder.model == "none":
            return None
        return self._once("image encoder", self._load_image_encoder)

    def tool(self, name: str) -> Tool:
        """Return a tool with its weights loaded. `MissingError` when they are not there."""
        return self._once(f"tool {name}", lambda: self._load_tool(name))

    @cached_property
    def device(self) -> str:
        """The torch device of all models."""
        return _pick_device(self.settings.device)

    def _once(self, key: str, load: Callable[[], T], expected: Callable[[], int] = int) -> T:
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            held = self._held.get(key)
            if held is None:
                model = self._load(key, load, expected)
                held = Held(model, _size(model), 0)
                with self._lock:
                    self._held[key] = held
            with self._lock:
                self._clock += 1
                held.used = self._clock
            found: T = held.model
            return found

    def _load(self, key: str, load: Callable[[], T], expected: Callable[[], int]) -> T:
        """Load a model beside the others, or in place of those that are longest unused."""
        needed = expected()
        with self._making_room if needed else nullcontext():
            while needed and needed > self._free() and self._evict(key):
                pass
            while (model := _unless_full(load)) is None:
                free_memory()
                if not self._evict(key):
                    raise MemoryLimitError(
                        f"the {key} model does not fit into the memory of {self.device}, even "
                        f"alone; take a smaller one, --set chat.quantization=4bit, or "
                        f"--set device=cpu"
                    )
            return model

    def _free(self) -> float:
        """Return the bytes that a new model may take."""
        limit = self.settings.memory_gb
        if limit is not None:
            with self._lock:
                return limit * 1e9 - sum(held.size for held in self._held.values())
        return _free_on(self.device)

    def _evict(self, newcomer: str) -> bool:
        """Let go of the model that is longest unused; False when there is none of known size."""
        with self._lock:
            known = [key for key, held in self._held.items() if held.size]
            if not known:
                return False
            oldest = min(known, key=lambda key: self._held[key].used)
            size = self._held.pop(oldest).size
            self.evicted.append(oldest)
        free_memory()
        log.warning("let go of %s (%.1f GB) to make room for %s", oldest, size / 1e9, newcomer)
        return True

    def _expected(self, settings: ChatSettings) -> Callable[[], int]:
        """Return a function that tells how many bytes a chat model is going to take."""

        def expected() -> int:
            if settings.engine == "endpoint":
                return 0
            name = settings.model
            source = str(self._models / WHEEL) if name == WHEEL else name
            return weight_bytes(source, settings.quantization, settings.dtype)

        return expected

    def _load_embedder(self) -> SentenceEmbeddings:
        settings = self.settings
        return SentenceEmbeddings(
            settings.embedder.model, self.device, settings.offline, settings.embedder.batch
        )

    def _load_image_encoder(self) -> ImageTextEncoder:
        settings = self.settings
        encoder = settings.image_encoder
        return ImageTextEncoder(encoder.model, self.device, settings.offline, encoder.batch)

    def _load_chat(self) -> ChatModel:
        return self._make_chat(self.settings.chat)

    def _load_captioner(self) -> ChatModel:
        return self._make_chat(self.settings.captioner or self.settings.chat)

    def _make_chat(self, settings: ChatSettings) -> ChatModel:
        offline = self.settings.offline
        device = "cpu" if settings.engine == "endpoint" else self.device
        return make_chat(settings, device, self._models, offline)

    def _load_tool(self, name: str) -> Tool:
        tool = make_tool(name, self.settings.tools.get(name, {}))
        tool.setup(ToolRuntime(self.device, self.settings.offline, self._models))
        return tool


def _unless_full(load: Callable[[], T]) -> T | None:
    """Load a model; None when the device has no memory left for it."""
    try:
        return load()
    except RuntimeError as error:
        if type(error).__name__ == "OutOfMemoryError":  # torch's, which may not be loaded at all
            return None
        raise


def _size(model: Any) -> int:
    size = getattr(model, "memory_bytes", 0)
    return size if isinstance(size, int) else 0


def _free_on(device: str) -> float:
    """Return the free bytes of a device; of one that does not tell, as much as one wants."""
    if device.startswith("cuda"):
        import torch

        return float(torch.cuda.mem_get_info(device)[0])
    if device == "cpu":
        import psutil

        return float(psutil.virtual_memory().available)
    return float("inf")


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
