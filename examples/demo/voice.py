"""Speak the lines with eSpeak NG, and play the sounds between them."""

import io
import shutil
import subprocess
import wave
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import yaml

RATE_HZ = 16_000
Sound = npt.NDArray[np.float32]


def speak(text: str, voice: str, script: Path) -> Sound:
    """Synthesise one line as mono samples in -1..1 at RATE_HZ.

    Raises:
        RuntimeError: when the speech synthesiser is not installed.
    """
    program = shutil.which("espeak-ng")
    if program is None:
        raise RuntimeError(
            "The program espeak-ng was not found; it speaks the narration. Install it "
            "(Debian, Ubuntu: apt install espeak-ng). It is needed only to rebuild tour.mp4."
        )
    settings = yaml.safe_load(script.read_text(encoding="utf-8"))
    who, tempo = settings["voices"][voice], settings["defaults"]["tempo"]
    command = [program, "-v", who["voice"], "-p", str(who["pitch"]), "-s", str(tempo), "--stdout"]
    done = subprocess.run([*command, text], check=True, capture_output=True)
    return _trimmed(_resampled(done.stdout))


def _resampled(wav: bytes) -> Sound:
    # The header of a piped WAV states no true length: read what is there.
    with wave.open(io.BytesIO(wav)) as reader:
        rate = reader.getframerate()
        samples = np.frombuffer(reader.readframes(len(wav)), np.int16)
    frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
    frame.sample_rate = rate
    resampler = av.AudioResampler("s16", "mono", RATE_HZ)
    parts = [*resampler.resample(frame), *resampler.resample(None)]
    joined = np.concatenate([part.to_ndarray()[0] for part in parts])
    return joined.astype(np.float32) / 32768


def _trimmed(samples: Sound, quiet: float = 0.004) -> Sound:
    loud = np.flatnonzero(np.abs(samples) > quiet)
    return samples[loud[0] : loud[-1] + 1]


def play(name: str, seconds: float) -> Sound:
    """Make the named background sound, faded in and out."""
    t = np.arange(int(seconds * RATE_HZ), dtype=np.float32) / RATE_HZ
    sound = SOUNDS[name](t)
    ramp = np.minimum(1, np.minimum(t, t[-1] - t) / min(0.6, seconds / 4))
    return (sound * ramp).astype(np.float32)


def _pluck(t: Sound, at_s: float, hertz: float, decay: float = 2.2, level: float = 0.16) -> Sound:
    """Strike a soft bar of a marimba."""
    since = t - at_s
    ring = np.exp(-decay * np.maximum(since, 0)) * (since >= 0)
    tone = np.sin(2 * np.pi * hertz * since) + 0.25 * np.sin(2 * np.pi * 4 * hertz * since) * ring
    return (level * ring * tone * np.minimum(1, np.maximum(since, 0) / 0.008)).astype(np.float32)


def _tune(t: Sound, notes: str, beat_s: float) -> Sound:
    """Play notes given as half tones above A3, one a beat; a dot is a rest."""
    sound = np.zeros_like(t)
    for number, note in enumerate(notes.split() * 8):
        at_s = number * beat_s
        if at_s > t[-1] - 1:
            break
        if note != ".":
            sound += _pluck(t, at_s, 220 * 2 ** (int(note) / 12))
    return sound


def _theme(t: Sound) -> Sound:
    bass = _tune(t, "-12 . . . -7 . . . -9 . . . -5 . . .", 0.42)
    return bass + _tune(t, "3 7 10 7 5 8 12 8 0 3 7 3 2 5 7 10", 0.42)


def _sailing(t: Sound) -> Sound:
    engine = 0.02 * np.sin(2 * np.pi * 62 * t) * (1 + 0.4 * np.sin(2 * np.pi * 2.5 * t))
    return _tune(t, "0 . 7 . 5 . 3 . -2 . 3 . 5 . 2 .", 0.36) * 0.8 + engine.astype(np.float32)


def _journey(t: Sound) -> Sound:
    return _tune(t, "0 3 5 7 . 5 3 . -2 0 3 5 . 3 0 .", 0.4) * 0.7


def _ticking(t: Sound) -> Sound:
    sound = np.zeros_like(t)
    for number in range(int(t[-1])):
        sound += _pluck(t, number + 0.4, 900 if number % 2 else 700, decay=45, level=0.5)
    return sound


def _rain(t: Sound) -> Sound:
    hiss = np.random.default_rng(7).standard_normal(t.size)
    return (0.008 * np.convolve(hiss, np.ones(5) / 5, "same")).astype(np.float32)


def _trams(t: Sound) -> Sound:
    sound = _rain(t)
    for passing, bells in TRAM_BELLS:
        for bell in range(bells):
            sound += _pluck(t, passing + 0.5 * bell, 1320, decay=4, level=0.12)
    return sound


def _creak(t: Sound) -> Sound:
    return sum(
        (_pluck(t, 0.3 + turn, 160 + 30 * (turn % 2), decay=9, level=0.12) for turn in range(4)),
        np.zeros_like(t),
    )


def _foghorn(t: Sound) -> Sound:
    on = ((t > 0.5) & (t < 3.6)).astype(np.float32)
    smooth = np.convolve(on, np.ones(1600) / 1600, "same")
    return (
        smooth * 0.16 * (np.sin(2 * np.pi * 98 * t) + 0.5 * np.sin(2 * np.pi * 147 * t))
    ).astype(np.float32)


def _kettle(t: Sound) -> Sound:
    rising = np.clip((t - 0.3) / 2, 0, 1) * (t < t[-1] - 0.5)
    wobble = 1500 * t + 2.0 * np.sin(2 * np.pi * 5 * t)
    return (0.05 * rising * np.sin(2 * np.pi * wobble)).astype(np.float32)


def _hoisting(t: Sound) -> Sound:
    sound = np.zeros_like(t)
    for flag in range(4):
        for step, note in enumerate((0, 4, 7)):
            sound += _pluck(t, 1.5 + 4.5 * flag + 0.3 * step, 330 * 2 ** (note / 12))
    return sound


# Seconds into the quiet of the courtyard scene, and how often the driver rings.
TRAM_BELLS = ((1.5, 2), (9.5, 1), (17.5, 1))
SOUNDS = {
    "theme": _theme,
    "sailing": _sailing,
    "journey": _journey,
    "ticking": _ticking,
    "rain": _rain,
    "trams": _trams,
    "creak": _creak,
    "foghorn": _foghorn,
    "kettle": _kettle,
    "hoisting": _hoisting,
}
