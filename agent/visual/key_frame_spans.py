"""Spans of key frames: the features of the video itself choose frames, and tokens in them.

A frame is described by the mean of its visual tokens, which every model with visual tokens has.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np
from typing_extensions import override

from agent.frames.clustering import Vectors, in_time, key_frames, members
from agent.visual.pruning import kept_tokens
from agent.visual.sampling import Ids
from agent.visual.spans import Features, TokenGrid, TokenSpan, given

if TYPE_CHECKING:
    from torch import Tensor

HEADS = 16  # DyTo compares tokens by their mean over as many parts of their width


@dataclass(frozen=True, slots=True)
class KeyTokens(TokenSpan):
    """Important tokens of the frames nearest to the centres of k-means clusters (KTV).

    A token's score is its importance less its redundancy, a_i / max(a) - r_i: a is the attention
    that it receives in the vision tower, r_i the mean cosine with the other tokens of its frame.
    KTV weighs the same two. Ours: the difference, features of the model's own tower in place of
    DINOv2, and attention from all tokens, for SigLIP has no class token.

    Attributes:
        count: Key frames.
        kept: Tokens kept of each.
    """

    count: int
    kept: int

    @override
    def frames(self, grid: TokenGrid) -> Ids:
        """Return all frames, for the features choose among them."""
        return np.arange(grid.frames, dtype=np.int64)

    @override
    def tokens(self, grid: TokenGrid) -> int:
        return min(self.count, grid.frames) * min(self.kept, grid.tokens)

    @override
    def make(self, grid: TokenGrid, features: Features) -> "Tensor":
        count = min(self.count, grid.frames)
        chosen = _filled(key_frames(_described(features.frames), count), count, grid.frames)
        tokens = features.frames[chosen]
        important = given(features.received, "attention")[chosen]
        kept = kept_tokens(token_scores(tokens, important), min(self.kept, grid.tokens))
        return tokens.gather(1, kept[..., None].expand(-1, -1, tokens.shape[-1])).flatten(0, 1)

    @override
    def shrunk(self, grid: TokenGrid, tokens: int) -> Self:
        fitting = min(self.tokens(grid), tokens) // min(self.count, grid.frames)
        return replace(self, kept=max(1, fitting))


@dataclass(frozen=True, slots=True)
class MergedFrames(TokenSpan):
    """The middle frames of clusters in time, their like tokens merged to a budget (DyTo).

    Each of K frames gets max(n / 2, budget / K) of its n tokens, rounded up and down: one step of
    merging can at most halve them (Zhang et al., arXiv 2411.14401). Ours: K is fixed, so that the
    plan knows the number of tokens; there it is the number of clusters that FINCH finds.

    Attributes:
        count: Frames, K.
        budget: Tokens in all.
    """

    count: int
    budget: int

    @override
    def frames(self, grid: TokenGrid) -> Ids:
        """Return all frames, for the features choose among them."""
        return np.arange(grid.frames, dtype=np.int64)

    def per_frame(self, grid: TokenGrid) -> int:
        """Return the tokens of each frame."""
        share = self.budget // min(self.count, grid.frames)
        return min(grid.tokens, max(grid.tokens - grid.tokens // 2, share))

    @override
    def tokens(self, grid: TokenGrid) -> int:
        return min(self.count, grid.frames) * self.per_frame(grid)

    @override
    def make(self, grid: TokenGrid, features: Features) -> "Tensor":
        import torch

        groups = members(in_time(_described(features.frames), self.count))
        middles = sorted(group[len(group) // 2 if len(group) > 2 else -1] for group in groups)
        removed = grid.tokens - self.per_frame(grid)
        return torch.cat([merge_alike(features.frames[frame], removed) for frame in middles])

    @override
    def shrunk(self, grid: TokenGrid, tokens: int) -> Self:
        halved = grid.tokens - grid.tokens // 2
        count = max(1, min(self.count, grid.frames, tokens // halved))
        return replace(self, count=count, budget=max(halved, min(self.budget, tokens)))


def token_scores(tokens: "Tensor", received: "Tensor") -> "Tensor":
    """Return importance less redundancy of each token, [F, n]; see `KeyTokens`.

    Args:
        tokens: [F, n, D].
        received: Attention that each receives, [F, n].
    """
    from torch.nn.functional import normalize

    alike = normalize(tokens.float(), dim=-1)
    total = (alike @ alike.transpose(1, 2)).sum(dim=-1) - 1  # less the token with itself
    redundancy = total / max(1, tokens.shape[1] - 1)
    importance = received.float() / received.float().amax(dim=1, keepdim=True)
    return importance.to(redundancy.device) - redundancy


def merge_alike(tokens: "Tensor", removed: int) -> "Tensor":
    """Merge the `removed` tokens of the first half that are most like one of the second half.

    Bipartite soft matching (ToMe, Bolya et al., arXiv 2210.09461) in DyTo's form: likeness is the
    cosine of the tokens' means over 16 parts of their width, and a merged token is the maximum of
    its parts. The rest keeps its order, where DyTo's follows likeness.

    Args:
        tokens: Tokens of one frame, [n, D].
        removed: At most n // 2.

    Returns:
        [n - removed, D].
    """
    from torch.nn.functional import normalize

    half, width = tokens.shape[0] // 2, tokens.shape[1]
    parts = HEADS if width % HEADS == 0 else 1
    metric = normalize(tokens.float().unflatten(1, (parts, -1)).mean(dim=1), dim=-1)
    likeness = metric[:half] @ metric[half:].T
    best, partner = likeness.max(dim=1)
    order = best.argsort(descending=True, stable=True)
    merged, rest = order[:removed], order[removed:].sort().values
    first, second = tokens[:half], tokens[half:]
    into = partner[merged][:, None].expand(-1, width)
    second = second.scatter_reduce(0, into, first[merged], reduce="amax")
    return _joined(first[rest], second)


def _joined(first: "Tensor", second: "Tensor") -> "Tensor":
    import torch

    return torch.cat([first, second])


def _described(frames: "Tensor") -> Vectors:
    """Return a vector of each frame, [T, D]: the mean of its tokens."""
    vectors: Vectors = frames.float().mean(dim=1).cpu().numpy()
    return vectors


def _filled(chosen: tuple[int, ...], count: int, total: int) -> list[int]:
    """Add the first frames not chosen yet, where equal frames made fewer clusters than planned."""
    rest = [frame for frame in range(total) if frame not in chosen]
    return sorted([*chosen, *rest[: count - len(chosen)]])
