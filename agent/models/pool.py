"""The model pool: owns all loaded models, loads each once on first use, shares and evicts."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeVar

from agent.models import kept_prompt
from agent.models.chat import Capabilities, ChatModel, configured_capabilities, make_chat
from agent.models.chat_model import MemoryLimitError
from agent.models.embedding import SentenceEmbeddings
from agent.models.gguf import gguf_file, is_gguf
from agent.models.image_text import ImageTextEncoder
from agent.models.loading import weight_bytes
from agent.models.transformers_writer import free_memory
from agent.settings import ChatSettings, Settings
from tools.base import Tool, ToolRuntime
from tools.errors import InputError, MissingError, StoppedError
from tools.model_files.manifest import manifest
from tools.model_files.store import ModelStore
from tools.registry import make_tool
from tools.weights import file_bytes

T = TypeVar("T")
Role = Literal["chat", "captioner"]
LOOK_FOR_STOP_S = 0.1
log = logging.getLogger(__name__)


@dataclass(eq=False)
class PoolEntry:
    """A loaded model or tool.

    Attributes:
        model: The loaded object.
        used: Time of the last use, on the pool's own clock.
        runs: How many runs hold it now; a held entry is not evicted.
    """

    model: Any
    used: int = 0
    runs: int = 0

    @property
    def size(self) -> int:
        """Its memory in bytes; 0 when unknown."""
        size = getattr(self.model, "memory_bytes", 0)
        return size if isinstance(size, int) else 0

    def is_free(self) -> bool:
        """Whether a run may acquire it now."""
        return not self.runs or bool(self.model.reentrant)


class ModelPool:
    """Loads models and tools for one `Settings`; nodes get them here and never load themselves.

    When a new model does not fit in memory, the least recently used ones are evicted. A reference
    to an evicted model stays usable, so nodes request a model for each call. A tool runs long and
    is stateful: a run acquires it, as well as its captioner, and neither is evicted until the run
    releases it.
    """

    def __init__(self, settings: Settings, isolate: Callable[[Tool], Tool] | None = None) -> None:
        """Load nothing yet.

        Args:
            settings: Name the models and tools.
            isolate: Returns a tool that runs like the given one in a process of its own.
        """
        self.settings = settings
        self._isolate = isolate
        self.evicted: list[str] = []  # names of evicted entries, in order
        self._models = settings.models.expanduser()
        self._capabilities: dict[ChatSettings, Capabilities] = {}
        self._held: dict[str, PoolEntry] = {}
        self._loading: set[str] = set()
        # Guards the fields above; notified when a load ends or a tool is released.
        self._changed = threading.Condition()
        self._making_room = threading.Lock()  # or two loads would count on the same free memory
        self._clock = 0

    def chat(self, role: Role = "chat") -> ChatModel:
        """Return the chat model or the captioner, by default the same.

        Raises:
            MissingError: Its weights, a package or a key are missing.
            MemoryLimitError: It does not fit, even alone.
        """
        model: ChatModel = self._chat_entry(role).model
        return model

    @contextmanager
    def captioner(self) -> Iterator[ChatModel]:
        """Acquire the captioner for a run; several runs may hold it at once.

        Errors are those of `chat`.
        """
        held = self._chat_entry("captioner")
        with self._changed:
            held.runs += 1
        with self._given_back(held) as model:
            yield model

    def capabilities(self, role: Role = "chat") -> Capabilities:
        """Return a chat model's capabilities from its configuration, without loading weights.

        Raises:
            MissingError: The model is missing.
        """
        own = self.settings.captioner if role == "captioner" else None
        settings = own or self.settings.chat
        if settings not in self._capabilities:
            found = configured_capabilities(settings, self._models, self.settings.offline)
            self._capabilities[settings] = found
        return self._capabilities[settings]

    def embedder(self) -> SentenceEmbeddings:
        """Return the embedding model. `MissingError` when its weights are missing."""
        return self._once("embedder", self._load_embedder)

    def embedder_or_why(self) -> tuple[SentenceEmbeddings | None, str]:
        """Return the embedding model, or None and what is done without it, and why."""
        try:
            return self.embedder(), ""
        except MissingError as error:
            return None, f"only words are compared, no meanings: {error}"

    def image_encoder(self) -> ImageTextEncoder | None:
        """Return the image-text encoder; None if the settings have none.

        Raises:
            MissingError: Its weights are missing.
        """
        if self.settings.image_encoder.model == "none":
            return None
        return self._once("image encoder", self._load_image_encoder)

    @contextmanager
    def tool(
        self,
        name: str,
        stopped: Callable[[], bool] = lambda: False,
        waits: Callable[[], None] = lambda: None,
    ) -> Iterator[Tool]:
        """Acquire a loaded tool, exclusively unless it is re-entrant.

        To avoid deadlock, do not acquire another tool or a claim of the library while holding one.

        Args:
            name: Name of the tool.
            stopped: Polled while another run holds the tool; True ends the waiting.
            waits: Called once if another run holds the tool.

        Raises:
            MissingError: Its weights are missing.
            StoppedError: Stop was pressed while waiting.
        """
        with self._given_back(self._borrow(name, stopped, waits)) as tool:
            yield tool

    def shared(self, name: str, make: Callable[[], T]) -> T:
        """Return an object that a method caches for later questions, made on first use.

        It counts with its `memory_bytes` and is evicted like a model.
        """
        return self._once(name, make)

    @cached_property
    def device(self) -> str:
        """The torch device of all models."""
        return _pick_device(self.settings.device)

    def _chat_entry(self, role: Role) -> PoolEntry:
        captioner = self.settings.captioner
        if role == "chat" or captioner is None or captioner == self.settings.chat:
            return self._entry("chat", self._load_chat, self._expected(self.settings.chat))
        return self._entry("captioner", self._load_captioner, self._expected(captioner))

    @contextmanager
    def _given_back(self, held: PoolEntry) -> Iterator[Any]:
        try:
            yield held.model
        finally:
            with self._changed:
                held.runs -= 1
                self._changed.notify_all()

    def _borrow(
        self, name: str, stopped: Callable[[], bool], waits: Callable[[], None]
    ) -> PoolEntry:
        key, told = f"tool {name}", False
        while True:
            held = self._entry(key, lambda: self._load_tool(name), stopped=stopped)
            with self._changed:
                if held.is_free() and self._held.get(key) is held:  # not evicted meanwhile
                    held.runs += 1
                    return held
            if not told:
                waits()
                told = True
            with self._changed:
                self._wait(held.is_free, stopped)

    def _once(self, key: str, load: Callable[[], T], expected: Callable[[], int] = int) -> T:
        found: T = self._entry(key, load, expected).model
        return found

    def _entry(
        self,
        key: str,
        load: Callable[[], Any],
        expected: Callable[[], int] = int,
        stopped: Callable[[], bool] = lambda: False,
    ) -> PoolEntry:
        """Return the entry of a key; one thread loads it, the others wait."""
        with self._changed:
            self._wait(lambda: key not in self._loading, stopped)
            if held := self._held.get(key):
                return self._touched(held)
            self._loading.add(key)
        try:
            model = self._load(key, load, expected)
            with self._changed:
                self._held[key] = held = self._touched(PoolEntry(model))
        finally:
            with self._changed:
                self._loading.discard(key)
                self._changed.notify_all()
        self._keep_limit(key)
        return held

    def _wait(self, ready: Callable[[], bool], stopped: Callable[[], bool]) -> None:
        """Wait, with `_changed` held, until a condition is true. `StoppedError` on Stop."""
        while not ready():
            if stopped():
                raise StoppedError("stopped by the user")
            self._changed.wait(LOOK_FOR_STOP_S)

    def _touched(self, held: PoolEntry) -> PoolEntry:
        """Mark an entry, with `_changed` held, as used now."""
        self._clock += 1
        held.used = self._clock
        return held

    def _load(self, key: str, load: Callable[[], T], expected: Callable[[], int]) -> T:
        """Load a model, evicting the least recently used ones if it does not fit."""
        needed = expected()
        with self._making_room if needed else nullcontext():
            while needed and needed > self._free() and self._evict(key):
                pass
            while (model := _unless_full(load)) is None:
                free_memory()
                if not self._evict(key):
                    raise MemoryLimitError(
                        f"the {key} model does not fit into the memory of {self.device}"
                        f"{self._beside()}; take a smaller one, --set chat.quantization=4bit, or "
                        f"--set device=cpu"
                    )
            return model

    def _keep_limit(self, newcomer: str) -> None:
        """Evict after loading, for a model whose size was not known before."""
        limit = self.settings.memory_gb
        while limit is not None and (over := -self._free()) > 0:
            if not self._evict(newcomer):
                log.warning(
                    "%s is loaded, %.1f GB above memory_gb=%s: the rest is in use or it alone is "
                    "too large",
                    *(newcomer, over / 1e9, limit),
                )
                return

    def _free(self) -> float:
        """Return the bytes available to a new model."""
        limit = self.settings.memory_gb
        if limit is not None:
            with self._changed:
                return limit * 1e9 - sum(held.size for held in self._held.values())
        return _free_on(self.device)

    def _evict(self, newcomer: str) -> bool:
        """Evict the least recently used entry; False when runs hold all of known size."""
        with self._changed:
            known = [
                key
                for key, held in self._held.items()
                if held.size and not held.runs and key != newcomer
            ]
            if not known:
                return False
            oldest = min(known, key=lambda key: self._held[key].used)
            size = self._held.pop(oldest).size
            self.evicted.append(oldest)
        free_memory()
        log.warning("let go of %s (%.1f GB) to make room for %s", oldest, size / 1e9, newcomer)
        return True

    def _beside(self) -> str:
        """Name, for an error, the models that runs hold now."""
        with self._changed:
            busy = [key for key, held in self._held.items() if held.runs and held.size]
        return f" beside {', '.join(busy)}, which runs hold now" if busy else ", even alone"

    def _expected(self, settings: ChatSettings) -> Callable[[], int]:
        """Return a function that estimates the memory of a chat model in bytes."""

        def expected() -> int:
            if settings.engine == "endpoint":
                return 0
            if is_gguf(settings.model):
                return file_bytes(gguf_file(settings.model, self._models))
            return weight_bytes(settings.model, settings.quantization, settings.dtype)

        return expected

    def _load_embedder(self) -> SentenceEmbeddings:
        settings, name = self.settings, self.settings.embedder.model
        source = str(ModelStore(self._models).find(name)) if name in manifest() else None
        batch = settings.embedder.batch
        return SentenceEmbeddings(name, self.device, settings.offline, batch, source)

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
        kept = self.settings.library.expanduser() / kept_prompt.FOLDER
        return make_chat(settings, device, self._models, offline, kept)

    def _load_tool(self, name: str) -> Tool:
        tool = make_tool(name, self.settings.tools.get(name, {}))
        if tool.options.isolation:
            if self._isolate is None:
                raise InputError(f"{name}.isolation: this pool of models isolates no tool")
            tool = self._isolate(tool)
        tool.setup(ToolRuntime(self.device, self.settings.offline, self._models))
        return tool


def _unless_full(load: Callable[[], T]) -> T | None:
    """Load a model; None when the device is out of memory."""
    try:
        return load()
    except RuntimeError as error:
        if type(error).__name__ == "OutOfMemoryError":  # torch's, which may not be imported at all
            return None
        raise


def _free_on(device: str) -> float:
    """Return the free bytes of a device; infinite where unknown."""
    if device.startswith("cuda"):
        import torch

        return float(torch.cuda.mem_get_info(device)[0])
    if device == "cpu":
        import psutil

        return float(psutil.virtual_memory().available)
    return float("inf")


def _pick_device(wanted: str) -> str:
    if wanted == "cpu":  # without importing torch
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
