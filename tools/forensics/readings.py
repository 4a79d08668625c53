"""Readings in one form: rounded values, and a card that says them with their units."""

from collections.abc import Mapping, Sequence

import numpy as np

from tools.forensics.clip import Clip
from tools.forensics.measurement import Reading, View

UNITS = {
    "px": "px",
    "deg": "degrees",
    "levels": "grey levels of 255",
    "s": "s",
    "fps": "fps",
    "kbps": "kbit/s",
}
"""Units by the last part of a value's name."""

DIGITS = 5  # significant ones of a value; a card says three


def measured(
    clip: Clip, meaning: str, values: Mapping[str, float], view: View | None = None
) -> Reading:
    """Return a reading that counts; the card names the frames to which it applies.

    Raises:
        ValueError: A value is not finite.
    """
    if unusable := [name for name, value in values.items() if not np.isfinite(value)]:
        raise ValueError(f"not finite: {', '.join(unusable)}")
    numbers = {name: float(f"{value:.{DIGITS}g}") for name, value in values.items()}
    said = ", ".join(say(name, value) for name, value in numbers.items())
    card = f"{meaning}: {said}.\nApplies to {clip.described}."
    return Reading("ok", numbers, card, view)


def not_applicable(why: str, values: Mapping[str, float]) -> Reading:
    """Return the reading of a clip that does not allow a measurement."""
    return Reading("not_applicable", dict(values), f"Not applicable: {why}.")


def say(name: str, value: float) -> str:
    """Return "mean 1.23 px" for ("mean_px", 1.234)."""
    *words, last = name.split("_")
    if last in UNITS and words:
        return f"{' '.join(words)} {value:.3g} {UNITS[last]}"
    return f"{name.replace('_', ' ')} {value:.3g}"


def jitter(series: Sequence[float] | np.ndarray) -> dict[str, float]:
    """Return {"jitter": standard deviation of the second difference}, {} for under 4 values."""
    if len(series) < 4:
        return {}
    return {"jitter": float(np.diff(np.asarray(series, float), n=2).std())}
