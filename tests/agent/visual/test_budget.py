"""Behaviours 20, 24 and 31: what does not fit is cut from the video, and RoPE can be stretched."""

import random
from pathlib import Path
from typing import Any

import pytest
import torch

from agent.models.context_window import context_limit, stretch_rope
from agent.visual.budget import Budget, fit_layout
from agent.visual.layouts import PRESETS, Layout, fopru, free_video_llm, slowfast, ts_llava
from agent.visual.spans import TokenGrid, Whole
from tools.errors import InputError

CLIP = TokenGrid(50, 24, 24)


def test_samples_are_cut_and_text_is_kept() -> None:
    fitted = fit_layout(ts_llava("V2"), CLIP, Budget(limit=3520, text=112, new=0))
    assert fitted.layout.spans[0].tokens(CLIP) == 2832
    assert fitted.layout.thumbnails == ts_llava("V2").thumbnails
    assert (fitted.tokens, fitted.cut) == (3408, 48)


def test_what_fits_is_left_alone() -> None:
    fitted = fit_layout(ts_llava("V2"), CLIP, Budget(4096, 200, 128))
    assert fitted.layout == ts_llava("V2")
    assert (fitted.tokens, fitted.cut) == (3456, 0)


def test_nothing_ever_exceeds_the_limit() -> None:
    rng = random.Random(0)
    refused = 0
    layouts = [*map(ts_llava, ("V2", "U4", "W3b")), *(make() for make in PRESETS.values())]
    for _ in range(1000):
        layout = rng.choice(layouts)
        grid = TokenGrid(rng.randint(1, 64), *rng.choice([(24, 24), (27, 27)]))
        budget = Budget(rng.randint(700, 9000), rng.randint(1, 1500), rng.randint(0, 512))
        try:
            fitted = fit_layout(layout, grid, budget)
        except InputError:
            refused += 1
            continue
        assert fitted.tokens == fitted.layout.tokens(grid)
        assert fitted.tokens + budget.text + budget.new <= budget.limit
        assert fitted.tokens + fitted.cut == layout.tokens(grid)
        assert fitted.layout.thumbnails == layout.thumbnails
    assert 0 < refused < 700


def test_too_much_that_cannot_be_cut_is_refused_with_the_numbers() -> None:
    with pytest.raises(InputError, match=r"at least 576 visual tokens.*of the model's 600"):
        fit_layout(ts_llava("V2"), CLIP, Budget(limit=600, text=100, new=0))
    with pytest.raises(InputError, match="stretch the model's RoPE"):
        fit_layout(free_video_llm(), CLIP, Budget(limit=1024, text=100, new=0))


def test_eight_whole_frames_are_reduced_before_anything_is_generated() -> None:
    """Eight frames overflow 4096 and FreeVA's answers collapse (its table 1)."""
    eight = Layout("freeva-8", (Whole(),), 8)
    grid = TokenGrid(8, 24, 24)
    assert eight.tokens(grid) == 4608
    fitted = fit_layout(eight, grid, Budget(limit=4096, text=90, new=128))
    assert fitted.tokens == 6 * 576
    assert fitted.layout.spans[0].frames(grid).tolist() == [0, 2, 3, 4, 6, 7]


def test_slowfast_gives_up_slow_frames() -> None:
    fitted = fit_layout(slowfast(), CLIP, Budget(limit=4096, text=400, new=128))
    assert fitted.tokens == 9 * 288 + 800
    assert fitted.cut == 288


def test_regions_are_given_up_frame_by_frame() -> None:
    fitted = fit_layout(free_video_llm(), CLIP, Budget(limit=2048, text=100, new=0))
    assert fitted.tokens == 800 + 4 * 231  # one of three near the question, three of five even
    tight = fit_layout(free_video_llm(), CLIP, Budget(limit=800 + 2 * 231, text=0, new=0))
    assert tight.tokens == 800 + 2 * 231


@pytest.mark.parametrize("rows", [False, True])
def test_pruning_keeps_less(rows: bool) -> None:
    grid = TokenGrid(4, 24, 24)
    fitted = fit_layout(fopru(0.25, rows), grid, Budget(limit=500, text=100, new=0))
    assert fitted.tokens == (4 * 96 if rows else 400)


@pytest.fixture(scope="module")
def short_and_stretched(tiny_llava: Path) -> list[Any]:
    """One set of weights trained for 256 tokens, without and with a RoPE twice as long."""
    from transformers import AutoConfig, AutoModelForImageTextToText

    config = AutoConfig.from_pretrained(tiny_llava)
    config.text_config.max_position_embeddings = 256
    return [
        AutoModelForImageTextToText.from_pretrained(tiny_llava, config=each).eval()
        for each in (config, stretch_rope(config, 2.0))
    ]


@pytest.mark.parametrize("length", [100, 256])
def test_a_stretched_rope_changes_nothing_within_the_trained_length(
    short_and_stretched: list[Any], length: int
) -> None:
    ids = torch.arange(length)[None] % 200 + 40
    short, stretched = (model(input_ids=ids).logits for model in short_and_stretched)
    assert torch.equal(short, stretched)


def test_a_stretched_rope_works_beyond_it(short_and_stretched: list[Any]) -> None:
    ids = torch.arange(400)[None] % 200 + 40
    short, stretched = (model(input_ids=ids).logits for model in short_and_stretched)
    assert stretched.isfinite().all()
    assert not torch.equal(short, stretched)
    limits = [context_limit(model.config) for model in short_and_stretched]
    assert limits == [256, 512]


def test_rope_is_not_stretched_unless_asked(llava: Any) -> None:
    assert context_limit(llava.model.config) == 4096
    config = llava.model.config
    assert context_limit(stretch_rope(config, 2.0)) == 8192
    assert context_limit(config) == 4096  # the copy alone was changed
    with pytest.raises(InputError, match=r"not by 0\.5"):
        stretch_rope(config, 0.5)
