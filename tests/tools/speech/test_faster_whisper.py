"""Speech to text with the real weights of Whisper base."""

import json
import shutil
import tracemalloc
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from agent.text import numbers
from tools.base import ToolInput, ToolRuntime
from tools.errors import InputError, MissingError
from tools.evidence import Evidence
from tools.media.audio import SAMPLE_RATE, AudioBlock, read_audio
from tools.media.video import Video, probe
from tools.model_files.ready import ready
from tools.speech import faster_whisper_engine as engine
from tools.speech.faster_whisper_engine import FasterWhisper
from tools.speech.recogniser import Segment
from tools.speech.transcribe import Transcribe, TranscribeOptions
from tools.speech.voice_activity import SoundSpan

KENNEDY = (
    "And so my fellow Americans, ask not what your country can do for you, "
    "ask what you can do for your country."
)
DEMO = Path(__file__).parents[3] / "examples" / "tour.mp4"


def loaded(models: Path, **options: object) -> Transcribe:
    tool = Transcribe(TranscribeOptions.model_validate(options))
    tool.setup(ToolRuntime("cpu", offline=True, models=models))
    return tool


@pytest.fixture(scope="module")
def base(models_folder: Path) -> Transcribe:
    return loaded(models_folder, word_times=True)


def given_samples(samples: np.ndarray) -> ToolInput:
    duration_s = len(samples) / SAMPLE_RATE
    video = Video(Path("sound.wav"), "0" * 64, duration_s, 0, 0, 0, Fraction(25), True, ())

    def audio() -> Iterator[AudioBlock]:
        yield AudioBlock(0.0, samples.astype(np.float32))

    return ToolInput(video, audio=audio)


def given_file(path: Path) -> ToolInput:
    video = probe(path)
    return ToolInput(video, audio=lambda: read_audio(video))


def all_words(found: list[Evidence]) -> list[dict[str, Any]]:
    return [word for one in found for word in one.data["words"]]


def test_a_public_speech_is_heard_word_for_word(base: Transcribe, media: Path) -> None:
    found = list(base.run(given_file(media / "jfk.flac")))
    assert " ".join(one.text for one in found) == KENNEDY
    assert {one.data["language"] for one in found} == {"en"}
    assert all(0 <= one.start_s < one.end_s <= 11.0 and 0.5 < one.score <= 1 for one in found)
    words = all_words(found)
    assert " ".join(word["word"] for word in words) == KENNEDY
    assert all(0 <= word["start_s"] <= word["end_s"] <= 11.0 for word in words)
    assert all(a["end_s"] <= b["start_s"] for a, b in pairwise(words))
    country = next(word for word in words if word["word"] == "country")
    assert (country["start_s"], country["end_s"]) == pytest.approx((5.8, 6.2), abs=0.4)
    json.dumps([one.to_json() for one in found])
    assert base.memory_bytes == pytest.approx(145e6, rel=0.01)
    assert list(base.run(given_file(media / "jfk.flac"))) == found, "decoding draws no lots"


def test_what_was_heard_before_changes_nothing(base: Transcribe, media: Path) -> None:
    whole = np.concatenate([b.samples for b in read_audio(probe(media / "jfk.flac"))])
    speech = whole[: 5 * SAMPLE_RATE]
    first = list(base.run(given_samples(speech)))
    list(base.run(given_samples(speech[::-1])))
    assert list(base.run(given_samples(speech))) == first


@pytest.mark.parametrize("name", ["silence", "tone", "noise", "music"])
def test_what_is_no_speech_becomes_no_words(name: str, base: Transcribe) -> None:
    t = np.arange(8 * SAMPLE_RATE) / SAMPLE_RATE
    random = np.random.default_rng(3)
    chord = sum(np.sin(2 * np.pi * f * n * t) / n for f in (220, 277, 330) for n in range(1, 7))
    drums = np.exp(-40 * (t % 0.5)) * random.standard_normal(len(t))
    sounds = {
        "silence": 0 * t,
        "tone": 0.5 * np.sin(2 * np.pi * 440 * t),
        "noise": 0.2 * random.standard_normal(len(t)),
        "music": 0.08 * chord + 0.4 * drums,
    }
    assert list(base.run(given_samples(sounds[name]))) == []


def test_silence_becomes_no_words_even_without_the_gate(models_folder: Path) -> None:
    tool = loaded(models_folder, vad=False)
    assert list(tool.run(given_samples(np.zeros(8 * SAMPLE_RATE)))) == []


def test_a_video_without_sound_yields_nothing(
    make_clip: Callable[..., Path], base: Transcribe
) -> None:
    assert list(base.run(given_file(make_clip("mute.mp4")))) == []


