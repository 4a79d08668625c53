"""Speech recognition with openai-whisper, any published size or a custom checkpoint."""

import hashlib
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tools.base import ToolRuntime
from tools.errors import InputError, MissingError
from tools.speech.recogniser import Segment, Word
from tools.speech.voice_activity import SoundSpan
from tools.weights import module_bytes

NO_SPEECH = 0.6
LOG_PROBABILITY = -1.0
COMPRESSION = 2.4
"""Whisper's default thresholds. A segment is dropped if its no-speech probability is above the
first and its average log probability below the second, or if its compression ratio is above the
third (repetition)."""

MEASURES = ("no_speech_prob", "avg_logprob", "compression_ratio")  # Whisper's names for them
_SEED = 20250625


class Whisper:
    """A loaded Whisper model.

    Args:
        model: What `whisper.load_model` returned.
        language: Code of the spoken language, "" to detect it in each span of speech.
        word_times: Align words too, which takes about 50 % longer.
    """

    def __init__(self, model: Any, language: str, word_times: bool) -> None:
        self._model = model
        self._language = language
        self._word_times = word_times

    @property
    def memory_bytes(self) -> int:
        """Bytes of the model."""
        return module_bytes(self._model)

    def recognise(self, span: SoundSpan, usual: str = "") -> Iterator[Segment]:
        """Yield Whisper's segments, without silent and repetitive ones."""
        import torch

        # The temperature fallback samples: seeded, so that runs are reproducible.
        device = self._model.device
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            torch.manual_seed(_SEED)
            result: Mapping[str, Any] = self._model.transcribe(
                span.samples,
                language=self._language or None,
                verbose=None,
                fp16=device.type == "cuda",
                condition_on_previous_text=False,  # one bad span must not spoil the next
                no_speech_threshold=NO_SPEECH,
                logprob_threshold=LOG_PROBABILITY,
                compression_ratio_threshold=COMPRESSION,
                word_timestamps=self._word_times,
            )
        for heard in result["segments"]:
            measures = [heard[key] for key in MEASURES]
            if is_speech(*measures):
                yield from _segment(heard, span, result["language"])


def load(name: str, language: str, word_times: bool, runtime: ToolRuntime) -> Whisper:
    """Load a model by name or from a .pt file.

    Raises:
        InputError: There is no such model or language, or the file is no checkpoint.
        MissingError: The weights are missing and may not or cannot be downloaded.
    """
    import whisper
    from whisper.tokenizer import LANGUAGES

    if language and language not in LANGUAGES:
        raise InputError(
            f"Whisper knows no language {language!r}; give a code such as 'en' or 'de', "
            "or nothing to detect it"
        )
    path = Path(name).expanduser()
    own = name not in whisper.available_models()
    if own and not path.is_file():
        known = ", ".join(whisper.available_models())
        raise InputError(f"there is no Whisper model {name!r}; give a .pt file or one of: {known}")
    if not own and runtime.offline:
        _check_on_disk(name, runtime)
    try:
        model = whisper.load_model(
            str(path) if own else name,
            device=runtime.device,
            download_root=str(runtime.models),
        )
    except OSError as error:  # urllib's errors are among them
        raise MissingError(_remedy(name, f"it could not be fetched ({error})", runtime)) from error
    except _bad_checkpoint() as error:
        if type(error).__name__ == "OutOfMemoryError":  # torch's: the caller may evict models
            raise
        if not own:
            raise MissingError(_remedy(name, f"it cannot be loaded ({error})", runtime)) from error
        raise InputError(
            f"{path.name} is not a checkpoint of openai-whisper ({error}); it must hold `dims` "
            "and `model_state_dict` as torch.save writes them"
        ) from error
    return Whisper(model, language, word_times)


def _bad_checkpoint() -> tuple[type[Exception], ...]:
    import pickle

    return (pickle.UnpicklingError, RuntimeError, KeyError, TypeError, EOFError)


def _check_on_disk(name: str, runtime: ToolRuntime) -> None:
    """Raise `MissingError` where whisper would download."""
    import whisper

    # The URL ends in the digest and the file's name; a file that does not match its digest would be
    # downloaded again.
    *_, digest, file = urlsplit(whisper._MODELS[name]).path.split("/")
    path = runtime.models / file
    if not path.is_file():
        raise MissingError(_remedy(name, f"{file} is not there", runtime))
    with path.open("rb") as stream:
        if hashlib.file_digest(stream, "sha256").hexdigest() != digest:
            raise MissingError(_remedy(name, f"{file} is incomplete or altered", runtime))


def _remedy(name: str, reason: str, runtime: ToolRuntime) -> str:
    mode = " and offline mode forbids to fetch it" if runtime.offline else ""
    folder = str(runtime.models).replace(str(Path.home()), "~", 1)
    return (
        f"no weights for Whisper {name!r}: {reason}{mode}. Run once with a connection and without "
        f"offline mode, or copy the file into {folder}, or give the path of a .pt file as `model`, "
        "or take the engine 'faster-whisper'"
    )


def is_speech(no_speech: float, log_probability: float, compression: float) -> bool:
    """Whether a segment is neither silence nor a repetition, by the thresholds above."""
    silent = no_speech > NO_SPEECH and log_probability < LOG_PROBABILITY
    return not silent and compression <= COMPRESSION


def _segment(heard: Mapping[str, Any], span: SoundSpan, language: str) -> Iterator[Segment]:
    """Yield the segment in video time, clamped to the span: Whisper's times may exceed it."""
    words = tuple(
        Word(
            start_s=within(span, word["start"]),
            end_s=within(span, word["end"]),
            text=word["word"].strip(),
            score=float(word["probability"]),
        )
        for word in heard.get("words", ())
    )
    text = " ".join(heard["text"].split())
    if text:
        yield Segment(
            start_s=within(span, heard["start"]),
            end_s=within(span, heard["end"]),
            text=text,
            score=min(math.exp(heard["avg_logprob"]), 1.0),
            language=language,
            words=words,
        )


def within(span: SoundSpan, offset_s: float) -> float:
    """Return a time within a span in seconds of the video, clamped to the span."""
    return min(max(span.start_s, span.start_s + float(offset_s)), span.end_s)
