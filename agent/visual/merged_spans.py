"""Spans that merge tokens or leave out parts of frames: the methods beside TS-LLaVA."""

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np
from typing_extensions import override

from agent.visual.guiding import pair_columns, regions
from agent.visual.pruning import kept_rows, kept_tokens
from agent.visual.sampling import Ids, truncated_ids
from agent.visual.spans import Features, Seen, Span, given

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Paired(Span):
    """Neighbours along a row merged by maximum (SlowFast-LLaVA's slow path, FreeVA's pooling)."""

    count: int | None = None

    @override
    def frames(self, seen: Seen) -> Ids:
        return truncated_ids(seen.frames, self.count or seen.frames, seen.parity)

    @override
    def tokens(self, seen: Seen) -> int:
        return self.frames(seen).size * seen.rows * math.ceil(seen.columns / 2)

    @override
    def make(self, seen: Seen, features: Features) -> "Tensor":
        chosen = features.frames[self.frames(seen).tolist()]
        return pair_columns(chosen, seen.rows, seen.columns).flatten(0, 2)

    @override
    def shrunk(self, seen: Seen, tokens: int) -> Self:
        fitting = tokens // (seen.rows * math.ceil(seen.columns / 2))
        return replace(self, count=max(1, min(self.frames(seen).size, fitting)))


@dataclass(frozen=True, slots=True)
class Pooled(Span):
    """Every frame averaged to rows x columns tokens (SlowFast-LLaVA's fast path)."""

    rows: int
    columns: int

    @override
    def frames(self, seen: Seen) -> Ids:
        return np.arange(seen.frames, dtype=np.int64)

    @override
    def tokens(self, seen: Seen) -> int:
        return seen.frames * self.rows * self.columns

    @override
    def make(self, seen: Seen, features: Features) -> "Tensor":
        from torch.nn.functional import adaptive_avg_pool2d

        planes = features.frames.unflatten(1, (seen.rows, seen.columns)).permute(0, 3, 1, 2)
        pooled = adaptive_avg_pool2d(planes, (self.rows, self.columns))
        return pooled.permute(0, 2, 3, 1).flatten(0, 2)


@dataclass(frozen=True, slots=True)
class Averaged(Span):
    """One frame's tokens, the mean over all frames (FreeVA's sparse form)."""

    @override
    def frames(self, seen: Seen) -> Ids:
        return np.arange(seen.frames, dtype=np.int64)

    @override
    def tokens(self, seen: Seen) -> int:
        return seen.tokens

    @override
    def make(self, seen: Seen, features: Features) -> "Tensor":
        return features.frames.mean(dim=0)


@dataclass(frozen=True, slots=True)
class Region(Span):
    """The part of some frames that the question is about, paired (Free Video-LLM).

    Attributes:
        count: Frames.
        share: Part of a frame's area that is kept; 1 keeps all.
        guided: Take the frames that agree most with the question, else evenly spaced ones.
    """

    count: int
    share: float
    guided: bool

    @override
    def frames(self, seen: Seen) -> Ids:
        """Return all frames when the question chooses among them."""
        count = seen.frames if self.guided else self.count
        return truncated_ids(seen.frames, count, seen.parity)

    @override
    def tokens(self, seen: Seen) -> int:
        side = math.sqrt(self.share)
        rows, columns = round(seen.rows * side), round(math.ceil(seen.columns / 2) * side)
        frames = min(self.count, self.frames(seen).size)
        return frames * rows * columns

    @override
    def shrunk(self, seen: Seen, tokens: int) -> Self:
        frame = replace(self, count=1).tokens(seen)
        fitting = min(self.tokens(seen), tokens) // frame
        return replace(self, count=max(1, fitting))

    @override
    def make(self, seen: Seen, features: Features) -> "Tensor":
        guide = given(features.guide, "a guide")
        chosen = guide.best_frames(self.count) if self.guided else self.frames(seen).tolist()
        paired = pair_columns(features.frames[chosen], seen.rows, seen.columns)
        agreement = guide.agreement(chosen, seen.rows, seen.columns)
        return regions(paired, agreement, self.share, seen.parity).flatten(0, 2)


@dataclass(frozen=True, slots=True)
class Pruned(Span):
    """The tokens of each frame that received most attention in the vision tower (FoPru).

    Attributes:
        share: Part of a frame's tokens that is kept, r.
        rows: Keep whole rows of the picture instead of single tokens.
    """

    share: float
    rows: bool = False

    @override
    def frames(self, seen: Seen) -> Ids:
        return np.arange(seen.frames, dtype=np.int64)

    @override
    def tokens(self, seen: Seen) -> int:
        kept = math.ceil(round(self.share * seen.tokens, 6))  # 0.1 * 570 is above 57
        return seen.frames * (max(1, kept // seen.columns) * seen.columns if self.rows else kept)

    @override
    def make(self, seen: Seen, features: Features) -> "Tensor":
        received = given(features.received, "attention")
        count = self.tokens(seen) // seen.frames
        kept = (
            kept_rows(received, seen.columns, count) if self.rows else kept_tokens(received, count)
        )
        width = features.frames.shape[-1]
        return features.frames.gather(1, kept[..., None].expand(-1, -1, width)).flatten(0, 1)

    @override
    def shrunk(self, seen: Seen, tokens: int) -> Self:
        kept = min(self.tokens(seen), tokens) // seen.frames
        return replace(self, share=max(1, kept) / seen.tokens)