class Scripted:
    """Stands for a loaded model that detects scripted languages; says what it was asked for."""

    feature_extractor = SimpleNamespace(nb_max_frames=3000)

    def __init__(self, detected: list[tuple[str, float]], multilingual: bool = True) -> None:
        self._detected = iter(detected)
        self.model = SimpleNamespace(
            is_multilingual=multilingual,
            detect_language=lambda encoded: [[next(self._detected)]],
        )
        vars(self)["feature_extractor"] = Extractor()
        self.options: dict[str, Any] = {}
        self.heard: list[SimpleNamespace] = []

    def encode(self, features: np.ndarray) -> np.ndarray:
        return features

    def transcribe(self, samples: np.ndarray, **options: Any) -> tuple[Any, None]:
        self.options = options
        return iter(self.heard), None


class Extractor:
    nb_max_frames = 3000

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        return np.zeros((80, len(samples) // 160 + 1), np.float32)


def span_of(seconds: float, start_s: float = 0.0) -> SoundSpan:
    return SoundSpan(start_s, np.zeros(round(seconds * SAMPLE_RATE), np.float32))


@pytest.mark.parametrize(
    ("detected", "usual", "language"),
    [
        (("<|de|>", 0.9), "en", "de"),
        (("<|th|>", 0.52), "en", "en"),
        (("<|th|>", 0.52), "", "th"),
    ],
)
def test_an_uncertain_language_gives_way_to_the_usual_one(
    detected: tuple[str, float], usual: str, language: str
) -> None:
    model = Scripted([detected])
    list(FasterWhisper(model, "", False, 0).recognise(span_of(2), usual))
    assert model.options["language"] == language


def test_a_named_language_and_an_english_model_need_no_detection() -> None:
    model = Scripted([])
    list(FasterWhisper(model, "fr", False, 0).recognise(span_of(2), "en"))
    assert model.options["language"] == "fr"
    english = Scripted([], multilingual=False)
    list(FasterWhisper(english, "", False, 0).recognise(span_of(2), ""))
    assert english.options["language"] == "en"


def heard(**changes: object) -> SimpleNamespace:
    values = {
        "text": " Hello  there ", "start": 1.0, "end": 9.0, "avg_logprob": -0.5, "words": None,
        "no_speech_prob": 0.1, "compression_ratio": 1.2,
    }  # fmt: skip
    return SimpleNamespace(**{**values, **changes})


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({}, True),
        ({"no_speech_prob": 0.9}, True),
        ({"no_speech_prob": 0.9, "avg_logprob": -1.5}, False),
        ({"compression_ratio": 9.0}, False),
        ({"text": " "}, False),
        ({"text": " ."}, False),
    ],
)
def test_segments_of_silence_and_loops_are_dropped(changes: dict[str, object], kept: bool) -> None:
    model = Scripted([])
    model.heard = [heard(**changes)]
    found = list(FasterWhisper(model, "en", False, 0).recognise(span_of(3, 100.0)))
    assert [(one.start_s, one.end_s, one.text) for one in found] == (
        [(101.0, 103.0, "Hello there")] if kept else []
    )


def test_a_window_is_encoded_once_for_detection_and_decoding() -> None:
    calls: list[int] = []

    def encode(features: np.ndarray) -> int:
        calls.append(len(calls))
        return calls[-1]

    once = engine._once(encode)
    one, other = np.zeros((2, 3), np.float32), np.ones((2, 3), np.float32)
    assert [once(one), once(one.copy()), once(other), once(one)] == [0, 0, 1, 2]


