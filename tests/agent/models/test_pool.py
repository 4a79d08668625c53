import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from agent.models.chat import TransformersChat
from agent.models.chat_endpoint import EndpointChat
from agent.models.chat_model import MemoryLimitError
from agent.models.embedding import SentenceEmbeddings
from agent.models.pool import ModelPool
from agent.settings import resolve
from tools.base import Tool, ToolInput, ToolRuntime
from tools.errors import MissingError, StoppedError
from tools.evidence import Evidence

PlugIn = Callable[..., type[Tool]]


@pytest.fixture
def make_pool(own_library: Path) -> Callable[..., ModelPool]:
    def make(**settings: Any) -> ModelPool:
        resolved = resolve(overrides=settings)
        return ModelPool(resolved)

    return make


def nothing(given: ToolInput) -> Iterator[Evidence]:
    return iter(())


def test_a_tool_is_set_up_once_for_all_threads(
    make_pool: Callable[..., ModelPool], plug_in: PlugIn, own_library: Path
) -> None:
    runtimes: list[ToolRuntime] = []

    def setup(self: Tool, runtime: ToolRuntime) -> None:
        time.sleep(0.05)
        runtimes.append(runtime)

    plug_in(nothing).setup = setup  # type: ignore[method-assign]
    pool = make_pool()

    def identity(_: int) -> int:
        with pool.tool("sensor") as tool:
            return id(tool)

    with ThreadPoolExecutor(8) as threads:
        tools = set(threads.map(identity, range(8)))
    assert len(tools) == 1
    assert runtimes == [ToolRuntime("cpu", True, pool.settings.models)]


def test_two_tools_are_set_up_side_by_side(
    make_pool: Callable[..., ModelPool], plug_in: PlugIn
) -> None:
    both = threading.Barrier(2, timeout=20)  # each waits for the other to be in its setup, too
    for name in ("first", "second"):
        made = plug_in(nothing, name=name)
        made.setup = lambda self, runtime: both.wait()  # type: ignore[method-assign,assignment]
    pool = make_pool()

    def borrowed(name: str) -> str:
        with pool.tool(name) as tool:
            return tool.name

    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(borrowed, ("first", "second"))) == ["first", "second"]


def test_a_tool_is_held_by_one_run_at_a_time(
    make_pool: Callable[..., ModelPool], plug_in: PlugIn
) -> None:
    plug_in(nothing)
    pool, holders, most = make_pool(), [], []

    def hold(run: int) -> None:
        with pool.tool("sensor"):
            holders.append(run)
            most.append(len(holders))
            time.sleep(0.001)
            holders.remove(run)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(hold, range(40)))
    assert most == [1] * 40


def test_a_re_entrant_tool_is_held_by_several_runs(
    make_pool: Callable[..., ModelPool], plug_in: PlugIn
) -> None:
    plug_in(nothing).reentrant = True  # type: ignore[method-assign,assignment]
    pool, both = make_pool(), threading.Barrier(2, timeout=20)

    def hold(_: int) -> int:
        with pool.tool("sensor") as tool:
            both.wait()
            return id(tool)

    with ThreadPoolExecutor(2) as threads:
        assert len(set(threads.map(hold, range(2)))) == 1


def test_the_wait_for_a_tool_ends_on_stop(
    make_pool: Callable[..., ModelPool], plug_in: PlugIn
) -> None:
    plug_in(nothing)
    pool, waits = make_pool(), []
    with (
        pool.tool("sensor"),
        pytest.raises(StoppedError),
        pool.tool("sensor", lambda: bool(waits), lambda: waits.append(1)),
    ):
        pytest.fail("lent twice")
    with pool.tool("sensor", lambda: True, lambda: waits.append(2)) as tool:
        assert tool.name == "sensor"
    assert waits == [1]


