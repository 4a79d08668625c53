"""Clusters of a video's frames, and the frames that stand for them; plain arrays, no model.

The same vectors always give the same clusters.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.floating[Any]]  # [frames, dimensions], in time order
Labels = npt.NDArray[np.int64]  # [frames]


def k_means(vectors: Vectors, count: int) -> Labels:
    """Return the cluster of each frame: k-means on directions, so that distance is by cosine.

    Args:
        vectors: One per frame; its length does not count.
        count: Clusters; fewer where there are fewer different frames.
    """
    from sklearn.cluster import KMeans

    points = directions(vectors)
    different = len(np.unique(points, axis=0))
    found = KMeans(min(count, different), n_init=10, random_state=0).fit_predict(points)
    return np.asarray(found, np.int64)


def ward(vectors: Vectors, count: int) -> Labels:
    """Return the cluster of each frame: Ward's hierarchy, cut at `count` clusters."""
    from sklearn.cluster import AgglomerativeClustering

    hierarchy = AgglomerativeClustering(n_clusters=min(count, len(vectors)))
    return np.asarray(hierarchy.fit_predict(directions(vectors)), np.int64)


def in_time(vectors: Vectors, count: int) -> Labels:
    """Return the cluster of each frame: a hierarchy of what looks alike and is close in time.

    The distance of two frames of T is that of DyTo (Zhang et al., arXiv 2411.14401):
    (1 - cos(v_i, v_j)) * |i - j| / T. Clusters with the least mean distance are joined until
    `count` are left; DyTo joins nearest neighbours (FINCH), which sets the number itself.
    """
    from sklearn.cluster import AgglomerativeClustering

    total = len(vectors)
    if total < 2:
        return np.zeros(total, np.int64)
    points, places = directions(vectors), np.arange(total)
    unlike = np.clip(1 - points @ points.T, 0, None)
    distances = unlike * np.abs(places[:, None] - places) / total
    hierarchy = AgglomerativeClustering(
        n_clusters=min(count, total), metric="precomputed", linkage="average"
    )
    return np.asarray(hierarchy.fit_predict(distances), np.int64)


def members(labels: Labels) -> list[list[int]]:
    """Return the frames of each cluster, ascending, clusters by their first frame."""
    found = [np.flatnonzero(labels == label).tolist() for label in np.unique(labels)]
    return sorted(found)


def nearest(vectors: Vectors, frames: Sequence[int]) -> int:
    """Return the frame of a cluster that is nearest to its centre; of equals the earliest."""
    points = directions(vectors)[list(frames)]
    distances = np.linalg.norm(points - points.mean(axis=0), axis=1)
    return frames[int(distances.round(9).argmin())]


def key_frames(vectors: Vectors, count: int) -> tuple[int, ...]:
    """Return the frame nearest to the centre of each of `count` clusters, in time order.

    The first stage of KTV (Song et al., arXiv 2602.03615): diverse frames, whatever is asked.
    """
    groups = members(k_means(vectors, count))
    return tuple(sorted(nearest(vectors, group) for group in groups))


def directions(vectors: Vectors) -> Vectors:
    """Return vectors of length 1; a zero vector stays."""
    points = np.asarray(vectors, np.float64)
    lengths = np.linalg.norm(points, axis=1, keepdims=True)
    return np.asarray(points / np.where(lengths == 0, 1, lengths))