def test_sound_is_taken_span_by_span_so_that_memory_does_not_grow(
    media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    speech = np.concatenate([b.samples for b in read_audio(probe(media / "jfk.flac"))])
    decoded_s = 0.0

    def endless() -> Iterator[AudioBlock]:
        nonlocal decoded_s
        for number in range(60):
            decoded_s = 11.0 * number
            yield AudioBlock(decoded_s, speech.copy())

    def recognise(self: FasterWhisper, span: SoundSpan, usual: str = "") -> Iterator[Segment]:
        yield Segment(span.start_s, span.end_s, "words", 1.0, "en")

    monkeypatch.setattr(FasterWhisper, "recognise", recognise)
    monkeypatch.setattr(engine, "load", lambda *_: FasterWhisper(Scripted([]), "", False, 0))
    video = Video(Path("long.wav"), "0" * 64, 660.0, 0, 0, 0, Fraction(25), True, ())
    tool = Transcribe()
    tool.setup(ToolRuntime("cpu", offline=True, models=Path()))
    tracemalloc.start()
    for one in tool.run(ToolInput(video, audio=endless)):
        assert decoded_s - one.end_s <= 45, "sound is decoded as it is needed"
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6, "all of the sound takes 42 MB"


@pytest.mark.slow
def test_the_demo_is_heard_and_its_year_found(base: Transcribe) -> None:
    video = probe(DEMO)

    def start() -> Iterator[AudioBlock]:
        for block in read_audio(video):
            if block.start_s > 45:
                return
            yield block

    found = list(base.run(ToolInput(video, audio=start)))
    text = " ".join(one.text for one in found)
    assert "1961" in numbers(text)  # as digits or in words, which differs between processors
    assert "at long tables under the windows" in text
    assert all(15 < one.start_s < one.end_s <= 60 for one in found)
    assert {one.data["language"] for one in found} == {"en"}


@pytest.mark.slow
def test_a_language_is_detected_unless_it_is_named(models_folder: Path, tmp_path: Path) -> None:
    sound = spoken("Guten Morgen und willkommen im Garten hinter der alten Mühle.", "de")
    (found,) = loaded(models_folder).run(given_samples(sound))
    assert found.data["language"] not in ("", "en")  # synthetic German is not always known as such
    (forced,) = loaded(models_folder, language="en").run(given_samples(sound))
    assert forced.data["language"] == "en"


def spoken(text: str, voice: str) -> np.ndarray:
    """Speech by eSpeak NG; skips without it."""
    import io
    import subprocess
    import wave

    program = shutil.which("espeak-ng")
    if program is None:
        pytest.skip("espeak-ng is not installed (apt-get install espeak-ng)")
    command = [program, "-v", voice, "-s", "150", "--stdout", text]
    wav = subprocess.run(command, check=True, capture_output=True).stdout
    with wave.open(io.BytesIO(wav)) as reader:
        rate, pcm = reader.getframerate(), np.frombuffer(reader.readframes(len(wav)), np.int16)
    times = np.arange(round(len(pcm) * SAMPLE_RATE / rate)) * rate / SAMPLE_RATE
    return np.interp(times, np.arange(len(pcm)), pcm / 32768)


def test_missing_weights_name_the_command_that_gets_them(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="`reelgraph models get whisper-base`"):
        loaded(tmp_path)
    tool = Transcribe()
    assert tool.models["speech"] == "whisper-base"
    found = ready(tool, tmp_path)
    assert not found.ok
    assert "whisper-base" in found.reason
    assert found.remedy == "reelgraph models get whisper-base"


def test_weights_that_are_here_make_the_tool_ready(models_folder: Path) -> None:
    assert ready(Transcribe(), models_folder).ok


def test_damaged_weights_are_refused(models_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "whisper-base"
    shutil.copytree(models_folder / "whisper-base", folder)
    with (folder / "model.bin").open("r+b") as stream:
        stream.seek(1000)
        stream.write(b"damage")
    with pytest.raises(MissingError, match=r"model\.bin is not the file.*reelgraph models get"):
        loaded(tmp_path)


def test_other_sizes_are_not_fetched_offline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*args: object, **kwargs: object) -> None:
        raise AssertionError("a download was tried")

    monkeypatch.setattr("socket.socket.connect", forbidden)
    with pytest.raises(MissingError, match=r"'turbo': offline mode.*reelgraph models get"):
        loaded(tmp_path, model="turbo")
    assert Transcribe(TranscribeOptions(model="turbo")).models["speech"] == "whisper-turbo"


def test_a_folder_is_taken_as_it_is(models_folder: Path, tmp_path: Path) -> None:
    own = models_folder / "whisper-base"
    tool = loaded(tmp_path, model=str(own))
    assert tool.models["speech"] == str(own)
    (tmp_path / "own").mkdir()
    with pytest.raises(InputError, match=r"own holds no Whisper model.*no model\.bin and no conf"):
        loaded(tmp_path, model=str(tmp_path / "own"))
    for name in engine.NEEDED:
        (tmp_path / "own" / name).write_text("{}")
    with pytest.raises(InputError, match=r"own holds no Whisper model in CTranslate2 format \("):
        loaded(tmp_path, model=str(tmp_path / "own"))


def test_wrong_models_and_languages_are_the_users_to_mend(
    models_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"no Whisper model 'bass'.*base"):
        loaded(tmp_path, model="bass")
    with pytest.raises(InputError, match="knows no language 'klingon'"):
        loaded(models_folder, language="klingon")


def test_a_gpu_without_its_library_names_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(path: str, mode: int) -> None:
        raise OSError(path)

    monkeypatch.setattr("ctypes.CDLL", absent)
    tool = Transcribe()
    with pytest.raises(MissingError, match="pip install nvidia-cublas-cu12"):
        tool.setup(ToolRuntime("cuda:0", offline=True, models=tmp_path))
