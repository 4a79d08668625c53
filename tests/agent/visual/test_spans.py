"""Behaviours 22 to 25: SlowFast-LLaVA, Free Video-LLM, FreeVA and FoPru on given features."""

import math
from collections.abc import Sequence

import pytest
import torch

from agent.visual.guiding import GridRegion, QuestionGuidance, best_region, regions
from agent.visual.layouts import (
    Layout,
    free_video_llm,
    freeva,
    freeva_pooled,
    freeva_sparse,
    slowfast,
    ts_llava,
)
from agent.visual.merged_spans import Pruned
from agent.visual.pruning import kept_rows, kept_tokens, received_attention
from agent.visual.spans import Features, TokenGrid

WIDTH = 5


def features(frames: int, tokens: int = 576) -> torch.Tensor:
    return torch.randn(frames, tokens, WIDTH, generator=torch.Generator().manual_seed(frames))


def make(layout: Layout, grid: TokenGrid, given: Features) -> torch.Tensor:
    made = torch.cat([span.make(grid, given) for span in layout.spans])
    assert len(made) == layout.tokens(grid)
    return made


def pairs(frames: torch.Tensor) -> torch.Tensor:
    """The larger of each two tokens that follow each other."""
    return torch.maximum(frames[:, 0::2], frames[:, 1::2])


def sixteen(frame: torch.Tensor) -> torch.Tensor:
    """The means of 4 x 4 blocks of 6 x 6 tokens."""
    return frame.reshape(4, 6, 4, 6, WIDTH).mean(dim=(1, 3)).reshape(16, WIDTH)


@pytest.mark.parametrize("parity", [False, True])
def test_slowfast(parity: bool) -> None:
    frames = features(50)
    made = make(slowfast(), TokenGrid(50, 24, 24, parity), Features(frames))
    assert len(made) == 3680
    assert torch.equal(made[:2880], pairs(frames[::5]).flatten(0, 1))
    fast = torch.cat([sixteen(frame) for frame in frames])
    assert (made[2880:] - fast).abs().max() <= 1e-6


def test_slowfast_takes_frames_by_truncation() -> None:
    slow = slowfast().spans[0]
    assert slow.frames(TokenGrid(48, 24, 24)).tolist() == [0, 4, 9, 14, 19, 24, 28, 33, 38, 43]
    short = TokenGrid(7, 24, 24, parity=True)
    assert slow.frames(short).tolist() == [0, 0, 1, 2, 2, 3, 4, 4, 5, 6]
    assert slow.frames(TokenGrid(7, 24, 24)).tolist() == list(range(7))


def test_pairs_never_cross_a_row_of_odd_length() -> None:
    frames = features(2, 729)
    made = make(freeva_pooled(), TokenGrid(2, 27, 27), Features(frames)).reshape(2, 27, 14, WIDTH)
    rows = frames.reshape(2, 27, 27, WIDTH)
    assert torch.equal(made[:, :, 0], torch.maximum(rows[:, :, 0], rows[:, :, 1]))
    assert torch.equal(made[:, :, 13], rows[:, :, 26])


def test_freeva() -> None:
    frames = features(4)
    grid = TokenGrid(4, 24, 24)
    assert torch.equal(make(freeva(), grid, Features(frames)), frames.reshape(4 * 576, WIDTH))
    eight = features(8)
    pooled = make(freeva_pooled(), TokenGrid(8, 24, 24), Features(eight))
    assert torch.equal(pooled, pairs(eight).flatten(0, 1))
    sparse = make(freeva_sparse(), grid, Features(frames))
    assert torch.equal(sparse, frames.mean(dim=0))
    assert (freeva().frames, freeva_pooled().frames) == (4, 8)


@pytest.fixture
def guide() -> QuestionGuidance:
    """A stand-in for CLIP's two towers: 8 numbers an embedding."""
    generator = torch.Generator().manual_seed(7)
    return QuestionGuidance(
        torch.randn(8, generator=generator),
        torch.randn(50, 8, generator=generator),
        torch.randn(50, 576, 8, generator=generator),
    )


