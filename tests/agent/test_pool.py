import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from agent.embedding import SentenceEmbeddings
from agent.library import Library
from agent.pool import ModelPool
from agent.settings import resolve
from tools.base import Tool, ToolInput, ToolRuntime
from tools.errors import MissingError
from tools.evidence import Evidence

PlugIn = Callable[..., type[Tool]]


@pytest.fixture
def make_pool(own_library: Path) -> Callable[..., ModelPool]:
    def make(**settings: Any) -> ModelPool:
        resolved = resolve(overrides=settings)
        return ModelPool(resolved, Library(resolved.library))

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
    with ThreadPoolExecutor(8) as threads:
        tools = list(threads.map(lambda _: pool.tool("sensor"), range(8)))
    assert len({id(tool) for tool in tools}) == 1
    assert runtimes == [ToolRuntime("cpu", True, own_library / "models")]


def test_two_tools_are_set_up_side_by_side(
    make_pool: Callable[..., ModelPool], plug_in: PlugIn
) -> None:
    both = threading.Barrier(2, timeout=20)  # each waits for the other to be in its setup, too
    for name in ("first", "second"):
        made = plug_in(nothing, name=name)
        made.setup = lambda self, runtime: both.wait()  # type: ignore[method-assign,assignment]
    pool = make_pool()
    with ThreadPoolExecutor(2) as threads:
        tools = list(threads.map(pool.tool, ("first", "second")))
    assert [tool.name for tool in tools] == ["first", "second"]


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
    options = make_pool(**{"shots.min_shot_s": "3"}).tool("shots").options
    assert options.model_dump()["min_shot_s"] == 3.0


def test_the_models_are_those_of_the_settings(
    make_pool: Callable[..., ModelPool], tmp_path: Path
) -> None:
    pool = make_pool()
    assert isinstance(pool.embedder(), SentenceEmbeddings)
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
