"""Behaviour 25, DAMRO: decoding against what the outlier tokens alone would say."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import LogitsProcessorList

from agent.visual.contrast import OutlierContrast, outlier_ids, outlier_tokens
from agent.visual.encoding import encode, feature_layer, pixels_of
from agent.visual.injection import PromptIds, generate, inputs_as_embeddings, inputs_as_ids
from agent.visual.pruning import AttentionProbe
from tools.errors import InputError
from tools.media.video import RGBImage

PROMPT = PromptIds((5, 6, 7), (40, 41, 42))


@pytest.fixture(scope="module")
def pixels(llava: Any, pictures: Callable[[int], list[RGBImage]]) -> torch.Tensor:
    return pixels_of(pictures(1), llava.tower)


@pytest.fixture(scope="module")
def visual(llava: Any, pixels: torch.Tensor) -> torch.Tensor:
    return encode(llava.model, pixels)[0]


def answer(llava: Any, visual: torch.Tensor, contrast: Any = None, route: Any = None) -> list[int]:
    inputs = (route or inputs_as_embeddings)(llava.model, PROMPT, visual)
    listed = LogitsProcessorList([contrast] if contrast else [])
    return generate(llava.model, inputs, 8, eos_token_id=-1, logits_processor=listed)


def test_outliers_are_what_the_class_token_looks_at(llava: Any, pixels: torch.Tensor) -> None:
    layer = llava.model.model.vision_tower.encoder.layers[-2]
    with torch.inference_mode():
        states = llava.model.model.vision_tower(pixels, output_hidden_states=True).hidden_states
        normed = layer.layer_norm1(states[1])  # what the second of three layers attends over
        query = layer.self_attn.q_proj(normed)[0, 0]
        keys = layer.self_attn.k_proj(normed)[0]
    attention = (keys @ query / math.sqrt(32)).softmax(dim=0)[1:]
    expected = sorted(attention.argsort(descending=True)[:10].tolist())
    assert outlier_ids(llava.model, pixels)[0].tolist() == expected


def test_published_outliers_come_in_the_order_of_attention_and_end_with_llava_next_s_newline(
    load_tiny: Callable[[str], Any], pictures: Callable[[int], list[RGBImage]]
) -> None:
    for name, newlines in (("llava", 0), ("llava_next", 1)):
        tiny = load_tiny(name)
        pixels = pixels_of(pictures(2), tiny.tower)
        with torch.inference_mode(), AttentionProbe(feature_layer(tiny.model)) as probe:
            tiny.model.model.vision_tower(pixels)
            scores = torch.einsum("bd,bnd->bn", probe.queries[:, 0], probe.keys)[:, 1:]
        ordered = scores.argsort(dim=1, descending=True)[:, :10]
        assert torch.equal(outlier_ids(tiny.model, pixels, published=True), ordered)
        assert torch.equal(outlier_ids(tiny.model, pixels), ordered.sort(dim=1).values)
        made = outlier_tokens(tiny.model, pixels, published=True).unflatten(0, (2, -1))
        assert made.shape[1] == 10 + newlines
        for picture, which, row in zip(encode(tiny.model, pixels), ordered, made, strict=True):
            assert torch.equal(row[:10], picture[which])
            if newlines:
                assert torch.equal(row[10], tiny.model.model.image_newline)
        assert len(outlier_tokens(tiny.model, pixels)) == 20


def test_alpha_0_is_plain_greedy_decoding(llava: Any, visual: torch.Tensor) -> None:
    contrast = OutlierContrast(llava.model, PROMPT, visual[:10], alpha=0)
    assert answer(llava, visual, contrast) == answer(llava, visual)


@pytest.mark.parametrize("route", [inputs_as_embeddings, inputs_as_ids])
def test_all_tokens_as_outliers_change_nothing(
    llava: Any, visual: torch.Tensor, route: Any
) -> None:
    contrast = OutlierContrast(llava.model, PROMPT, visual)
    assert answer(llava, visual, contrast, route) == answer(llava, visual)


def test_the_formula_and_its_mask(llava: Any, visual: torch.Tensor) -> None:
    outliers = visual[:10]
    contrast = OutlierContrast(llava.model, PROMPT, outliers, alpha=2.0, beta=0.9)
    with torch.inference_mode():
        scores = llava.model(**inputs_as_embeddings(llava.model, PROMPT, visual)).logits[:, -1]
        against = llava.model(**inputs_as_embeddings(llava.model, PROMPT, outliers)).logits[:, -1]
    made = contrast(torch.zeros(1, 0, dtype=torch.long), scores)
    masked = scores < scores.max() + math.log(0.9)
    assert 0 < masked.sum() < scores.numel()
    assert torch.equal(made.isneginf(), masked)
    expected = 3 * scores - 2 * against
    assert torch.allclose(made[~masked], expected[~masked], atol=1e-5)


def test_later_steps_know_the_answer_so_far(llava: Any, visual: torch.Tensor) -> None:
    contrast = OutlierContrast(llava.model, PROMPT, visual[:10], alpha=-1.0, beta=1e-9)
    nothing = torch.zeros(1, len(llava.processor.tokenizer))
    contrast(torch.zeros(1, 0, dtype=torch.long), nothing)
    second = contrast(torch.tensor([[50]]), nothing)  # 0 * scores + 1 * against
    longer = PromptIds(PROMPT.before, (*PROMPT.after, 50))
    with torch.inference_mode():
        inputs = inputs_as_embeddings(llava.model, longer, visual[:10])
        expected = llava.model(**inputs).logits[:, -1]
    assert torch.allclose(second, expected, atol=1e-5)


def test_a_tower_without_class_token_has_no_outliers(load_tiny: Callable[[str], Any]) -> None:
    with pytest.raises(InputError, match="class token"):
        outlier_ids(load_tiny("onevision").model, torch.zeros(1, 3, 384, 384))
