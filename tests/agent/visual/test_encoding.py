"""Behaviours 9, 16, 19, 21 and 29: from pictures to visual tokens, with tiny real models."""

import hashlib
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from agent.visual.encoding import (
    encode,
    picture_of,
    pixels_of,
    received_by,
    takes_tokens,
    tower_of,
    visual_tokens,
)
from agent.visual.layouts import FRAMES, PRESETS, fopru, parse_layout, ts_llava
from agent.visual.sampling import ids_digest
from tools.errors import InputError
from tools.media.video import RGBImage

Pictures = Callable[[int], list[RGBImage]]


@pytest.fixture(scope="module")
def pixels50(llava: Any, pictures: Pictures) -> torch.Tensor:
    return pixels_of(pictures(50), llava.tower)


@pytest.fixture(scope="module")
def encoded50(llava: Any, pixels50: torch.Tensor) -> torch.Tensor:
    """What LLaVA's own code makes of the frames, [50, 576, D]."""
    with torch.inference_mode():
        return torch.stack(list(llava.model.get_image_features(pixels50).pooler_output))


def grid_tokens(model: Any, frames: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """Area-scale frames, paste them row by row, and encode the picture with LLaVA's own code."""
    small = torch.nn.functional.interpolate(frames, size=(336 // rows, 336 // columns), mode="area")
    lines = [torch.cat(list(small[r * columns : (r + 1) * columns]), dim=2) for r in range(rows)]
    with torch.inference_mode():
        return model.get_image_features(torch.cat(lines, dim=1)[None]).pooler_output[0]


def evenly(total: int, count: int) -> list[int]:
    places: list[int] = torch.linspace(0, total - 1, steps=count).round().long().tolist()
    return places


def test_pixels_are_a_bicubic_squash_with_the_checkpoint_s_numbers(llava: Any) -> None:
    rng = np.random.default_rng(3)
    frame = rng.integers(0, 255, (90, 160, 3), np.uint8)
    square = np.asarray(Image.fromarray(frame).resize((336, 336), Image.Resampling.BICUBIC))
    mean, std = np.float32(llava.tower.mean), np.float32(llava.tower.std)
    expected = (square.astype(np.float32) / 255 - mean) / std
    pixels = pixels_of([frame], llava.tower)
    assert pixels.shape == (1, 3, 336, 336)
    assert np.array_equal(pixels[0].permute(1, 2, 0).numpy(), expected)


def test_pixels_are_those_of_clip_told_to_squash_and_not_those_of_its_centre_crop(
    llava: Any,
) -> None:
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    frame = np.random.default_rng(3).integers(0, 255, (90, 160, 3), np.uint8)
    pixels = pixels_of([frame], llava.tower)
    squash = CLIPImageProcessorPil(size={"height": 336, "width": 336}, do_center_crop=False)
    assert torch.equal(pixels, squash(frame, return_tensors="pt")["pixel_values"])
    stock = llava.processor.image_processor(frame, return_tensors="pt")["pixel_values"]
    assert (pixels - stock).abs().mean() > 0.3


@pytest.mark.parametrize(("size", "corner"), [((90, 160), (35, 0)), ((161, 90), (0, 35))])
def test_freeva_s_pixels_are_padded_to_a_square_of_the_mean_colour(
    llava: Any, size: tuple[int, int], corner: tuple[int, int]
) -> None:
    """As LLaVA-1.5 takes pictures; CLIP's own processor then crops nothing."""
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    frame = np.random.default_rng(3).integers(0, 255, (*size, 3), np.uint8)
    square = np.full((max(size), max(size), 3), (122, 116, 104), np.uint8)  # CLIP's mean
    top, left = corner
    square[top : top + size[0], left : left + size[1]] = frame
    clip = CLIPImageProcessorPil(size={"shortest_edge": 336}, crop_size=336)
    expected = clip(square, return_tensors="pt")["pixel_values"]
    tower = replace(llava.tower, padded=True)
    assert torch.equal(pixels_of([frame], tower), expected)
    assert (pixels_of([frame], llava.tower) - expected).abs().mean() > 0.3


def test_pixels_can_be_looked_at_again(llava: Any) -> None:
    square = np.random.default_rng(1).integers(0, 255, (336, 336, 3), np.uint8)
    assert np.array_equal(picture_of(pixels_of([square], llava.tower)[0], llava.tower), square)


def test_direct_encoding_is_that_of_llava(
    llava: Any, pixels50: torch.Tensor, encoded50: torch.Tensor
) -> None:
    assert torch.equal(encode(llava.model, pixels50), encoded50)
    assert encoded50.shape == (50, 576, 48)


def test_direct_encoding_of_llava_next_with_the_same_weights(
    load_tiny: Callable[[str], Any], llava: Any, pixels50: torch.Tensor, encoded50: torch.Tensor
) -> None:
    model = load_tiny("llava_next").model
    before = {name: value.clone() for name, value in model.model.state_dict().items()}
    try:
        model.model.load_state_dict(llava.model.model.state_dict(), strict=False)
        assert torch.equal(encode(model, pixels50[:4]), encoded50[:4])
    finally:
        model.model.load_state_dict(before)


def test_direct_encoding_of_onevision(load_tiny: Callable[[str], Any], pictures: Pictures) -> None:
    loaded = load_tiny("onevision")
    pixels = pixels_of(pictures(3), loaded.tower)
    ours = encode(loaded.model, pixels)
    with torch.inference_mode():
        theirs = loaded.model.get_image_features(
            pixels[:, None],
            image_sizes=torch.tensor([[384, 384]] * 3),
            batch_num_images=torch.tensor([3]),
        ).pooler_output
        pooled = loaded.model.get_video_features(pixels[None]).pooler_output
    assert ours.shape == (3, 729, 48)
    for frame, rows in zip(ours, theirs, strict=True):
        assert len(rows) == 730  # the last is the newline
        assert (frame - rows[:-1]).abs().max() <= 1e-6
    assert pooled.shape[1] == 3 * 196 + 1


@pytest.mark.parametrize("chunk", [1, 12])
def test_the_chunk_makes_no_difference(
    llava: Any, pixels50: torch.Tensor, encoded50: torch.Tensor, chunk: int
) -> None:
    assert torch.equal(encode(llava.model, pixels50[:12], chunk), encoded50[:12])


@pytest.mark.parametrize(
    ("name", "frames", "grids", "cells", "rows", "columns", "samples", "first"),
    [
        ("V1", 16, 1, 4, 2, 2, 2880, "samples"),
        ("V2", 50, 1, 6, 3, 2, 2880, "samples"),
        ("V3", 16, 1, 8, 4, 2, 2880, "samples"),
        ("Y2", 16, 1, 6, 3, 2, 2880, "thumbnails"),
        ("X2", 50, 1, 6, 3, 2, 0, "thumbnails"),
        ("U3", 16, 2, 6, 3, 2, 2304, "samples"),
        ("W3b", 50, 2, 6, 3, 2, 2304, "thumbnails"),
        ("W2a", 16, 3, 4, 2, 2, 1728, "thumbnails"),
    ],
)
def test_ts_llava_layouts(
    llava: Any,
    pixels50: torch.Tensor,
    encoded50: torch.Tensor,
    name: str,
    frames: int,
    grids: int,
    cells: int,
    rows: int,
    columns: int,
    samples: int,
    first: str,
) -> None:
    pixels = pixels50[:frames]
    chosen = pixels[evenly(frames, grids * cells)].split(cells)
    thumbnails = torch.cat([grid_tokens(llava.model, part, rows, columns) for part in chosen])
    flat = encoded50[:frames].reshape(frames * 576, -1)
    sampled = flat[evenly(frames * 576, samples)] if samples else flat[:0]
    parts = [sampled, thumbnails] if first == "samples" else [thumbnails, sampled]
    layout = ts_llava(name, samples or 2880)
    tokens = visual_tokens(llava.model, pixels, llava.tower, layout, parity=True)
    assert torch.equal(tokens, torch.cat(parts))
    assert len(tokens) == samples + grids * 576
    assert len(tokens) == layout.tokens(llava.tower.grid(frames, parity=True))


def test_consecutive_thumbnails(llava: Any, pixels50: torch.Tensor) -> None:
    layout = ts_llava("Z2")
    parity = visual_tokens(llava.model, pixels50, llava.tower, layout, parity=True)
    groups = pixels50[:48].split(6)
    expected = torch.cat([grid_tokens(llava.model, group, 3, 2) for group in groups])
    assert torch.equal(parity, expected)
    assert len(parity) == 4608
    ours = visual_tokens(llava.model, pixels50, llava.tower, layout)
    assert len(ours) == 9 * 576  # the last two frames too
    assert torch.equal(ours[:4608], parity)


def test_the_thumbnail_may_come_first(llava: Any, pixels50: torch.Tensor) -> None:
    last = visual_tokens(llava.model, pixels50[:8], llava.tower, ts_llava("V2"))
    first = visual_tokens(llava.model, pixels50[:8], llava.tower, ts_llava("Y2"))
    assert torch.equal(first, torch.cat([last[2880:], last[:2880]]))


@pytest.mark.parametrize("frames", [1, 2, 3, 5])
@pytest.mark.parametrize("name", ["V2", "Z2", "U3", "W2a", "slowfast", "freeva", "freeva-pooled"])
def test_short_videos(llava: Any, pictures: Pictures, frames: int, name: str) -> None:
    pixels = pixels_of(pictures(frames), llava.tower)
    layout = parse_layout(name)
    grid = llava.tower.grid(frames)
    tokens = visual_tokens(llava.model, pixels, llava.tower, layout)
    assert len(tokens) == layout.tokens(grid) > 0
    assert tokens.isfinite().all()
    if name == "V2":
        assert layout.spans[0].tokens(grid) == min(2880, frames * 576)
        assert layout.thumbnails is not None
        assert layout.thumbnails.groups(grid) == (tuple(range(frames)),)


@pytest.mark.parametrize(
    ("share", "rows", "count"), [(0.25, False, 144), (0.1, False, 58), (0.25, True, 144)]
)
def test_fopru_keeps_what_the_tower_attended_to(
    llava: Any,
    pixels50: torch.Tensor,
    encoded50: torch.Tensor,
    share: float,
    rows: bool,
    count: int,
) -> None:
    pixels = pixels50[:2]
    received = received_by(llava.model, pixels)
    tokens = visual_tokens(llava.model, pixels, llava.tower, fopru(share, rows))
    kept = []
    for scores, frame in zip(received, encoded50[:2], strict=True):
        if rows:
            best = scores.reshape(24, 24).sum(dim=1).argsort(descending=True)[: count // 24]
            kept.append(frame.reshape(24, 24, -1)[best.sort().values].flatten(0, 1))
        else:
            kept.append(frame[scores.argsort(descending=True)[:count].sort().values])
    assert torch.equal(tokens, torch.cat(kept))


def test_received_attention_is_that_of_the_feature_layer(
    llava: Any, pixels50: torch.Tensor
) -> None:
    tower = llava.model.model.vision_tower
    before = tower.config._attn_implementation
    tower.set_attn_implementation("eager")
    try:
        with torch.inference_mode():
            weights = tower(pixels50[:2], output_attentions=True).attentions
    finally:
        tower.set_attn_implementation(before)
    expected = weights[-2].mean(dim=(1, 2))[:, 1:]  # of three layers, the features are state -2
    assert (received_by(llava.model, pixels50[:2]) - expected).abs().max() < 1e-6


PROGRAM = """
import sys, hashlib, torch, numpy as np
from transformers import AutoModelForImageTextToText, AutoProcessor
from agent.visual.encoding import tower_of, pixels_of, visual_tokens
from agent.visual.layouts import ts_llava
torch.set_num_threads(int(sys.argv[2]))
model = AutoModelForImageTextToText.from_pretrained(sys.argv[1]).eval()
tower = tower_of(model.config, AutoProcessor.from_pretrained(sys.argv[1]).image_processor)
rng = np.random.default_rng(0)
pixels = pixels_of([rng.integers(0, 255, (48, 64, 3), np.uint8) for _ in range(6)], tower)
tokens = visual_tokens(model, pixels, tower, ts_llava("V2"), chunk=1)
print(hashlib.sha256(tokens.numpy().tobytes()).hexdigest())
"""


@pytest.mark.slow
def test_tokens_are_the_same_in_another_process_with_other_threads_and_chunks(
    tiny_llava: Path, llava: Any, pictures: Pictures
) -> None:
    pixels = pixels_of(pictures(6), llava.tower)
    tokens = visual_tokens(llava.model, pixels, llava.tower, ts_llava("V2"), chunk=50)
    threads = str(torch.get_num_threads() + 1)
    command = [sys.executable, "-c", PROGRAM, str(tiny_llava), threads]
    printed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    assert printed.strip() == hashlib.sha256(tokens.numpy().tobytes()).hexdigest()


def test_layouts_are_read_by_name_once() -> None:
    for name in ["V1", "X3", "W4a", "U1", *PRESETS]:
        assert parse_layout(name).name == name
    assert ids_digest(ts_llava().spans[0].ids(_clip(FRAMES))) != "128c1e018d5559cb"  # exact
    parity = _clip(FRAMES, parity=True)
    assert ids_digest(ts_llava().spans[0].ids(parity)) == "128c1e018d5559cb"
    for name in ["V4", "V2z", "W3", "Q1", "", "V", "U3b"]:
        with pytest.raises(InputError, match="there is no layout"):
            parse_layout(name)


def _clip(frames: int, parity: bool = False) -> Any:
    from agent.visual.spans import TokenGrid

    return TokenGrid(frames, 24, 24, parity)


def test_models_that_take_no_tokens_are_named(tiny_model: Callable[[str], Path]) -> None:
    from transformers import AutoConfig

    for name in ("llama", "qwen_vl"):
        config = AutoConfig.from_pretrained(tiny_model(name))
        assert not takes_tokens(config)
        with pytest.raises(InputError, match=r"LLaVA-1\.5, LLaVA-NeXT, LLaVA-OneVision"):
            tower_of(config, None)