def slow_box(ids: Sequence[int], rows: int, columns: int, share: float) -> GridRegion:
    """The box step by step: mean place, half to each side, pushed back inside."""
    height, width = round(rows * math.sqrt(share)), round(columns * math.sqrt(share))
    y = int(torch.tensor([i // columns for i in ids]).float().mean())
    x = int(torch.tensor([i % columns for i in ids]).float().mean())
    top, bottom = y - height // 2, y + height - height // 2
    left, right = x - width // 2, x + width - width // 2
    while top < 0:
        top, bottom = top + 1, bottom + 1
    while bottom > rows:
        top, bottom = top - 1, bottom - 1
    while left < 0:
        left, right = left + 1, right + 1
    while right > columns:
        left, right = left - 1, right - 1
    return GridRegion(top, bottom, left, right)


@pytest.mark.parametrize(("rows", "columns"), [(24, 12), (12, 24)])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_box(rows: int, columns: int, share: float) -> None:
    generator = torch.Generator().manual_seed(rows)
    for start in (0, rows * columns // 2, rows * columns - 20):
        picked = (start + torch.randint(0, 20, (9,), generator=generator)).tolist()
        box = best_region(picked, rows, columns, share)
        assert box == slow_box(picked, rows, columns, share)
        assert 0 <= box.top < box.bottom <= rows
        assert 0 <= box.left < box.right <= columns


@pytest.mark.parametrize("parity", [False, True])
def test_free_video_llm(guide: QuestionGuidance, parity: bool) -> None:
    frames = features(50)
    layout, grid = free_video_llm(), TokenGrid(50, 24, 24, parity)
    made = make(layout, grid, Features(frames, guide=guide))
    assert len(made) == 2648
    cosine = torch.nn.functional.cosine_similarity
    near = sorted(cosine(guide.text, guide.frames).argsort()[-3:].tolist())
    rows, columns = (12, 24) if parity else (24, 12)
    height, width = (11, 21) if parity else (21, 11)
    expected = []
    for frame in [*near, 0, 10, 20, 30, 40]:
        paired = pairs(frames[frame : frame + 1]).reshape(rows, columns, WIDTH)
        likeness = cosine(guide.text, pairs(guide.patches[frame : frame + 1])[0], dim=-1)
        best = likeness.argsort(descending=True)[: int(288 * 0.8)].tolist()
        box = slow_box(best, rows, columns, 0.8)
        cut = paired[box.top : box.bottom, box.left : box.right]
        assert cut.shape == (height, width, WIDTH)
        expected.append(cut.flatten(0, 1))
    assert torch.equal(made[:1848], torch.cat(expected))
    fast = torch.cat([sixteen(frame) for frame in frames])
    assert (made[1848:] - fast).abs().max() <= 1e-6


def test_the_default_region_follows_the_picture_and_parity_does_not() -> None:
    """All agreement in the left third: the default cuts there, parity scatters it."""
    agreement = torch.zeros(1, 24, 12)
    agreement[:, :, :4] = 1
    place = torch.arange(24 * 12).reshape(1, 24, 12, 1)
    ours = regions(place, agreement, 0.25, parity=False)
    theirs = regions(place, agreement, 0.25, parity=True)
    assert (ours % 12).max() < 6
    assert (theirs % 12).max() == 11


def test_the_question_chooses_only_for_free_video_llm() -> None:
    assert free_video_llm().depends_on_question
    assert not ts_llava().depends_on_question
    with pytest.raises(ValueError, match="needs a guide"):
        make(free_video_llm(), TokenGrid(2, 24, 24), Features(features(2)))


def test_pruned_tokens_stay_in_order() -> None:
    received = torch.rand(3, 576, generator=torch.Generator().manual_seed(1))
    for share in (0.002, 0.1, 0.25, 1.0):
        count = Pruned(share).tokens(TokenGrid(3, 24, 24)) // 3
        kept = kept_tokens(received, count)
        assert count == math.ceil(share * 576)
        assert kept.shape == (3, count)
        assert (kept.diff(dim=1) > 0).all()
        assert (
            received.gather(1, kept)
            .min(dim=1)
            .values.ge(received.sort(dim=1, descending=True).values[:, count - 1])
            .all()
        )
    rows = kept_rows(received, 24, 144)
    assert rows.shape == (3, 144)
    assert (rows.reshape(3, 6, 24).diff(dim=2) == 1).all()


def test_received_attention_knows_no_order_of_heads() -> None:
    generator = torch.Generator().manual_seed(2)
    queries, keys = torch.randn(2, 3, 4, 10, 8, generator=generator)
    received = received_attention(queries, keys)
    turned = received_attention(queries.roll(1, dims=1), keys.roll(1, dims=1))
    assert torch.allclose(received, turned, atol=1e-7)
    assert torch.allclose(received.sum(dim=1), torch.ones(3))
