"""Plug-in files for one test."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.plugins.load import REGISTRIES

Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    """Leave no plug-in to the next test."""
    yield
    for registry in REGISTRIES:
        registry.forget()


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """`write(body, name)`: a file whose body follows the imports that a plug-in needs."""

    def written(body: str, name: str = "sensor.py", head: str = "") -> Path:
        path = tmp_path / "plugins" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"from tools import *\n{head}\n\n{body}\n")
        return path

    return written
