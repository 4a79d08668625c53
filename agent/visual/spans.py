"""Token spans: the ways in which visual tokens are made from a video's features.

A layout (see `agent.visual.layouts`) is a sequence of spans. Each knows without a model how many
tokens it makes and from which frames, and then makes them from the features. Here are those that
keep tokens unchanged; `agent.visual.merged_spans` has those that merge, crop or prune.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self, TypeVar

import numpy as np
from typing_extensions import override

from agent.frames.sampling import centre_ids
from agent.visual.guiding import QuestionGuidance
from agent.visual.sampling import Ids, sampled_ids

if TYPE_CHECKING:
    from torch import Tensor

Material = TypeVar("Material")


@dataclass(frozen=True, slots=True)
class TokenGrid:
    """The grid of a video's visual tokens.

    Attributes:
        frames: Number of frames T.
        rows: Rows of tokens in a frame.
        columns: Columns of tokens in a frame.
        parity: Follow the published code to the bit instead of our defaults.
    """

    frames: int
    rows: int
    columns: int
    parity: bool = False

    @property
    def tokens(self) -> int:
        """Tokens per frame, n."""
        return self.rows * self.columns


@dataclass(frozen=True)
class Features:
    """The features of a video from the vision tower and the projector.

    Attributes:
        frames: [T, n, D].
        thumbnails: [G, n, D] where the layout has thumbnails.
        received: Attention that each token received, [T, n], where the layout prunes by it.
        guide: Embeddings of text and pictures, where the layout depends on the question.
    """

    frames: "Tensor"
    thumbnails: "Tensor | None" = None
    received: "Tensor | None" = None
    guide: QuestionGuidance | None = None


class TokenSpan(ABC):
    """A span of visual tokens."""

    @abstractmethod
    def frames(self, grid: TokenGrid) -> Ids:
        """Return the positions of the frames that it shows, among all T, ascending."""

    @abstractmethod
    def tokens(self, grid: TokenGrid) -> int:
        """Return its number of tokens."""

    @abstractmethod
    def make(self, grid: TokenGrid, features: Features) -> "Tensor":
        """Return the tokens, [tokens, D]."""

    def shrunk(self, grid: TokenGrid, tokens: int) -> Self:
        """Return the span cut to at most `tokens` tokens, or itself if its size is fixed."""
        return self


@dataclass(frozen=True, slots=True)
class Sampled(TokenSpan):
    """Evenly spaced tokens of all frames (TS-LLaVA): a slice, no pooling, no question."""

    count: int

    def ids(self, grid: TokenGrid) -> Ids:
        """Return the ids of the tokens kept, of T * n."""
        return sampled_ids(grid.frames * grid.tokens, self.count, grid.parity)

    @override
    def frames(self, grid: TokenGrid) -> Ids:
        return np.unique(self.ids(grid) // grid.tokens)

    @override
    def tokens(self, grid: TokenGrid) -> int:
        return min(self.count, grid.frames * grid.tokens)

    @override
    def make(self, grid: TokenGrid, features: Features) -> "Tensor":
        return features.frames.flatten(0, 1)[self.ids(grid).tolist()]

    @override
    def shrunk(self, grid: TokenGrid, tokens: int) -> Self:
        return replace(self, count=min(self.tokens(grid), max(0, tokens)))


@dataclass(frozen=True, slots=True)
class Thumbnails(TokenSpan):
    """All tokens of thumbnails of `cells` frames each (TS-LLaVA).

    Attributes:
        cells: Frames in one thumbnail.
        grids: Thumbnails, of frames evenly spaced over the video; None for as many as it takes to
            show every frame (parity leaves out the frames that do not fill the last).
    """

    cells: int
    grids: int | None = 1

    def groups(self, grid: TokenGrid) -> tuple[tuple[int, ...], ...]:
        """Return the frames of each thumbnail, by position."""
        if self.grids is not None:
            chosen = sampled_ids(grid.frames, self.cells * self.grids, grid.parity).tolist()
        else:
            kept = grid.frames // self.cells * self.cells if grid.parity else grid.frames
            chosen = list(range(kept or grid.frames))
        starts = range(0, len(chosen), self.cells)
        return tuple(tuple(chosen[start : start + self.cells]) for start in starts)

    @override
    def frames(self, grid: TokenGrid) -> Ids:
        return np.array([frame for group in self.groups(grid) for frame in group], np.int64)

    @override
    def tokens(self, grid: TokenGrid) -> int:
        return len(self.groups(grid)) * grid.tokens

    @override
    def make(self, grid: TokenGrid, features: Features) -> "Tensor":
        return given(features.thumbnails, "thumbnails").flatten(0, 1)


class WholeFrames(TokenSpan):
    """All tokens of the frames that it shows."""

    @override
    def tokens(self, grid: TokenGrid) -> int:
        return len(self.frames(grid)) * grid.tokens

    @override
    def make(self, grid: TokenGrid, features: Features) -> "Tensor":
        return features.frames[self.frames(grid).tolist()].flatten(0, 1)


@dataclass(frozen=True, slots=True)
class Whole(WholeFrames):
    """All tokens of some frames, or of all (FreeVA's concatenation)."""

    count: int | None = None

    @override
    def frames(self, grid: TokenGrid) -> Ids:
        return np.array(centre_ids(grid.frames, self.count or grid.frames), np.int64)

    @override
    def shrunk(self, grid: TokenGrid, tokens: int) -> Self:
        return replace(self, count=max(1, min(self.frames(grid).size, tokens // grid.tokens)))


@dataclass(frozen=True, slots=True)
class EveryNth(WholeFrames):
    """All tokens of every n-th frame: frames 0, n, 2n, ... (STORM's test-time sampling).

    STORM (Jiang et al., arXiv 2503.04130) samples behind a temporal encoder (Mamba), through which
    the tokens that are left tell of those between. A frozen image model has none: here the
    sampling alone is shown, and what lies between is lost.
    """

    step: int
    most: int | None = None

    @override
    def frames(self, grid: TokenGrid) -> Ids:
        return np.arange(0, grid.frames, self.step, dtype=np.int64)[: self.most]

    @override
    def shrunk(self, grid: TokenGrid, tokens: int) -> Self:
        fitting = max(1, tokens // grid.tokens)
        step = max(self.step, -(-grid.frames // fitting))
        return replace(self, step=step, most=fitting)


@dataclass(frozen=True, slots=True)
class Interleaved(WholeFrames):
    """All tokens of frames that were encoded in interleaved passes (INTP).

    For a model whose encoder takes F frames (Shang et al., arXiv 2409.12963): of m * F frames, pass
    i encodes frames i, i + m, i + 2m, ..., so that each pass sees the whole video, and the tokens
    go back into the order of time (`agent.visual.encoding.encode_interleaved`).

    The longer prompt needs `chat.rope_factor` s. Ours: transformers' dynamic NTK, which makes of
    RoPE's base, for l tokens of a trained L, base * (s * l / L - s + 1)^(d / (d - 2)), where
    NTK-aware scaling makes base * s^(d / (d - 2)); keys and values in full, where INTP compresses
    them to 2 bits; no class tokens, as in all layouts. Where every frame is encoded by itself, as
    in transformers' Video-LLaVA, the passes change nothing.

    Attributes:
        per_pass: Frames in one pass, F.
        passes: Passes at most, m; None for as many as the frames fill.
    """

    per_pass: int = 8
    passes: int | None = None

    @override
    def frames(self, grid: TokenGrid) -> Ids:
        full = grid.frames // self.per_pass
        passes = min(full, self.passes or full)
        return np.array(centre_ids(grid.frames, passes * self.per_pass or grid.frames), np.int64)

    @override
    def shrunk(self, grid: TokenGrid, tokens: int) -> Self:
        full = max(1, len(self.frames(grid)) // self.per_pass)
        fitting = tokens // (self.per_pass * grid.tokens)
        return replace(self, passes=max(1, min(full, fitting)))


def given(value: Material | None, name: str) -> Material:
    """Return a part of the features. `ValueError` if it is missing."""
    if value is None:
        raise ValueError(f"this layout needs {name}, and the features have none")
    return value
