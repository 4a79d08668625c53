from math import sqrt

import numpy as np
import pytest

from agent.evaluation.clusters import estimate


def test_questions_of_their_own_videos_have_the_usual_error() -> None:
    values = [1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0]

    found = estimate(values, range(8))

    assert found.mean == 0.625
    assert found.error == pytest.approx(np.std(values, ddof=1) / sqrt(8))


def test_questions_that_go_together_count_as_one() -> None:
    values = [1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0]

    alone = estimate(values, range(8))
    five_times = estimate(values * 5, list(range(8)) * 5)

    assert five_times.error == pytest.approx(alone.error)
    assert (five_times.low, five_times.high) == pytest.approx((alone.low, alone.high))
    assert five_times.clusters == 8


def test_error_is_that_of_the_cluster_sums() -> None:
    values, videos = [1, 1, 0, 0, 1, 0], ["a", "a", "a", "b", "b", "c"]
    mean = 0.5
    sums = [0.5, 0.0, -0.5]  # of the residuals

    found = estimate([float(v) for v in values], videos)

    assert found.mean == mean
    assert found.error == pytest.approx(sqrt(3 / 2 * sum(s * s for s in sums)) / 6)


def test_mean_over_strata_weighs_each_the_same() -> None:
    values = [1.0] + [0.0] * 9
    strata = ["plot", *["count"] * 9]

    found = estimate(values, range(10), strata)

    assert found.mean == 0.5
    assert found.error == 0.0


def test_a_single_video_has_no_clustered_error_but_wilsons_interval() -> None:
    found = estimate([1.0] * 13 + [0.0] * 11, ["v"] * 24)

    assert found.error is None
    assert (found.low, found.high) == pytest.approx((0.35, 0.72), abs=0.02)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_all_alike_is_not_certainty(value: float) -> None:
    found = estimate([value] * 12, [n // 3 for n in range(12)])

    assert found.error == 0.0
    assert found.high - found.low > 0.4  # of four videos, not twelve questions


def test_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(7)
    covered = 0
    for _ in range(300):
        chances = rng.beta(2, 2, 20).repeat(5)  # videos differ in difficulty; the mean is 0.5
        values = (rng.random(100) < chances).astype(float)
        found = estimate(values.tolist(), np.arange(20).repeat(5).tolist())
        covered += found.low <= 0.5 <= found.high
    assert 0.91 <= covered / 300 <= 0.99


def test_differences_stay_within_their_bounds() -> None:
    found = estimate([1.0, 1.0, 0.0], ["a", "b", "c"], bounds=(-1.0, 1.0))

    assert found.mean == pytest.approx(2 / 3)
    assert found.low < 0
    assert found.high == 1.0
