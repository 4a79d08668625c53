"""A synthetic voice, for tests that need speech, and the checkpoint of a stopped run."""

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

Samples = npt.NDArray[np.float32]  # [n], 16 kHz

RATE = 16_000
SYLLABLE_S = 0.22
# First three formants in Hz of the vowels in "father", "see", "bed", "law", "too" and "had"
# (Peterson and Barney, 1952).
VOWELS = np.array(
    [
        (730, 1090, 2440),
        (270, 2290, 3010),
        (530, 1840, 2480),
        (570, 840, 2410),
        (300, 870, 2240),
        (660, 1720, 2410),
    ]
)


def _babble(seconds: float, seed: int = 0) -> Samples:
    t = np.arange(round(seconds * RATE)) / RATE
    steps = np.arange(round(seconds / SYLLABLE_S) + 2)
    vowels = VOWELS[np.random.default_rng(seed).integers(0, len(VOWELS), len(steps))]
    formants = [np.interp(t, steps * SYLLABLE_S, vowels[:, n]) for n in range(3)]
    pitch = 120 + 20 * np.sin(2 * np.pi * 0.7 * t) + 10 * np.sin(2 * np.pi * 2.3 * t)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    sound = np.zeros(len(t))
    for harmonic in range(1, 33):
        tone = harmonic * pitch
        gain = sum(
            peak / (1 + ((tone - formant) / width) ** 2)
            for formant, peak, width in zip(formants, (1, 0.5, 0.25), (80, 100, 140), strict=True)
        )
        sound += gain * np.sin(harmonic * phase) * harmonic**-0.3
    sound *= np.clip(0.6 + 0.5 * np.sin(2 * np.pi * t / SYLLABLE_S), 0, 1)
    return (0.5 * sound / np.abs(sound).max()).astype(np.float32)


@pytest.fixture(scope="session")
def babble() -> Callable[..., Samples]:
    """`babble(seconds, seed)`: vowels that a voice detector takes for speech."""
    return _babble


@pytest.fixture
def kept() -> SimpleNamespace:
    """`kept.keep` checkpoints a run's work in `kept.pieces`, `kept.recall` only reads it back."""
    pieces: dict[str, Any] = {}

    def keep(name: str, work: Callable[[], Any]) -> Any:
        assert name not in pieces
        pieces[name] = json.loads(json.dumps(work()))
        return recall(name, work)

    def recall(name: str, work: Callable[[], Any]) -> Any:
        return json.loads(json.dumps(pieces[name]))

    return SimpleNamespace(pieces=pieces, keep=keep, recall=recall)
