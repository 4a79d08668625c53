"""Tiny checkpoints as the functions under test take them, and pictures to show them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.visual.encoding import TowerSpec, tower_of
from tools.media.video import RGBImage


@dataclass(frozen=True)
class Loaded:
    """A checkpoint in memory."""

    model: Any
    processor: Any
    tower: TowerSpec


@pytest.fixture(scope="session")
def load_tiny(tiny_model: Callable[[str], Path]) -> Callable[[str], Loaded]:
    """`load_tiny("llava")`: a tiny checkpoint, loaded as a real one would be."""
    loaded: dict[str, Loaded] = {}

    def load(name: str) -> Loaded:
        from transformers import AutoModelForImageTextToText, AutoProcessor

        if name not in loaded:
            folder = tiny_model(name)
            model = AutoModelForImageTextToText.from_pretrained(folder).eval()
            processor = AutoProcessor.from_pretrained(folder)
            tower = tower_of(model.config, processor.image_processor)
            loaded[name] = Loaded(model, processor, tower)
        return loaded[name]

    return load


@pytest.fixture(scope="session")
def llava(load_tiny: Callable[[str], Loaded]) -> Loaded:
    """LLaVA-1.5."""
    return load_tiny("llava")


@pytest.fixture(scope="session")
def pictures() -> Callable[[int], list[RGBImage]]:
    """`pictures(7)`: seven different pictures of 64 x 48 pixels."""

    def made(count: int) -> list[RGBImage]:
        rng = np.random.default_rng(0)
        return [rng.integers(0, 255, (48, 64, 3), np.uint8) for _ in range(count)]

    return made
