"""Behaviour 30: a second question on a video runs no vision tower and reads no video token."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from agent.visual.encoding import pixels_of, visual_tokens
from agent.visual.injection import PromptIds, generate, inputs_as_embeddings, tokenise
from agent.visual.layouts import free_video_llm, ts_llava
from agent.visual.prefix import VisualPrefix
from agent.visual.token_cache import TokenCache, TokenKey, model_digest, token_key
from tools.errors import StorageError
from tools.media.video import RGBImage

KEY = TokenKey("a" * 64, (0.5, 1.5), "model", "V2", "336/14", parity=False)


@pytest.fixture(scope="module")
def pixels(llava: Any, pictures: Callable[[int], list[RGBImage]]) -> torch.Tensor:
    return pixels_of(pictures(8), llava.tower)


def test_a_second_question_runs_no_vision_tower(
    llava: Any, pixels: torch.Tensor, tmp_path: Path
) -> None:
    runs: list[int] = []
    hook = llava.model.model.vision_tower.register_forward_hook(lambda *_: runs.append(1))
    layout = ts_llava(samples=200)
    asked = []
    try:
        for question in ("Which ferry?", "Which gate?"):
            cache = TokenCache(tmp_path)  # as a new process would open it
            tokens = cache.get(KEY, lambda: visual_tokens(llava.model, pixels, llava.tower, layout))
            text = f"USER: <image>{question}"
            prompt = tokenise(llava.processor.tokenizer, text, "<image>")
            generate(llava.model, inputs_as_embeddings(llava.model, prompt, tokens), 2)
            asked.append((len(runs), tokens))
    finally:
        hook.remove()
    assert asked[0][0] == asked[1][0] > 0
    assert torch.equal(asked[0][1], asked[1][1])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_tokens_come_back_as_they_were(tmp_path: Path, dtype: torch.dtype) -> None:
    cache, tokens = TokenCache(tmp_path), torch.randn(12, 4).to(dtype)
    cache.store(KEY, tokens)
    loaded = cache.load(KEY)
    assert loaded is not None
    assert loaded.dtype == dtype
    assert torch.equal(loaded, tokens)
    assert [path.name for path in (tmp_path / KEY.video).iterdir()] == [cache.path(KEY).name]


@pytest.mark.parametrize(
    "change",
    [
        {"video": "b" * 64},
        {"times_s": (0.5, 1.6)},
        {"model": "other"},
        {"layout": "V3"},
        {"tower": "384/14"},
        {"parity": True},
    ],
)
def test_whatever_the_tokens_depend_on_is_part_of_the_key(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    cache = TokenCache(tmp_path)
    cache.store(KEY, torch.ones(1, 1))
    assert cache.load(replace(KEY, **change)) is None
    assert cache.load(replace(KEY)) is not None


def test_the_key_is_that_of_the_layout_after_the_budget(llava: Any) -> None:
    def key(samples: int) -> str:
        layout = ts_llava(samples=samples)
        return token_key("a" * 64, [0.5], llava.model, layout, llava.tower, False).digest

    assert key(2880) == key(2880)
    assert key(2880) != key(2832)
    with pytest.raises(ValueError, match="depend on the question"):
        token_key("a" * 64, [0.5], llava.model, free_video_llm(), llava.tower, False)


def test_a_damaged_file_is_said_and_made_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache = TokenCache(tmp_path)
    cache.store(KEY, torch.ones(3, 2))
    path = cache.path(KEY)
    path.write_bytes(path.read_bytes()[:-4])
    with caplog.at_level(logging.WARNING):
        assert cache.load(KEY) is None
    assert "made anew" in caplog.text
    assert torch.equal(cache.get(KEY, lambda: torch.zeros(3, 2)), torch.zeros(3, 2))
    assert cache.load(KEY) is not None


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="set another library folder"):
        TokenCache(tmp_path / "file").store(KEY, torch.ones(1, 1))


def test_a_model_s_digest_is_that_of_its_weights(load_tiny: Callable[[str], Any]) -> None:
    model = load_tiny("llava").model
    digest = model_digest(model)
    weight = model.model.multi_modal_projector.linear_2.weight
    assert model_digest(load_tiny("onevision").model) != digest
    with torch.no_grad():
        weight[0, 0] += 1
        changed = model_digest(model)
        weight[0, 0] -= 1
    assert changed != digest
    assert len(digest) == 16


@pytest.mark.parametrize("name", ["llava", "llava_next", "onevision"])
def test_a_kept_prefix_gives_the_same_logits(load_tiny: Callable[[str], Any], name: str) -> None:
    model = load_tiny(name).model
    visual = torch.randn(300, 48, generator=torch.Generator().manual_seed(0))
    prefix = VisualPrefix(model, (5, 6, 7), visual)
    assert len(prefix) == 303
    for after in ((40, 41, 42, 43), (50, 51), (40, 41, 42, 43)):
        prompt = PromptIds((5, 6, 7), after)
        inputs = inputs_as_embeddings(model, prompt, visual)
        with torch.inference_mode():
            expected = model(**inputs).logits[0, 303:]
        assert (logits(model, prefix, after) - expected).abs().max() <= 1e-5
        with prefix.asked(after) as asked:
            assert generate(model, asked, 8) == generate(model, inputs, 8)


def logits(model: Any, prefix: VisualPrefix, after: tuple[int, ...]) -> torch.Tensor:
    """What the model says after each token of a text that follows a kept prefix."""
    with prefix.followed(after) as inputs, torch.inference_mode():
        return model(**inputs).logits[0]


def test_replies_after_a_kept_prefix_are_scored_by_their_mean_likelihood(llava: Any) -> None:
    visual = torch.randn(300, 48)
    prefix, after = VisualPrefix(llava.model, (5, 6), visual), (40, 41, 42)
    replies = [[40, 41, 42], [50], [60, 61]]
    for _ in range(2):
        scores = prefix.score(after, replies)
        for reply, score in zip(replies, scores, strict=True):
            whole = inputs_as_embeddings(llava.model, PromptIds((5, 6), (*after, *reply)), visual)
            with torch.inference_mode():
                likely = llava.model(**whole).logits[0].log_softmax(dim=-1)
            rows = likely[-len(reply) - 1 : -1]
            expected = sum(float(row[number]) for row, number in zip(rows, reply, strict=True))
            assert score == pytest.approx(expected / len(reply), abs=1e-5)


def test_a_kept_prefix_is_not_read_again(llava: Any) -> None:
    prefix = VisualPrefix(llava.model, (5,), torch.randn(300, 48))
    lengths: list[int] = []
    hook = llava.model.model.language_model.register_forward_pre_hook(
        lambda module, args, kwargs: lengths.append(kwargs["inputs_embeds"].shape[1]),
        with_kwargs=True,
    )
    try:
        for after in ((40, 41, 42), (43, 44)):
            with prefix.asked(after) as inputs:
                generate(llava.model, inputs, 3)
    finally:
        hook.remove()
    assert max(lengths) == 3
    assert sum(lengths) < 20


def test_a_broken_off_run_leaves_the_prefix_as_it_was(llava: Any) -> None:
    prefix = VisualPrefix(llava.model, (5,), torch.randn(300, 48))
    before = logits(llava.model, prefix, (40, 41))

    class Stopper:
        def put(self, value: torch.Tensor) -> None:
            if value.numel() == 1:
                raise KeyboardInterrupt

        def end(self) -> None: ...

    with pytest.raises(KeyboardInterrupt), prefix.asked((42, 43, 44)) as inputs:
        generate(llava.model, inputs, 8, streamer=Stopper())
    assert torch.equal(logits(llava.model, prefix, (40, 41)), before)