def test_the_wait_for_a_tool_that_is_being_set_up_ends_on_stop(
    make_pool: Callable[..., ModelPool], plug_in: PlugIn
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def setup(self: Tool, runtime: ToolRuntime) -> None:
        begun.set()
        assert go_on.wait(20)

    plug_in(nothing).setup = setup  # type: ignore[method-assign]
    pool = make_pool()

    def hold() -> None:
        with pool.tool("sensor"):
            pass

    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(hold)
        assert begun.wait(20)
        with pytest.raises(StoppedError), pool.tool("sensor", lambda: True):
            pytest.fail("not loaded yet")
        go_on.set()
        first.result(20)


def test_what_failed_to_load_is_tried_again(
    make_pool: Callable[..., ModelPool], monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    def load(self: ModelPool) -> object:
        tries.append(1)
        if len(tries) == 1:
            raise MissingError("not yet")
        return "model"

    monkeypatch.setattr(ModelPool, "_load_embedder", load)
    pool = make_pool()
    with pytest.raises(MissingError):
        pool.embedder()
    assert str(pool.embedder()) == "model"
    assert pool.embedder() is pool.embedder()
    assert len(tries) == 2


def test_options_reach_the_tool(make_pool: Callable[..., ModelPool]) -> None:
    with make_pool(**{"shots.min_shot_s": "3"}).tool("shots") as tool:
        assert tool.options.model_dump()["min_shot_s"] == 3.0


def test_the_models_are_those_of_the_settings(
    make_pool: Callable[..., ModelPool], tmp_path: Path
) -> None:
    pool = make_pool()
    assert isinstance(pool.embedder(), SentenceEmbeddings)
    assert pool.embedder().name == "multilingual-e5-small"  # wherever its files are
    assert pool.embedder() is pool.embedder()
    with pytest.raises(MissingError, match="somebody/else"):
        make_pool(**{"chat.model": "somebody/else"}).chat()
    with pytest.raises(MissingError, match=r"--set embedder\.model=DIR"):
        make_pool(**{"embedder.model": str(tmp_path / "nowhere")}).embedder()


def test_auto_takes_a_device_that_works(make_pool: Callable[..., ModelPool]) -> None:
    import torch

    device = make_pool(device="auto").device
    assert torch.empty(1, device=device).device.type == device.split(":")[0]


@pytest.mark.parametrize("device", ["quantum", "cuda:99"])
def test_a_device_that_is_not_there_is_said_with_a_remedy(
    make_pool: Callable[..., ModelPool], device: str
) -> None:
    with pytest.raises(MissingError, match="--set device=cpu") as error:
        _ = make_pool(device=device).device
    assert device in str(error.value)
    assert "\n" not in str(error.value)


@dataclass
class Weights:
    """A model that takes so many bytes."""

    name: str
    memory_bytes: int


class Shelf(ModelPool):
    """A pool of models as large as `sizes` says, on a device that may be full for some tries."""

    sizes: dict[str, int]
    full_for = 0
    loads: list[str]

    def _load_chat(self) -> Any:
        return self._made("chat")

    def _load_captioner(self) -> Any:
        return self._made("captioner")

    def _load_embedder(self) -> Any:
        return self._made("embedder")

    def _made(self, name: str) -> Weights:
        import torch

        self.loads.append(name)
        if self.full_for and name == "captioner":
            self.full_for -= 1
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return Weights(name, self.sizes[name])

    def _expected(self, settings: Any) -> Callable[[], int]:
        name = "chat" if settings == self.settings.chat else "captioner"
        return lambda: self.sizes[name]


@pytest.fixture
def shelf(own_library: Path) -> Callable[..., Shelf]:
    def make(**settings: Any) -> Shelf:
        resolved = resolve(overrides={"captioner.model": "other", **settings})
        pool = Shelf(resolved)
        pool.sizes = {"chat": 600, "captioner": 500, "embedder": 300}
        pool.loads = []
        return pool

    return make


def test_what_was_not_used_for_longest_makes_room(
    shelf: Callable[..., Shelf], caplog: pytest.LogCaptureFixture
) -> None:
    pool = shelf(memory_gb="1.2e-6")  # 1200 bytes
    pool.embedder()
    chat = pool.chat()
    pool.embedder()  # so that the chat model is older
    pool.chat("captioner")
    assert pool.evicted == ["chat"]
    assert "let go of chat (0.0 GB) to make room for captioner" in caplog.text
    assert pool.embedder().name == "embedder"
    again = pool.chat()
    assert again is not chat
    assert pool.evicted == ["chat", "captioner"]
    assert pool.loads == ["embedder", "chat", "captioner", "chat"]


def test_models_that_fit_stay(shelf: Callable[..., Shelf]) -> None:
    pool = shelf(memory_gb="1.4e-6")
    models = [pool.chat(), pool.chat("captioner"), pool.embedder()]
    assert [pool.chat(), pool.chat("captioner"), pool.embedder()] == models
    assert not pool.evicted


def test_a_tool_counts_and_is_let_go_of_unless_a_run_holds_it(
    shelf: Callable[..., Shelf], plug_in: PlugIn, caplog: pytest.LogCaptureFixture
) -> None:
    plug_in(nothing).memory_bytes = 700  # type: ignore[method-assign,assignment]
    pool = shelf(memory_gb="1.2e-6")
    with pool.tool("sensor") as tool:
        pool.chat()  # too large beside what is held
        assert pool.evicted == []
        assert "memory_gb" in caplog.text
        pool.embedder()
        assert pool.evicted == ["chat"]
    with pool.tool("sensor") as again:
        assert again is tool
    pool.chat()
    assert pool.evicted == ["chat", "embedder", "tool sensor"]
    with pool.tool("sensor") as anew:
        assert anew is not tool
    assert pool.evicted == ["chat", "embedder", "tool sensor", "chat"]


def test_a_captioner_that_a_run_holds_stays(shelf: Callable[..., Shelf]) -> None:
    pool = shelf(memory_gb="1.0e-6")
    with pool.captioner() as first, pool.captioner() as second:
        assert first is second
        pool.chat()
        pool.chat()
        assert pool.evicted == []
    pool.embedder()
    assert pool.evicted == ["captioner"]


def test_what_cannot_be_loaded_beside_a_run_names_it(
    shelf: Callable[..., Shelf], plug_in: PlugIn
) -> None:
    plug_in(nothing).memory_bytes = 700  # type: ignore[method-assign,assignment]
    pool = shelf()
    pool.full_for = 9
    with (
        pool.tool("sensor"),
        pytest.raises(MemoryLimitError, match="beside tool sensor, which runs hold now"),
    ):
        pool.chat("captioner")


def test_a_full_device_lets_go_and_tries_again(shelf: Callable[..., Shelf]) -> None:
    pool = shelf()
    pool.chat()
    pool.full_for = 1
    assert str(pool.chat("captioner").name) == "captioner"
    assert pool.evicted == ["chat"]
    assert pool.loads == ["chat", "captioner", "captioner"]


def test_a_model_that_never_fits_is_said(shelf: Callable[..., Shelf]) -> None:
    pool = shelf()
    pool.full_for = 9
    with pytest.raises(MemoryLimitError, match=r"captioner model does not fit.*quantization"):
        pool.chat("captioner")


def test_other_errors_of_a_load_pass(
    shelf: Callable[..., Shelf], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Shelf) -> Any:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Shelf, "_load_chat", fail)
    with pytest.raises(RuntimeError, match="a bug"):
        shelf().chat()


def test_an_evicted_model_frees_its_memory(
    make_pool: Callable[..., ModelPool], tiny_llama: Path, tiny_llava: Path
) -> None:
    stored = sum(f.stat().st_size for f in tiny_llava.glob("*.safetensors")) / 1e9
    pool = make_pool(
        **{"chat.model": str(tiny_llama), "captioner.model": str(tiny_llava)},
        memory_gb=f"{stored + 1e-5:.9f}",  # not enough for both
    )
    weights = weakref.ref(cast("TransformersChat", pool.chat()).hf_model)
    assert weights() is not None
    assert pool.chat("captioner").capabilities.images
    assert pool.evicted == ["chat"]
    assert weights() is None
    assert not pool.chat().capabilities.images


def test_the_captioner_is_the_chat_model_unless_it_is_named(
    make_pool: Callable[..., ModelPool], tiny_llama: Path, tiny_llava: Path
) -> None:
    one = make_pool(**{"chat.model": str(tiny_llava), "chat.dtype": "float32"})
    assert one.chat("captioner") is one.chat()
    two = make_pool(**{"chat.model": str(tiny_llama), "captioner.model": str(tiny_llava)})
    assert two.chat("captioner") is not two.chat()
    flags = two.chat().capabilities, two.chat("captioner").capabilities
    assert [flag.images for flag in flags] == [False, True]


@pytest.mark.parametrize("name", ["llama", "llava", "smolvlm"])
def test_what_a_model_can_do_is_known_without_its_weights(
    make_pool: Callable[..., ModelPool], tiny_model: Callable[[str], Path], name: str
) -> None:
    options = {"chat.model": str(tiny_model(name)), "chat.max_images": "3"}
    told = make_pool(**options)
    flags = told.capabilities()
    assert told._held == {}
    assert flags == make_pool(**options).chat().capabilities
    limited = make_pool(**options, **{"chat.context_tokens": "99"})
    assert limited.capabilities().context_tokens == 99


def test_what_a_gguf_file_can_do_is_read_from_its_first_bytes(
    make_pool: Callable[..., ModelPool], tmp_path: Path
) -> None:
    flags = make_pool(**{"chat.model": "smollm2-135m"}).capabilities()
    assert (flags.images, flags.context_tokens) == (False, 8192)
    other = tmp_path / "other.gguf"
    other.write_bytes(b"GGUF" + bytes(20))
    with pytest.raises(MissingError, match="no GGUF file that can be read"):
        make_pool(**{"chat.model": str(other)}).capabilities()


def test_an_endpoint_needs_no_device(make_pool: Callable[..., ModelPool]) -> None:
    options = {"chat.engine": "endpoint", "chat.base_url": "http://127.0.0.1:9/v1"}
    pool = make_pool(**options, device="cuda:99", **{"chat.images": "true", "chat.max_images": "3"})
    chat = pool.chat()
    assert isinstance(chat, EndpointChat)
    assert (chat.capabilities.images, chat.capabilities.max_images) == (True, 3)
    away = make_pool(**options | {"chat.base_url": "http://example.com/v1"})
    with pytest.raises(MissingError, match="--set offline=false"):
        away.chat()


def test_settings_reach_the_local_model(
    make_pool: Callable[..., ModelPool], tiny_llama: Path
) -> None:
    options = {"temperature": 0.5, "seed": 3, "batch": 2, "context_tokens": 100, "deadline_s": 9}
    named = {f"chat.{name}": str(value) for name, value in options.items()}
    chat = make_pool(**{"chat.model": str(tiny_llama), **named}).chat()
    assert isinstance(chat, TransformersChat)
    assert (chat.temperature, chat.seed, chat.batch_size, chat.deadline_s) == (0.5, 3, 2, 9)
    assert chat.capabilities.context_tokens == 100
