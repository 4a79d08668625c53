"""Speech recognition with Whisper models in CTranslate2 format, run by faster-whisper.

Decoding is a beam search at temperature 0. Whisper's usual retries at higher temperatures sample,
and CTranslate2 cannot be seeded anew between spans: results would depend on what was heard before.
Spans are decoded one by one: on two cores, batches of four and eight took as much processor time.
"""

import ctypes
import math
import os
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tools.base import ToolRuntime
from tools.errors import InputError, MissingError
from tools.model_files.manifest import manifest
from tools.model_files.store import ModelStore
from tools.speech.recogniser import Segment, Word
from tools.speech.voice_activity import SoundSpan
from tools.speech.whisper_engine import COMPRESSION, LOG_PROBABILITY, NO_SPEECH, is_speech, within
from tools.weights import file_bytes

BEAMS = 5
CERTAIN = 0.6
"""Probability from which the language detected in a span counts. Below it, the language of most
speech so far does. Of 25 cuts of 1.5 s of English the base model took one for Thai, at 0.52; it
erred in no span of the usual length, not even with as much noise as voice."""

MAX_THREADS = 8  # a bound, not measured
NEEDED = ("model.bin", "config.json", "tokenizer.json")
CUBLAS = "nvidia-cublas-cu12"  # the release that CTranslate2 is built for; torch may bring another

Features = npt.NDArray[np.float32]  # [mel bands, frames of 10 ms]


class FasterWhisper:
    """A loaded model.

    Args:
        model: A `faster_whisper.WhisperModel`.
        language: Code of the spoken language, "" to detect it in each span of speech.
        word_times: Align words too.
        memory_bytes: Bytes of its weights.
    """

    def __init__(self, model: Any, language: str, word_times: bool, memory_bytes: int) -> None:
        self._model = model
        self._language = language
        self._word_times = word_times
        self._memory_bytes = memory_bytes
        model.encode = _once(model.encode)

    @property
    def memory_bytes(self) -> int:
        """Bytes of the weights."""
        return self._memory_bytes

    def recognise(self, span: SoundSpan, usual: str = "") -> Iterator[Segment]:
        """Yield Whisper's segments, without silent and repetitive ones."""
        language = self._language or self._detected(span, usual)
        found, _ = self._model.transcribe(
            span.samples,
            language=language,
            beam_size=BEAMS,
            temperature=0.0,
            condition_on_previous_text=False,  # one bad span must not spoil the next
            no_speech_threshold=NO_SPEECH,
            log_prob_threshold=LOG_PROBABILITY,
            compression_ratio_threshold=COMPRESSION,
            word_timestamps=self._word_times,
        )
        for heard in found:
            if is_speech(heard.no_speech_prob, heard.avg_logprob, heard.compression_ratio):
                yield from _segment(heard, span, language)

    def _detected(self, span: SoundSpan, usual: str) -> str:
        """Return the language of the first 30 s of a span; `usual` where that is not certain."""
        if not self._model.model.is_multilingual:
            return "en"
        from faster_whisper.audio import pad_or_trim

        extractor = self._model.feature_extractor
        features = extractor(span.samples)[..., :-1][..., : extractor.nb_max_frames]
        encoded = self._model.encode(pad_or_trim(features))
        token, probability = self._model.model.detect_language(encoded)[0][0]
        code = str(token).strip("<|>")
        return usual if usual and probability < CERTAIN else code


def load(name: str, language: str, word_times: bool, runtime: ToolRuntime) -> FasterWhisper:
    """Load a model by name or from a folder in CTranslate2 format.

    Raises:
        InputError: There is no such model or language, or the folder holds no such model.
        MissingError: The weights or a CUDA library are missing; the message names the remedy.
    """
    if runtime.device.startswith("cuda"):
        _load_cublas()
    folder = _folder(name, runtime)
    model = _model(folder, runtime)
    if language and language not in model.supported_languages:
        raise InputError(
            f"Whisper {name!r} knows no language {language!r}; give a code such as 'en' or 'de', "
            "or nothing to detect it"
        )
    return FasterWhisper(model, language, word_times, file_bytes(folder / "model.bin"))


def weights_name(name: str) -> str:
    """Return what the manifest, the plan and the answer call a model: a name, or its folder."""
    return name if os.sep in name or Path(name).expanduser().is_dir() else f"whisper-{name}"


