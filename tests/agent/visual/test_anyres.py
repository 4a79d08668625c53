"""Behaviour 26: how many tokens a grid will cost, before it is sent."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from agent.visual.anyres import anyres_tokens
from agent.visual.grids import GridShape, compose_grid


@pytest.mark.parametrize(
    ("width", "height", "shape", "tokens"),
    [
        (640, 360, GridShape(3, 2), 2536),
        (640, 360, GridShape(2, 3), 2136),
        (480, 360, GridShape(3, 2), 2640),
        (480, 360, GridShape(2, 3), 1752),
        (360, 640, GridShape(3, 2), 2176),
        (360, 640, GridShape(2, 3), 2544),
    ],
)
def test_published_costs_of_a_grid(
    load_tiny: Callable[[str], Any], width: int, height: int, shape: GridShape, tokens: int
) -> None:
    grid = compose_grid([np.zeros((height, width, 3), np.uint8)] * 6, shape)
    config = load_tiny("llava_next").model.config
    assert anyres_tokens(config, grid.shape[1], grid.shape[0]) == tokens


SIZES = [(1280, 1080), (333, 777), (100, 100), (1920, 200), (37, 2000), (640, 641), (4000, 3000)]


@pytest.mark.parametrize("name", ["llava_next", "onevision"])
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_model_itself_makes_as_many(
    load_tiny: Callable[[str], Any], name: str, width: int, height: int
) -> None:
    loaded = load_tiny(name)
    model, config = loaded.model.model, loaded.model.config
    picture = np.zeros((height, width, 3), np.uint8)
    tiles = loaded.processor.image_processor(picture, return_tensors="pt")["pixel_values"][0]
    features = [torch.zeros(len(tiles), loaded.eyes.patches**2, 48)]
    size = torch.tensor([[height, width]])
    options = {"vision_feature_select_strategy": "default"} if name == "llava_next" else {}
    packed, _ = model.pack_image_features(
        features, size, image_newline=model.image_newline, **options
    )
    assert anyres_tokens(config, width, height) == len(packed[0])
