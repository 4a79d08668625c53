"""Voice activity detection (VAD): which parts of the audio are passed to a speech recogniser.

Recognisers hallucinate words in music and noise, so they get speech alone. The detector is
silero-vad with the weights in its wheel, run by onnxruntime. (Importing the package itself would
load torch.)
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tools.errors import MissingError
from tools.media.audio import SAMPLE_RATE, AudioBlock

Samples = npt.NDArray[np.float32]  # [n], in [-1, 1]

WINDOW = 512
"""Samples per call of the detector, 32 ms: fixed by the model (silero-vad 5 and later)."""

WINDOW_S = WINDOW / SAMPLE_RATE
_CONTEXT = 64  # samples of the previous window that the model expects before each window
_DIP_WINDOWS = 8  # cut where speech is least probable over about 0.25 s


@dataclass(frozen=True, slots=True)
class GateSettings:
    """When audio counts as speech. Lengths are in seconds.

    Attributes:
        threshold: Probability from which speech begins; it lasts until the probability stays
            0.15 lower (silero-vad's own hysteresis).
        min_speech_s: Shorter bursts are not speech.
        min_pause_s: Shorter pauses do not end a burst.
        join_s: Bursts closer than this are merged: recognisers need context.
        pad_s: Padding before and after speech.
        max_span_s: Longer speech is cut at its deepest pause.
    """

    threshold: float = 0.5
    min_speech_s: float = 0.25
    min_pause_s: float = 0.1
    join_s: float = 1.5
    pad_s: float = 0.5
    max_span_s: float = 30.0

    @property
    def release(self) -> float:
        """Probability below which speech ends."""
        return max(self.threshold - 0.15, 0.01)


@dataclass(frozen=True, slots=True)
class SoundSpan:
    """A span of audio to be recognised, and its start in the video."""

    start_s: float
    samples: Samples

    @property
    def end_s(self) -> float:
        """Where it ends, in seconds."""
        return self.start_s + len(self.samples) / SAMPLE_RATE


class VoiceDetector:
    """silero-vad, stateful over consecutive windows: use a new one per audio track."""

    def __init__(self) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # 0.2 ms of work per window: more threads only wait
        options.inter_op_num_threads = 1
        self._session: Any = onnxruntime.InferenceSession(
            str(silero_weights()), options, providers=["CPUExecutionProvider"]
        )
        self._rate = np.array(SAMPLE_RATE, np.int64)
        self._state = np.zeros((2, 1, 128), np.float32)
        self._context = np.zeros(_CONTEXT, np.float32)

    def __call__(self, window: Samples) -> float:
        """Return the probability that this window is speech, given all windows before it."""
        heard = np.concatenate([self._context, window])[None]
        probability, self._state = self._session.run(
            None, {"input": heard, "state": self._state, "sr": self._rate}
        )
        self._context = window[-_CONTEXT:]
        return float(probability[0, 0])


def silero_weights() -> Path:
    """Return the detector's weights inside the silero-vad wheel.

    Raises:
        MissingError: The package is not installed or holds no such file.
    """
    spec = find_spec("silero_vad")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / "data" / "silero_vad.onnx"
        if path.is_file():
            return path
    raise MissingError("silero-vad's weights are missing: pip install 'silero-vad>=6.2'")


def speech_spans(
    blocks: Iterable[AudioBlock],
    detector: Callable[[Samples], float],
    settings: GateSettings,
) -> Iterator[SoundSpan]:
    """Yield the spans of speech in time order; at most one of them is in memory.

    Args:
        blocks: Gapless audio, 16 kHz mono.
        detector: Returns the speech probability of each window of 512 samples in turn.
        settings: What counts as speech.
    """
    before: deque[_Heard] = deque(maxlen=max(1, round(settings.pad_s / WINDOW_S)))
    group: list[_Heard] = []
    quiet = 0
    for window in _windows(blocks):
        heard = _Heard(window, detector(window.samples))
        if not group and heard.speech < settings.threshold:
            before.append(heard)
            continue
        if not group:
            group, quiet = list(before), 0
        group.append(heard)
        quiet = 0 if heard.speech >= settings.release else quiet + 1
        if quiet * WINDOW_S >= settings.join_s:
            yield from _speech_of(group, settings)
            before.extend(group)
            group = []
        elif len(group) * WINDOW_S >= settings.max_span_s:
            at = _deepest_pause(group)
            yield from _speech_of(group[:at], settings)
            group = group[at:]
    yield from _speech_of(group, settings)


def plain_spans(blocks: Iterable[AudioBlock], length_s: float) -> Iterator[SoundSpan]:
    """Yield all of the audio in spans of about the same length, without VAD."""
    count = max(1, round(length_s / WINDOW_S))
    held: list[SoundSpan] = []
    for window in _windows(blocks):
        held.append(window)
        if len(held) == count:
            yield _joined(held)
            held = []
    if held:
        yield _joined(held)


class _Heard(NamedTuple):
    span: SoundSpan
    speech: float


class _Burst(NamedTuple):
    first: int
    last: int  # exclusive


def _windows(blocks: Iterable[AudioBlock]) -> Iterator[SoundSpan]:
    """Cut blocks of any length into windows; the last one is zero-padded."""
    rest = np.zeros(0, np.float32)
    origin_s: float | None = None
    done = 0  # samples yielded: summing up seconds would drift
    for block in blocks:
        origin_s = block.start_s if origin_s is None else origin_s
        rest = np.concatenate([rest, block.samples])
        while len(rest) >= WINDOW:
            yield SoundSpan(origin_s + done / SAMPLE_RATE, rest[:WINDOW])
            rest = rest[WINDOW:]
            done += WINDOW
    if len(rest) and origin_s is not None:
        yield SoundSpan(origin_s + done / SAMPLE_RATE, np.pad(rest, (0, WINDOW - len(rest))))


def _bursts(speech: list[float], settings: GateSettings) -> list[_Burst]:
    """Return the bursts of speech among the probabilities of consecutive windows."""
    pause = max(1, round(settings.min_pause_s / WINDOW_S))
    found: list[_Burst] = []
    first = last = -1
    for at, probability in enumerate([*speech, *[0.0] * pause]):
        if probability >= (settings.threshold if first < 0 else settings.release):
            first, last = (at if first < 0 else first), at + 1
        elif first >= 0 and at + 1 - last >= pause:
            found.append(_Burst(first, last))
            first = -1
    return [b for b in found if (b.last - b.first) * WINDOW_S >= settings.min_speech_s]


def _speech_of(group: list[_Heard], settings: GateSettings) -> Iterator[SoundSpan]:
    """Yield the group from its first to its last burst, padded, if there is one at all."""
    bursts = _bursts([heard.speech for heard in group], settings)
    if bursts:
        pad = round(settings.pad_s / WINDOW_S)
        first = max(bursts[0].first - pad, 0)
        yield _joined([heard.span for heard in group[first : bursts[-1].last + pad]])


def _deepest_pause(group: list[_Heard]) -> int:
    """Return where, in the second half, speech is least probable for about a quarter second."""
    half = len(group) // 2
    later = np.array([heard.speech for heard in group[half:]])
    kernel = np.ones(_DIP_WINDOWS) / _DIP_WINDOWS
    return half + int(np.argmin(np.convolve(later, kernel, "valid"))) + _DIP_WINDOWS // 2


def _joined(spans: list[SoundSpan]) -> SoundSpan:
    return SoundSpan(spans[0].start_s, np.concatenate([span.samples for span in spans]))
