"""Spans that merge tokens or leave out parts of frames: the methods besides TS-LLaVA."""

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np
from typing_extensions import override

from agent.visual.guiding import pair_columns, regions
from agent.visual.pruning import kept_rows, kept_tokens
from agent.visual.sampling import Ids, truncated_ids
from agent.visual.spans import Features, TokenGrid, TokenSpan, given

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Paired(TokenSpan):
    """Neighbours along a row max-pooled (SlowFast-LLaVA's slow path, FreeVA's pooling)."""

    count: int | None = None

    @override
    def frames(self, grid: TokenGrid) -> Ids:
        return truncated_ids(grid.frames, self.count or grid.frames, grid.parity)

    @override
    def tokens(self, grid: TokenGrid) -> int:
        return self.frames(grid).size * grid.rows * math.ceil(grid.columns / 2)

    @override
    def make(self, grid: TokenGrid, features: Features) -> "Tensor":
        chosen = features.frames[self.frames(grid).tolist()]
        return pair_columns(chosen, grid.rows, grid.columns).flatten(0, 2)

    @override
    def shrunk(self, grid: TokenGrid, tokens: int) -> Self:
        fitting = tokens // (grid.rows * math.ceil(grid.columns / 2))
        return replace(self, count=max(1, min(self.frames(grid).size, fitting)))


@dataclass(frozen=True, slots=True)
class Pooled(TokenSpan):
    """Every frame average-pooled to rows x columns tokens (SlowFast-LLaVA's fast path)."""

    rows: int
    columns: int

    @override
    def frames(self, grid: TokenGrid) -> Ids:
        return np.arange(grid.frames, dtype=np.int64)

    @override
    def tokens(self, grid: TokenGrid) -> int:
        return grid.frames * self.rows * self.columns

    @override
    def make(self, grid: TokenGrid, features: Features) -> "Tensor":
        from torch.nn.functional import adaptive_avg_pool2d

        planes = features.frames.unflatten(1, (grid.rows, grid.columns)).permute(0, 3, 1, 2)
        pooled = adaptive_avg_pool2d(planes, (self.rows, self.columns))
        return pooled.permute(0, 2, 3, 1).flatten(0, 2)


@dataclass(frozen=True, slots=True)
class PooledInTime(TokenSpan):
    """All frames average-pooled to frames x rows x columns tokens (PLLaVA).

    Xu et al., arXiv 2404.16994: adaptive average pooling of the projected features
    [T, h, w, D] to [T', h', w', D]; T' is T where that is smaller.
    """

    count: int
    rows: int
    columns: int

    @override
    def frames(self, grid: TokenGrid) -> Ids:
        return np.arange(grid.frames, dtype=np.int64)

    @override
    def tokens(self, grid: TokenGrid) -> int:
        return min(self.count, grid.frames) * self.rows * self.columns

    @override
    def make(self, grid: TokenGrid, features: Features) -> "Tensor":
        from torch.nn.functional import adaptive_avg_pool3d

        volume = features.frames.unflatten(1, (grid.rows, grid.columns)).permute(3, 0, 1, 2)
        count = min(self.count, grid.frames)
        pooled = adaptive_avg_pool3d(volume, (count, self.rows, self.columns))
        return pooled.permute(1, 2, 3, 0).flatten(0, 2)

    @override
    def shrunk(self, grid: TokenGrid, tokens: int) -> Self:
        fitting = tokens // (self.rows * self.columns)
        return replace(self, count=max(1, min(self.count, grid.frames, fitting)))


@dataclass(frozen=True, slots=True)
class Averaged(TokenSpan):
    """The mean over all frames, with one frame's number of tokens (FreeVA's sparse form)."""

    @override
    def frames(self, grid: TokenGrid) -> Ids:
        return np.arange(grid.frames, dtype=np.int64)

    @override
    def tokens(self, grid: TokenGrid) -> int:
        return grid.tokens

    @override
    def make(self, grid: TokenGrid, features: Features) -> "Tensor":
        return features.frames.mean(dim=0)


@dataclass(frozen=True, slots=True)
class Region(TokenSpan):
    """The region of some frames most similar to the question, paired (Free Video-LLM).

    Attributes:
        count: Number of frames.
        share: Share of a frame's area that is kept; 1 keeps all.
        guided: Take the frames most similar to the question, else evenly spaced ones.
    """

    count: int
    share: float
    guided: bool

    @override
    def frames(self, grid: TokenGrid) -> Ids:
        """Return all frames when the question chooses among them."""
        count = grid.frames if self.guided else self.count
        return truncated_ids(grid.frames, count, grid.parity)

    @override
    def tokens(self, grid: TokenGrid) -> int:
        side = math.sqrt(self.share)
        rows, columns = round(grid.rows * side), round(math.ceil(grid.columns / 2) * side)
        frames = min(self.count, self.frames(grid).size)
        return frames * rows * columns

    @override
    def shrunk(self, grid: TokenGrid, tokens: int) -> Self:
        frame = replace(self, count=1).tokens(grid)
        fitting = min(self.tokens(grid), tokens) // frame
        return replace(self, count=max(1, fitting))

    @override
    def make(self, grid: TokenGrid, features: Features) -> "Tensor":
        guide = given(features.guide, "a guide")
        chosen = guide.best_frames(self.count) if self.guided else self.frames(grid).tolist()
        paired = pair_columns(features.frames[chosen], grid.rows, grid.columns)
        agreement = guide.agreement(chosen, grid.rows, grid.columns)
        return regions(paired, agreement, self.share, grid.parity).flatten(0, 2)


@dataclass(frozen=True, slots=True)
class Pruned(TokenSpan):
    """The tokens of each frame that received most attention in the vision tower (FoPru).

    Attributes:
        share: Share of a frame's tokens that is kept, r.
        rows: Keep whole rows of the picture instead of single tokens.
    """

    share: float
    rows: bool = False

    @override
    def frames(self, grid: TokenGrid) -> Ids:
        return np.arange(grid.frames, dtype=np.int64)

    @override
    def tokens(self, grid: TokenGrid) -> int:
        kept = math.ceil(round(self.share * grid.tokens, 6))  # 0.1 * 570 is above 57
        return grid.frames * (max(1, kept // grid.columns) * grid.columns if self.rows else kept)

    @override
    def make(self, grid: TokenGrid, features: Features) -> "Tensor":
        received = given(features.received, "attention")
        count = self.tokens(grid) // grid.frames
        kept = (
            kept_rows(received, grid.columns, count) if self.rows else kept_tokens(received, count)
        )
        width = features.frames.shape[-1]
        return features.frames.gather(1, kept[..., None].expand(-1, -1, width)).flatten(0, 1)

    @override
    def shrunk(self, grid: TokenGrid, tokens: int) -> Self:
        kept = min(self.tokens(grid), tokens) // grid.frames
        return replace(self, share=max(1, kept) / grid.tokens)
