"""The exact arithmetic of selection and evaluation.

Selection scores are our own (LAVID's S_Tool is unknown to us): change of balanced accuracy, an
exact McNemar test, Holm's adjustment, and a part for the model's own opinion.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb, sqrt
from typing import Any

import numpy as np

from agent.detection.task import INCONCLUSIVE

OBJECTIVE = 0.75  # weight of the measured part of a score
FULL_GAIN = 0.10  # change of balanced accuracy that counts in full
ALPHA = 0.10
MAX_RECALL_LOSS = 0.05


@dataclass(frozen=True, slots=True)
class Changes:
    """What a tool changes: clips fixed and broken, by class, and the size of each class."""

    fixed_positive: int
    broken_positive: int
    positives: int
    fixed_negative: int
    broken_negative: int
    negatives: int

    @property
    def delta(self) -> float:
        """Change of balanced accuracy."""
        positive = (self.fixed_positive - self.broken_positive) / self.positives
        negative = (self.fixed_negative - self.broken_negative) / self.negatives
        return (positive + negative) / 2

    @property
    def p(self) -> float:
        """Exact one-sided McNemar: the probability of so many fixed by chance."""
        fixed = self.fixed_positive + self.fixed_negative
        return mcnemar(fixed, self.broken_positive + self.broken_negative)

    @property
    def worst_recall_loss(self) -> float:
        """Largest fall of a class's recall; 0 if none falls."""
        return max(
            0.0,
            (self.broken_positive - self.fixed_positive) / self.positives,
            (self.broken_negative - self.fixed_negative) / self.negatives,
        )


def changes(
    truths: Sequence[bool], before: Sequence[bool], after: Sequence[bool]
) -> Changes | None:
    """Count what changes between two runs; None without clips of both classes.

    Args:
        truths: Whether each clip is positive.
        before: Whether it was right without the tool; abstained is wrong.
        after: Whether it was right with it.
    """
    counts = {(truth, fixed): 0 for truth in (True, False) for fixed in (True, False)}
    for truth, old, new in zip(truths, before, after, strict=True):
        if old != new:
            counts[truth, new] += 1
    positives = sum(truths)
    negatives = len(truths) - positives
    if not positives or not negatives:
        return None
    return Changes(
        *(counts[True, True], counts[True, False], positives),
        *(counts[False, True], counts[False, False], negatives),
    )


def mcnemar(fixed: int, broken: int) -> float:
    """Return P(Bin(fixed + broken, 1/2) >= fixed); 1 where nothing changed."""
    total = fixed + broken
    return float(sum(comb(total, k) for k in range(fixed, total + 1)) / 2**total)


def holm(ps: Mapping[str, float]) -> dict[str, float]:
    """Return Holm's adjusted p-values (step-down Bonferroni)."""
    adjusted, largest = {}, 0.0
    for rank, name in enumerate(sorted(ps, key=lambda name: ps[name])):
        largest = max(largest, min(1.0, (len(ps) - rank) * ps[name]))
        adjusted[name] = largest
    return adjusted


def tool_score(delta: float, usefulness: float) -> float:
    """Return S = a clip(delta / 0.10, -1, 1) + (1 - a) (2 u - 1), a = 0.75.

    Args:
        delta: Change of balanced accuracy.
        usefulness: The model's mean rating as a share, 0 to 1.
    """
    objective = min(1.0, max(-1.0, delta / FULL_GAIN))
    return OBJECTIVE * objective + (1 - OBJECTIVE) * (2 * usefulness - 1)


def eligible(change: Changes | None, p_holm: float, canary_delta: float) -> str:
    """Return why a tool is not eligible, "" if it is."""
    if change is None:
        return "no data"
    if change.delta <= 0:
        return "no gain"
    if p_holm > ALPHA:
        return f"the gain may be chance (adjusted p {p_holm:.3g})"
    if change.worst_recall_loss > MAX_RECALL_LOSS:
        return "a class's recall falls by more than 5 points"
    if canary_delta >= change.delta:
        return "the canary gains as much"
    return ""


def wilson(hits: int, total: int, z: float = 1.96) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share; (0, 1) without a trial."""
    if not total:
        return 0.0, 1.0
    share, square = hits / total, z * z / total
    middle = (share + square / 2) / (1 + square)
    half = z / (1 + square) * sqrt(share * (1 - share) / total + square / (4 * total))
    return max(0.0, middle - half), min(1.0, middle + half)


def metric_block(
    truths: Sequence[bool], labels: Sequence[str], positive: str, draws: int = 1000
) -> dict[str, Any]:
    """Return the metrics of a set of verdicts; inconclusive is wrong, never left out.

    Args:
        truths: Whether each clip is positive.
        labels: The verdicts.
        positive: The positive label.
        draws: Of the bootstrap, which is seeded.
    """
    truth = np.asarray(truths, bool)
    said = np.asarray([label == positive for label in labels], bool)
    none = np.asarray([label == INCONCLUSIVE for label in labels], bool)
    block: dict[str, Any] = {k: round(v, 4) for k, v in _rates(truth, said, none).items()}
    hits = int((truth & said).sum())
    cleared = int((~truth & ~said & ~none).sum())
    block["sensitivity_95"] = _rounded(wilson(hits, int(truth.sum())))
    block["specificity_95"] = _rounded(wilson(cleared, int((~truth).sum())))
    generator = np.random.default_rng(0)
    picks = generator.integers(0, len(truth), (draws, len(truth)))
    drawn = [_rates(truth[pick], said[pick], none[pick]) for pick in picks]
    for name in ("balanced_accuracy", "f1_positive"):
        block[f"{name}_95"] = _rounded(np.quantile([d[name] for d in drawn], [0.025, 0.975]))
    return {"clips": len(truth), **block}


def _rates(truth: Any, said: Any, none: Any) -> dict[str, float]:
    cleared = ~said & ~none
    sensitivity = _share(truth & said, truth)
    specificity = _share(~truth & cleared, ~truth)
    positive = _f1(truth, said)
    negative = _f1(~truth, cleared)
    return {
        "balanced_accuracy": (sensitivity + specificity) / 2,
        "sensitivity": sensitivity,
        "specificity": specificity,
        "f1_positive": positive,
        "f1_negative": negative,
        "macro_f1": (positive + negative) / 2,
        "coverage": float(1 - none.mean()) if len(none) else 0.0,
    }


def _f1(truth: Any, said: Any) -> float:
    total = int(truth.sum() + said.sum())
    return 2 * int((truth & said).sum()) / total if total else 0.0


def _share(part: Any, whole: Any) -> float:
    return int(part.sum()) / int(whole.sum()) if whole.any() else 0.0


def _rounded(pair: Any) -> list[float]:
    return [round(float(x), 4) for x in pair]


def canary_accuracy(features: Sequence[Sequence[float]], truths: Sequence[bool]) -> float | None:
    """Return the cross-validated balanced accuracy of area, frame rate and bit rate alone.

    None with fewer than five clips of a class.
    """
    fewest = min(sum(truths), len(truths) - sum(truths))
    if fewest < 5:
        return None
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression())
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    x, y = np.asarray(features, float), np.asarray(truths, int)
    return float(cross_val_score(model, x, y, cv=folds, scoring="balanced_accuracy").mean())


def precision_at(sensitivity: float, specificity: float, prevalence: float) -> float:
    """Return the share of alarms that are right where so many clips are positive."""
    right = sensitivity * prevalence
    wrong = (1 - specificity) * (1 - prevalence)
    return right / (right + wrong) if right + wrong else 0.0
