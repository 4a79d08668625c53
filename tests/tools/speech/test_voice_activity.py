"""The voice gate: its arithmetic with a scripted detector, its model on real and made sound."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tools.media.audio import SAMPLE_RATE, AudioBlock, read_audio
from tools.media.video import probe
from tools.speech.voice_activity import (
    WINDOW,
    WINDOW_S,
    GateSettings,
    Samples,
    SoundSpan,
    VoiceDetector,
    plain_spans,
    speech_spans,
)


def scripted(samples: Samples) -> float:
    """A detector for sound that carries the probability of speech as its level."""
    return float(samples.mean())


def levels(*parts: tuple[float, float]) -> Samples:
    """Sound of (seconds, probability of speech)."""
    return np.concatenate(
        [np.full(round(seconds * SAMPLE_RATE), level, np.float32) for seconds, level in parts]
    )


def blocks(samples: Samples, block_s: float = 7.3, start_s: float = 0.0) -> Iterator[AudioBlock]:
    size = round(block_s * SAMPLE_RATE)
    for at in range(0, len(samples), size):
        yield AudioBlock(start_s + at / SAMPLE_RATE, samples[at : at + size])


def gate(samples: Samples, start_s: float = 0.0, **settings: float) -> list[SoundSpan]:
    return list(speech_spans(blocks(samples, start_s=start_s), scripted, GateSettings(**settings)))


def edges(spans: list[SoundSpan]) -> list[float]:
    return [edge for span in spans for edge in (span.start_s, span.end_s)]


def test_speech_is_padded_and_keeps_its_samples() -> None:
    samples = levels((3, 0), (2, 0.9), (4, 0))
    (span,) = gate(samples, pad_s=0.3)
    assert edges([span]) == pytest.approx([2.7, 5.3], abs=2 * WINDOW_S)
    first = round(span.start_s * SAMPLE_RATE)
    np.testing.assert_array_equal(span.samples, samples[first : first + len(span.samples)])


def test_times_count_from_the_first_block() -> None:
    (span,) = gate(levels((1, 0), (1, 0.9)), start_s=100.0)
    assert span.start_s == pytest.approx(100.5, abs=2 * WINDOW_S)


def test_close_bursts_stay_together_and_far_ones_part() -> None:
    sound = levels((1, 0), (1, 0.9), (1, 0), (1, 0.9), (3, 0), (1, 0.9), (2, 0))
    spans = gate(sound, join_s=1.5, pad_s=0.0)
    assert edges(spans) == pytest.approx([1, 4, 7, 8], abs=2 * WINDOW_S)


def test_hysteresis_begins_high_and_ends_low() -> None:
    assert gate(levels((1, 0), (3, 0.45), (1, 0))) == []
    (span,) = gate(levels((1, 0), (1, 0.9), (2, 0.45), (3, 0)), pad_s=0.0)
    assert edges([span]) == pytest.approx([1, 4], abs=2 * WINDOW_S)


def test_bursts_too_short_are_no_speech_however_many() -> None:
    blip = [(0.1, 0.99), (0.5, 0.0)]
    assert gate(levels(*blip * 60)) == []


def test_long_speech_is_cut_at_its_pause_and_nothing_is_lost() -> None:
    sound = levels((18, 0.9), (0.4, 0.2), (20, 0.9), (30, 0.9))
    spans = gate(sound, max_span_s=30, pad_s=0.3)
    assert spans[0].end_s == pytest.approx(18.2, abs=0.3)
    assert all(span.end_s - span.start_s <= 30 + WINDOW_S for span in spans)
    assert sum(len(span.samples) for span in spans) >= len(sound) - WINDOW
    for before, after in pairwise(spans):
        assert after.start_s >= before.end_s - 1e-6


def test_the_size_of_blocks_changes_nothing() -> None:
    sound = levels((2, 0), (1.7, 0.9), (4, 0), (40, 0.8), (0.3, 0.1))
    found = [
        edges(list(speech_spans(blocks(sound, block_s), scripted, GateSettings())))
        for block_s in (0.01, 1, 30, 100)
    ]
    assert all(other == found[0] for other in found)


def test_little_sound_is_held_at_a_time() -> None:
    given = 0.0

    def endless() -> Iterator[AudioBlock]:
        nonlocal given
        for number in range(60):
            given = number * 10.0
            yield AudioBlock(given, levels((9, 0.9), (1, 0)))

    for span in speech_spans(endless(), scripted, GateSettings(max_span_s=30)):
        assert given - span.end_s <= 30 + 10


def test_no_sound_and_less_than_a_window() -> None:
    assert gate(np.zeros(0, np.float32)) == []
    assert gate(np.zeros(WINDOW // 3, np.float32)) == []


def test_the_open_gate_passes_everything() -> None:
    sound = levels((65, 0.0))
    spans = list(plain_spans(blocks(sound), 30))
    assert [round(span.start_s) for span in spans] == [0, 30, 60]
    assert sum(len(span.samples) for span in spans) >= len(sound)


def test_the_detector_hears_a_real_voice_and_its_pauses(media: Path) -> None:
    video = probe(media / "jfk.flac")
    settings = GateSettings(join_s=0.4, pad_s=0.0)
    found = list(speech_spans(read_audio(video), VoiceDetector(), settings))
    # "And so my fellow Americans - ask not - what your country can do for you - ask what ..."
    assert edges(found) == pytest.approx([0.3, 2.2, 3.3, 4.4, 5.4, 7.7, 8.2, 10.6], abs=0.3)


def test_the_detector_hears_a_made_voice(babble: Callable[..., Samples]) -> None:
    pause = np.zeros(SAMPLE_RATE, np.float32)
    sound = np.concatenate([pause, babble(3, seed=1), *[pause] * 4, babble(2, seed=2), pause])
    found = list(speech_spans(blocks(sound), VoiceDetector(), GateSettings(pad_s=0.0)))
    assert edges(found) == pytest.approx([1, 4, 8, 10], abs=0.3)


@pytest.mark.parametrize("name", ["silence", "tone", "noise", "chord and drums", "chirps"])
def test_the_detector_passes_over_what_is_no_speech(name: str) -> None:
    sound = made_sound(name)
    assert list(speech_spans(blocks(sound), VoiceDetector(), GateSettings())) == []


def made_sound(name: str, seconds: float = 12.0) -> Samples:
    random = np.random.default_rng(7)
    t = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    chord = sum(
        np.sin(2 * np.pi * tone * part * t) / part
        for tone in (220, 277, 330)
        for part in range(1, 7)
    )
    drum = np.exp(-40 * (t % 0.5)) * random.standard_normal(len(t))
    sounds = {
        "silence": 0 * t,
        "tone": 0.5 * np.sin(2 * np.pi * 440 * t),
        "noise": 0.2 * random.standard_normal(len(t)),
        "chord and drums": 0.08 * chord + 0.4 * drum,
        "chirps": 0.4 * np.sin(2 * np.pi * (300 + 400 * (t % 1.0)) * t),
    }
    return np.clip(sounds[name], -1, 1).astype(np.float32)
