"""PLLaVA, STORM, INTP, KTV and DyTo: values by hand, then from the command line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from agent.visual.budget import Budget, fit_layout
from agent.visual.encoding import encode_interleaved, visual_tokens
from agent.visual.key_frame_spans import KeyTokens, MergedFrames, merge_alike, token_scores
from agent.visual.layouts import Layout, dyto, intp, ktv, parse_layout, pllava, storm
from agent.visual.merged_spans import PooledInTime
from agent.visual.spans import EveryNth, Features, Interleaved, TokenGrid
from tools.errors import InputError

Pictures = Callable[[int], Any]


def make(layout: Layout, grid: TokenGrid, given: Features) -> torch.Tensor:
    made = torch.cat([span.make(grid, given) for span in layout.spans])
    assert len(made) == layout.tokens(grid)
    return made


# PLLaVA


def test_pllava_averages_over_time_and_place() -> None:
    """Four frames of 2 x 4 tokens to 2 x 1 x 2: means of two frames, two rows, two columns."""
    frames = torch.arange(32, dtype=torch.float32).reshape(4, 8, 1)
    made = PooledInTime(2, 1, 2).make(TokenGrid(4, 2, 4), Features(frames))
    # frame 0 left: 0, 1, 4, 5 -> 2.5; frame 1 left: 10.5; their mean 6.5; right two more
    assert made.flatten().tolist() == [6.5, 8.5, 22.5, 24.5]


def test_pllava_has_the_published_number_of_tokens() -> None:
    assert pllava().tokens(TokenGrid(16, 24, 24)) == 16 * 12 * 12
    assert pllava().tokens(TokenGrid(5, 24, 24)) == 5 * 144
    assert parse_layout("pllava-8x6x4").tokens(TokenGrid(16, 24, 24)) == 8 * 6 * 4


# STORM


def test_storm_keeps_all_tokens_of_every_nth_frame() -> None:
    frames = torch.arange(10, dtype=torch.float32)[:, None, None].expand(10, 3, 2)
    made = EveryNth(4).make(TokenGrid(10, 1, 3), Features(frames))
    assert made[:, 0].tolist() == [0, 0, 0, 4, 4, 4, 8, 8, 8]
    assert storm().tokens(TokenGrid(16, 24, 24)) == 4 * 576
    assert parse_layout("storm-2").tokens(TokenGrid(16, 24, 24)) == 8 * 576


# INTP


def test_interleaved_passes_see_the_whole_video_and_tokens_return_to_time_order() -> None:
    """Six frames, three to a pass: 0, 2, 4 and 1, 3, 5. The encoder adds the mean of its pass."""
    seen: list[list[float]] = []

    def encode_pass(pixels: torch.Tensor) -> torch.Tensor:
        seen.append(pixels.flatten().tolist())
        return (pixels + 100 * pixels.mean()).reshape(-1, 1, 1)

    pixels = torch.arange(6, dtype=torch.float32)
    made = encode_interleaved(encode_pass, pixels, Interleaved(3), TokenGrid(6, 1, 1))
    assert seen == [[0, 2, 4], [1, 3, 5]]
    assert made.flatten().tolist() == [200, 301, 202, 303, 204, 305]


def test_interleaved_frames_fill_whole_passes() -> None:
    span = Interleaved(8)
    assert span.frames(TokenGrid(32, 16, 16)).tolist() == list(range(32))
    assert len(span.frames(TokenGrid(20, 16, 16))) == 16
    assert len(span.frames(TokenGrid(5, 16, 16))) == 5
    assert intp().tokens(TokenGrid(32, 16, 16)) == 32 * 256


def test_what_is_too_long_loses_whole_passes() -> None:
    grid = TokenGrid(32, 16, 16)
    fitted = fit_layout(intp(), grid, Budget(4096, 60, 16))
    assert fitted.tokens == 8 * 256
    assert fitted.layout.spans[0].frames(grid).tolist() == [2, 6, 10, 14, 18, 22, 26, 30]


def test_a_tower_that_sees_single_frames_makes_the_passes_an_identity(
    load_tiny: Callable[[str], Any], pictures: Pictures
) -> None:
    from agent.visual.encoding import pixels_of

    tiny = load_tiny("video_llava")
    pixels = pixels_of(pictures(16), tiny.tower)
    made = visual_tokens(tiny.model, pixels, tiny.tower, intp())
    with torch.inference_mode():
        whole = tiny.model.model.get_video_features(pixels[None], vision_feature_layer=-2)
    own = whole.pooler_output.reshape(16, 257, -1)[:, 1:].flatten(0, 1)
    assert made.shape == (16 * 256, 48)
    assert (made - own).abs().max() <= 1e-5


# KTV


def test_ktv_scores_are_importance_less_redundancy() -> None:
    """Three tokens: the first two alike, the third at a right angle; attention 2, 4, 1."""
    tokens = torch.tensor([[[1.0, 0.0], [3.0, 0.0], [0.0, 2.0]]])
    received = torch.tensor([[2.0, 4.0, 1.0]])
    assert token_scores(tokens, received).tolist() == [[0.5 - 0.5, 1 - 0.5, 0.25 - 0]]


def test_ktv_takes_the_best_tokens_of_a_frame_of_each_cluster() -> None:
    first, second = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    frames = torch.stack([first, second, first, second])[:, None].repeat(1, 3, 1)
    frames = frames * torch.tensor([1.0, 2.0, 3.0])[None, :, None]
    received = torch.tensor([[1.0, 5.0, 3.0]]).repeat(4, 1)
    grid = TokenGrid(4, 1, 3)
    made = KeyTokens(2, 2).make(grid, Features(frames, received=received))
    assert made.tolist() == [[2, 0], [3, 0], [0, 2], [0, 3]]  # frames 0 and 1, tokens 1 and 2


@pytest.mark.parametrize(("kept", "total"), [(84, 504), (156, 936), (312, 1872)])
def test_ktv_has_the_published_numbers_of_tokens(kept: int, total: int) -> None:
    assert ktv(kept).tokens(TokenGrid(50, 24, 24)) == total
    assert parse_layout(f"ktv-{kept}").tokens(TokenGrid(50, 24, 24)) == total


def test_equal_frames_still_make_as_many_tokens_as_planned() -> None:
    grid, frames = TokenGrid(8, 2, 2), torch.ones(8, 4, 3)
    assert len(make(ktv(2), grid, Features(frames, received=torch.ones(8, 4)))) == 12
    assert len(make(dyto(3), grid, Features(frames))) == dyto(3).tokens(grid)


# DyTo


def test_merging_takes_the_most_alike_and_keeps_the_larger_numbers() -> None:
    """Of two and two tokens, the second is like the fourth: they become one, the rest stay."""
    tokens = torch.tensor([[1.0, 1.0], [0.0, 4.0], [1.0, -1.0], [1.0, 3.0]])
    assert merge_alike(tokens, 0).tolist() == tokens.tolist()
    assert merge_alike(tokens, 1).tolist() == [[1, 1], [1, -1], [1, 4]]
    assert merge_alike(tokens, 2).tolist() == [[1, -1], [1, 4]]


def test_dyto_takes_the_middle_of_each_cluster() -> None:
    left, right = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    frames = torch.stack([left, left * 2, left * 3, right, right * 2])[:, None].repeat(1, 2, 1)
    made = MergedFrames(2, 4).make(TokenGrid(5, 1, 2), Features(frames))
    assert made.tolist() == [[2, 0], [2, 0], [0, 2], [0, 2]]  # of two, the second


def test_dyto_has_as_many_tokens_as_its_budget_and_at_least_half_of_each_frame() -> None:
    assert dyto().tokens(TokenGrid(50, 24, 24)) == 12 * 306
    assert dyto(25).tokens(TokenGrid(50, 24, 24)) == 25 * 288
    assert dyto().tokens(TokenGrid(2, 24, 24)) == 2 * 576
    assert dyto().tokens(TokenGrid(50, 27, 27)) == 12 * 365


# All of them


@pytest.mark.parametrize("layout", [pllava(), storm(), intp(), ktv(), dyto()])
@pytest.mark.parametrize("limit", [1000, 2500, 3000])
def test_every_layout_is_cut_to_what_the_model_takes(layout: Layout, limit: int) -> None:
    grid = TokenGrid(layout.frames, 24, 24)
    if layout.name == "intp" and limit < 8 * 576:
        with pytest.raises(InputError, match="needs at least 4608 visual tokens"):
            fit_layout(layout, grid, Budget(limit, 60, 16))
        return
    fitted = fit_layout(layout, grid, Budget(limit, 60, 16))
    assert fitted.tokens == fitted.layout.tokens(grid) <= limit - 76
    frames = torch.randn(grid.frames, 576, 4, generator=torch.Generator().manual_seed(0))
    make(fitted.layout, grid, Features(frames, received=torch.rand(grid.frames, 576)))


@pytest.mark.parametrize("name", ["storm-0", "pllava-8x12", "ktv-", "intp-8x8", "dyto-99999"])
def test_numbers_that_make_no_layout_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="there is no layout"):
        parse_layout(name)


@pytest.mark.parametrize(
    ("model", "layout", "tokens"),
    [
        ("llava", "pllava", 2304),
        ("llava", "pllava-4x6x6", 144),
        ("onevision", "pllava", 2304),
        ("llava", "storm", 2304),
        ("llava", "ktv", 504),
        ("onevision", "ktv-156", 936),
        ("llava", "dyto", 3672),
        ("video_llava", "intp", 2048),
        ("video_llava", "V2", 3136),
        ("llava_next_video", "ktv", 504),
    ],
)
def test_from_the_command_line(
    reelgraph: Callable[..., Any],
    make_clip: Callable[..., Path],
    tiny_model: Callable[[str], Path],
    model: str,
    layout: str,
    tokens: int,
) -> None:
    clip = make_clip(seconds=2, size=(64, 48))
    sets = {
        "chat.model": tiny_model(model),
        "chat.max_new_tokens": 4,
        "ts-llava.layout": layout,
        "ts-llava.frames": 16,
    }
    options = [part for key, value in sets.items() for part in ("--set", f"{key}={value}")]
    ask = ("ask", clip, "What happens?", "--method", "ts-llava", "--json", *options)
    plan = json.loads(reelgraph(*ask, "--dry-run").out)
    assert plan["visuals"]["layout"] == layout
    assert plan["tokens"] == tokens
    done = reelgraph(*ask)
    assert done.code in (0, 3), done.err
    assert json.loads(done.out)["usage"]


def test_intp_sees_four_times_the_frames_with_a_longer_context(
    reelgraph: Callable[..., Any],
    make_clip: Callable[..., Path],
    tiny_model: Callable[[str], Path],
) -> None:
    clip = make_clip(seconds=2, size=(64, 48))
    options = ("--set", "ts-llava.layout=intp", "--set", "chat.rope_factor=4")
    model = ("--set", f"chat.model={tiny_model('video_llava')}", "--set", "chat.max_new_tokens=2")
    ask = ("ask", clip, "What happens?", "--method", "ts-llava", "--json", *options, *model)
    plan = json.loads(reelgraph(*ask, "--dry-run").out)
    assert plan["tokens"] == 32 * 256
    assert plan["visuals"]["cut"] == 0
    assert reelgraph(*ask).code in (0, 3)
