"""Standard errors and intervals for questions that come in clusters, one a video.

Answers to questions about one video are correlated, so the error of a mean is that of its clusters
(Miller, "Adding Error Bars to Evals", arXiv 2411.00640, section 2.2), with the factor G / (G - 1)
for few clusters.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import sqrt

LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with its uncertainty.

    Attributes:
        mean: The mean.
        low: Lower end of the 95 % interval.
        high: Upper end.
        error: Standard error clustered by video; None with a single cluster, where it cannot be
            known, and the interval is that of independent questions.
        count: Number of values.
        clusters: Number of clusters.
    """

    mean: float
    low: float
    high: float
    error: float | None
    count: int
    clusters: int


def estimate(
    values: Sequence[float],
    clusters: Sequence[Hashable],
    strata: Sequence[Hashable] | None = None,
    bounds: tuple[float, float] = (0.0, 1.0),
) -> Estimate:
    """Return the mean of values with its clustered error and interval.

    Args:
        values: One for each question, at least one.
        clusters: The video of each.
        strata: With these, the mean over the means of the strata is returned.
        bounds: Least and largest possible value; an interval is cut there.
    """
    residuals, mean = _residuals(values, strata)
    sums: dict[Hashable, float] = {}
    for cluster, residual in zip(clusters, residuals, strict=True):
        sums[cluster] = sums.get(cluster, 0.0) + residual
    groups = len(sums)
    if groups > 1:
        error = sqrt(groups / (groups - 1) * sum(s * s for s in sums.values()))
        squared, freedom = error**2, groups - 1
    else:
        error = None
        squared, freedom = sum(r * r for r in residuals), len(values) - 1
    if set(values) <= {0.0, 1.0} and bounds == (0.0, 1.0):
        low, high = _wilson(mean, squared, freedom, groups if error is not None else len(values))
    else:
        half = _quantile(freedom) * sqrt(squared) if freedom else bounds[1] - bounds[0]
        low, high = mean - half, mean + half
    inside = (max(bounds[0], min(low, mean)), min(bounds[1], max(high, mean)))
    return Estimate(mean, *inside, error, len(values), groups)


def _residuals(
    values: Sequence[float], strata: Sequence[Hashable] | None
) -> tuple[list[float], float]:
    """Return each value's weighted distance from the mean of its stratum, and the mean."""
    names = strata or [0] * len(values)
    members: dict[Hashable, list[float]] = {}
    for value, name in zip(values, names, strict=True):
        members.setdefault(name, []).append(value)
    means = {name: sum(own) / len(own) for name, own in members.items()}
    weights = {name: 1 / (len(members) * len(own)) for name, own in members.items()}
    residuals = [weights[n] * (v - means[n]) for v, n in zip(values, names, strict=True)]
    return residuals, sum(means.values()) / len(means)


def _wilson(mean: float, squared: float, freedom: int, independent: int) -> tuple[float, float]:
    """Return Wilson's interval with the effective number of questions (Korn and Graubard, 1998).

    Where all answers agree the error is 0 and tells nothing; then only clusters are counted.
    """
    z = _quantile(None)
    size = mean * (1 - mean) / squared if squared else float(independent)
    if freedom:
        size *= (z / _quantile(freedom)) ** 2
    centre = (mean + z * z / (2 * size)) / (1 + z * z / size)
    half = z * sqrt(mean * (1 - mean) / size + z * z / (4 * size * size)) / (1 + z * z / size)
    return centre - half, centre + half


def _quantile(freedom: int | None) -> float:
    """Return the two-sided 95 % quantile of Student's t, or of the normal distribution."""
    from scipy import stats

    upper = (1 + LEVEL) / 2
    return float(stats.norm.ppf(upper) if freedom is None else stats.t.ppf(upper, freedom))
