"""Clusters of frames, on vectors whose clusters can be seen with the naked eye."""

import numpy as np
import pytest

from agent.frames.clustering import in_time, k_means, key_frames, members, nearest
from agent.frames.relevance_tree import TreeRule, grow_tree, relevance


def at(*degrees: float) -> np.ndarray:
    """Directions in a plane."""
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def test_frames_that_look_alike_are_one_cluster_whatever_their_length() -> None:
    vectors = at(0, 90, 2, 88, 180) * np.array([[1.0], [5.0], [7.0], [0.5], [3.0]])
    assert members(k_means(vectors, 3)) == [[0, 2], [1, 3], [4]]


def test_the_frame_nearest_to_the_centre_stands_for_a_cluster() -> None:
    assert nearest(at(0, 10, 90, 24), [0, 1, 3]) == 1  # the centre is near 11 degrees
    assert nearest(at(0, 0, 90), [0, 1]) == 0


def test_key_frames_are_one_a_cluster_in_time_order() -> None:
    vectors = at(90, 0, 5, 95, 12, 84)
    assert key_frames(vectors, 2) == (0, 2)  # of 84, 90, 95 and of 0, 5, 12
    assert key_frames(vectors, 6) == (0, 1, 2, 3, 4, 5)
    assert key_frames(at(0, 0, 0), 2) == (0,)  # no more than there are different ones


def test_what_comes_back_later_is_another_cluster_in_time() -> None:
    """0 and 90 degrees in turn. Of equal distance in look, those far apart in time stay apart."""
    vectors = at(0, 0, 90, 90, 45, 45)
    assert members(in_time(vectors, 3)) == [[0, 1], [2, 3], [4, 5]]
    assert members(in_time(vectors, 6)) == [[number] for number in range(6)]
    # Distances (1 - cos) * |i - j| / 4 of 0, 80, 160, 84 degrees:
    # 0-1 .207, 0-2 .970, 0-3 .672, 1-2 .207, 1-3 .001, 2-3 .190. First 1 and 3, then 2 (mean .198)
    # before 0 (mean .439).
    assert members(in_time(at(0, 80, 160, 84), 2)) == [[0], [1, 2, 3]]
    assert members(in_time(at(30), 4)) == [[0]]


def test_relevance_is_the_third_of_the_range() -> None:
    assert relevance([0.1, 0.2, 0.3, 0.4]) == [1, 2, 3, 3]
    assert relevance([-1.0, -0.4, 0.2, 0.5]) == [1, 2, 3, 3]
    assert relevance([0.2, 0.2]) == [1, 1]


def test_a_tree_is_deep_only_where_it_is_relevant() -> None:
    """Three clusters: 0-3 irrelevant, 4-7 in between, 8-11 relevant."""
    vectors = at(0, 1, 2, 4, 90, 91, 95, 97, 180, 181, 185, 186)
    cosines = [0.0, 0.0, 0.0, 0.0, 0.5, 0.5, 0.5, 0.5, 0.9, 0.9, 0.9, 0.9]
    rule = TreeRule(first=3, widest=3, relevant=1, branches=2)
    tree = grow_tree(vectors, cosines, most=12, rule=rule)
    assert (tree.clusters, tree.relevant) == (3, 1)
    # One frame of the first, at 2 degrees, for the mean is 1.75. Of the second its centre, 95, and
    # one of each half, 90-91 and 95-97. Of the third every frame, for its halves are split again.
    assert tree.frames == (2, 4, 6, 8, 9, 10, 11)


def test_a_tree_widens_until_enough_is_relevant() -> None:
    vectors = at(*range(0, 160, 10))
    cosines = [0.0] * 12 + [1.0] * 4
    rule = TreeRule(first=2, widest=8, relevant=2, branches=2)
    tree = grow_tree(vectors, cosines, most=16, rule=rule)
    assert tree.clusters == 8  # 2 and 4 clusters have at most one that is relevant
    assert tree.relevant == 2
    assert {13, 14, 15} <= set(tree.frames)  # their clusters are split down to single frames
    narrow = TreeRule(first=2, widest=2, relevant=2, branches=2)
    assert grow_tree(vectors, cosines, 16, narrow).clusters == 2


def test_of_too_many_frames_the_nearest_to_the_question_are_kept() -> None:
    vectors, cosines = at(*range(0, 160, 10)), np.linspace(0, 1, 16).tolist()
    tree = grow_tree(vectors, cosines, most=3)
    assert len(tree.frames) == 3
    every = grow_tree(vectors, cosines, most=16).frames
    assert tree.frames == every[-3:]


def test_one_frame_is_a_tree() -> None:
    assert grow_tree(at(10), [0.3], most=4).frames == (0,)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_same_vectors_give_the_same_frames(seed: int) -> None:
    vectors = np.random.default_rng(seed).normal(size=(60, 8))
    cosines = vectors[:, 0].tolist()
    assert grow_tree(vectors, cosines, 12) == grow_tree(vectors.copy(), cosines, 12)
    assert key_frames(vectors, 6) == key_frames(vectors.copy(), 6)