def _model(folder: Path, runtime: ToolRuntime) -> Any:
    from faster_whisper import WhisperModel

    kind, _, index = runtime.device.partition(":")
    try:
        return WhisperModel(
            str(folder),
            device=kind if kind == "cuda" else "cpu",  # CTranslate2 runs on nothing else
            device_index=int(index or 0) if kind == "cuda" else 0,
            compute_type="float16" if kind == "cuda" else "int8",
            cpu_threads=_threads(),
            local_files_only=True,
        )
    except (RuntimeError, ValueError, KeyError, TypeError) as error:
        if "out of memory" in str(error):  # the caller may evict models
            raise
        raise InputError(
            f"{folder.name} holds no Whisper model in CTranslate2 format ({error}); convert one "
            "with ct2-transformers-converter"
        ) from error


def _folder(name: str, runtime: ToolRuntime) -> Path:
    """Return the folder with the files of a model, checked or downloaded."""
    known = weights_name(name)
    if known in manifest():
        return ModelStore(runtime.models).find(known)
    path = Path(name).expanduser()
    if path.is_dir():
        missing = [file for file in NEEDED if not (path / file).is_file()]
        if missing:
            raise InputError(
                f"{path.name} holds no Whisper model in CTranslate2 format: it has no "
                f"{' and no '.join(missing)}; convert one with ct2-transformers-converter"
            )
        return path
    return _downloaded(name, runtime)


def _downloaded(name: str, runtime: ToolRuntime) -> Path:
    from faster_whisper.utils import available_models, download_model
    from huggingface_hub.errors import HfHubHTTPError

    if name not in available_models():
        known = ", ".join(available_models())
        raise InputError(f"there is no Whisper model {name!r}; give a folder or one of: {known}")
    try:
        found = download_model(
            name, local_files_only=runtime.offline, cache_dir=str(runtime.models)
        )
    except (OSError, HfHubHTTPError, ValueError) as error:
        first = str(error).strip().split("\n")[0]
        reason = "offline mode forbids to fetch it" if runtime.offline else first
        raise MissingError(
            f"no weights for Whisper {name!r}: {reason}. Run once with a connection and "
            "--set offline=false, or give a folder in CTranslate2 format as `model`, or take the "
            "model 'base': `reelgraph models get whisper-base`"
        ) from error
    return Path(found)


def _load_cublas() -> None:
    """Load CUDA's linear algebra, from its wheel where the system has none."""
    spec = find_spec("nvidia")
    folders = [Path(folder) for folder in (spec.submodule_search_locations or [])] if spec else []
    paths = [str(folder / "cublas" / "lib" / "libcublas.so.12") for folder in folders]
    for path in ("libcublas.so.12", "cublas64_12.dll", *paths):
        try:
            ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
        except OSError:
            continue
        return
    raise MissingError(
        f"faster-whisper needs cuBLAS 12 on a GPU: pip install {CUBLAS}, or take "
        "--set transcribe.engine=whisper"
    )


def _threads() -> int:
    """Return 0, which takes what OMP_NUM_THREADS says, or a number of threads."""
    return 0 if os.environ.get("OMP_NUM_THREADS") else min(os.cpu_count() or 1, MAX_THREADS)


def _once(encode: Callable[[Features], Any]) -> Callable[[Features], Any]:
    """Let a window be encoded once, though its language is detected before it is decoded."""
    last: list[tuple[Features, Any]] = []

    def encoded(features: Features) -> Any:
        if not last or not np.array_equal(last[0][0], features):
            last[:] = [(features, encode(features))]
        return last[0][1]

    return encoded


def _segment(heard: Any, span: SoundSpan, language: str) -> Iterator[Segment]:
    """Yield the segment in video time, clamped to the span: Whisper's times may exceed it."""
    words = tuple(
        Word(
            start_s=within(span, word.start),
            end_s=within(span, word.end),
            text=word.word.strip(),
            score=float(word.probability),  # of numpy, which JSON does not know
        )
        for word in heard.words or ()
    )
    text = " ".join(heard.text.split())
    if any(character.isalnum() for character in text):  # of silence it likes to say "."
        yield Segment(
            start_s=within(span, heard.start),
            end_s=within(span, heard.end),
            text=text,
            score=min(math.exp(heard.avg_logprob), 1.0),
            language=language,
            words=words,
        )
