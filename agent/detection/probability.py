"""A calibrated probability from the model's self-reported confidence: Platt or isotonic.

It needs a held-out split of at least 100 clips of each class; without one no number is shown.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from agent.detection.task import INCONCLUSIVE

MIN_HELD_OUT = 100  # clips of each class
ISOTONIC_FROM = 1000  # clips in all; below, isotonic regression follows the noise


class Probability(BaseModel):
    """A monotone map from a signed confidence to the probability of the positive label.

    Attributes:
        method: platt or isotonic.
        knots: Signed confidences, ascending.
        values: The probability at each knot; linear between them.
        positives: Positive clips of the held-out split.
        negatives: Negative clips of it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: Literal["platt", "isotonic"]
    knots: tuple[float, ...]
    values: tuple[float, ...]
    positives: int
    negatives: int

    def of(self, label: str, confidence: float, positive: str) -> float:
        """Return the probability that a clip with this verdict is positive."""
        return float(np.interp(signed(label, confidence, positive), self.knots, self.values))


def signed(label: str, confidence: float, positive: str) -> float:
    """Return a confidence as a score from 0 (surely negative) to 1; 0.5 if inconclusive."""
    if label == INCONCLUSIVE:
        return 0.5
    return confidence if label == positive else 1 - confidence


def fit_probability(scores: Sequence[float], truths: Sequence[bool]) -> Probability | None:
    """Fit the map on a held-out split; None when a class has too few clips or it would fall.

    Args:
        scores: Signed confidence of each clip.
        truths: Whether it is positive.
    """
    positives, negatives = sum(truths), len(truths) - sum(truths)
    if min(positives, negatives) < MIN_HELD_OUT:
        return None
    x, y = np.asarray(scores, float), np.asarray(truths, int)
    if len(truths) >= ISOTONIC_FROM:
        knots, values = _isotonic(x, y)
        method: Literal["platt", "isotonic"] = "isotonic"
    else:
        knots, values = _platt(x, y)
        method = "platt"
    if values[-1] < values[0]:  # the model's confidence points the wrong way
        return None
    return Probability(
        method=method,
        knots=tuple(knots),
        values=tuple(values),
        positives=positives,
        negatives=negatives,
    )


def _isotonic(x: "np.ndarray", y: "np.ndarray") -> tuple[list[float], list[float]]:
    from sklearn.isotonic import IsotonicRegression

    fitted = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(x, y)
    return fitted.X_thresholds_.tolist(), fitted.y_thresholds_.tolist()


def _platt(x: "np.ndarray", y: "np.ndarray") -> tuple[list[float], list[float]]:
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression().fit(x[:, None], y)
    knots = np.linspace(0, 1, 101)
    return knots.tolist(), fitted.predict_proba(knots[:, None])[:, 1].tolist()
