"""VideoTree (Wang et al., arXiv 2405.19209): key frames for a question, from coarse to fine.

Widen: frames are clustered, and the number of clusters doubles until enough of them are relevant.
Then deepen: a cluster of some relevance is split once, a relevant one twice, and every part gives
the frame nearest to its centre. Numbers are those of the published code.

Ours: there a language model reads captions and gives relevance 1 to 3. Here it is the third of the
range of cosines between frames and question into which the cluster's centre frame falls, for which
no caption is needed; and the frames are bounded, the nearest to the question first.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from agent.frames.clustering import Vectors, k_means, members, nearest, ward

LEVELS = 3  # of relevance


@dataclass(frozen=True, slots=True)
class TreeRule:
    """The shape of a tree.

    Attributes:
        first: Clusters at first.
        widest: Clusters at most.
        relevant: Relevant clusters that are enough.
        branches: Parts into which a cluster is split.
    """

    first: int = 8
    widest: int = 32
    relevant: int = 4
    branches: int = 4


@dataclass(frozen=True, slots=True)
class FrameTree:
    """The frames of a tree, in time order, its clusters, and how many of them are relevant."""

    frames: tuple[int, ...]
    clusters: int
    relevant: int


def grow_tree(
    vectors: Vectors, cosines: Sequence[float], most: int, rule: TreeRule = TreeRule()
) -> FrameTree:
    """Return the key frames for a question.

    Args:
        vectors: One per frame, [frames, dimensions], in time order.
        cosines: Similarity of each frame with the question.
        most: Maximum number of frames.
        rule: The shape of the tree.
    """
    levels, count = relevance(cosines), rule.first
    while True:
        groups = members(k_means(vectors, count))
        centres = [nearest(vectors, group) for group in groups]
        relevant = sum(levels[centre] == LEVELS for centre in centres)
        if relevant >= rule.relevant or count >= min(rule.widest, len(vectors)):
            break
        count *= 2
    found = set(centres)
    for group, centre in zip(groups, centres, strict=True):
        found.update(
            nearest(vectors, leaf) for leaf in _leaves(vectors, group, levels[centre], rule)
        )
    best = sorted(found, key=lambda frame: (-cosines[frame], frame))[:most]
    return FrameTree(tuple(sorted(best)), len(groups), relevant)


def relevance(cosines: Sequence[float]) -> list[int]:
    """Return 1 to 3 for each frame: the third of the range in which its cosine lies.

    1 + floor(3 * (c - min) / (max - min)), at most 3; 1 where all are equal.
    """
    values = np.asarray(cosines, np.float64)
    low, high = values.min(), values.max()
    if high == low:
        return [1] * len(values)
    thirds = np.floor((LEVELS * (values - low) / (high - low)).round(6)).astype(int)
    return [min(LEVELS, 1 + int(third)) for third in thirds]


def _leaves(
    vectors: Vectors, group: Sequence[int], level: int, rule: TreeRule
) -> Iterator[Sequence[int]]:
    """Yield the parts of a cluster after level - 1 splits; one frame is not split."""
    if level == 1 or len(group) < 2:
        yield group
        return
    for part in members(ward(vectors[list(group)], rule.branches)):
        yield from _leaves(vectors, [group[place] for place in part], level - 1, rule)
