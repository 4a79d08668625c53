"""Speech to text through the real engines: PocketSphinx's packaged model, Whisper's own loader."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tools.base import ToolInput, ToolRuntime
from tools.errors import InputError, MissingError, StoppedError
from tools.evidence import Evidence
from tools.media.audio import SAMPLE_RATE, AudioBlock, read_audio
from tools.media.video import Video, probe
from tools.speech import transcribe
from tools.speech.recogniser import Segment, Word
from tools.speech.transcribe import ENGINES, EngineChoice, Transcribe, TranscribeOptions
from tools.speech.voice_activity import SoundSpan

SPOKEN = (
    "and so my fellow americans ask not what your country can do for you "
    "ask what you can do for your country"
)
SPEECH = [(0.2, 2.6), (3.0, 4.8), (5.0, 8.1), (8.1, 10.9)]
"""Where the four phrases of the clip lie, in seconds, with some leeway."""


@pytest.fixture
def runtime(tmp_path: Path) -> ToolRuntime:
    return ToolRuntime("cpu", offline=True, models=tmp_path / "models")


def loaded(runtime: ToolRuntime, **options: object) -> Transcribe:
    tool = Transcribe(TranscribeOptions.model_validate(options))
    tool.setup(runtime)
    return tool


def given_samples(samples: np.ndarray, **more: object) -> ToolInput:
    duration_s = len(samples) / SAMPLE_RATE
    video = Video(Path("sound.wav"), "0" * 64, duration_s, 0, 0, 0, Fraction(25), True, ())

    def audio() -> Iterator[AudioBlock]:
        yield AudioBlock(0.0, samples.astype(np.float32))

    return ToolInput(video, audio=audio, **more)  # type: ignore[arg-type]


def given_file(path: Path) -> ToolInput:
    video = probe(path)
    return ToolInput(video, audio=lambda: read_audio(video))


def words_wrong(spoken: str, heard: str) -> int:
    """Levenshtein distance in words."""
    row = list(range(len(heard.split()) + 1))
    for count, word in enumerate(spoken.split(), 1):
        last, row[0] = row[0], count
        for at, other in enumerate(heard.split(), 1):
            last, row[at] = row[at], min(row[at] + 1, row[at - 1] + 1, last + (word != other))
    return row[-1]


def assert_in_order_and_within(found: list[Evidence], duration_s: float) -> None:
    assert [e.start_s for e in found] == sorted(e.start_s for e in found)
    for evidence in found:
        assert 0 <= evidence.start_s <= evidence.end_s <= duration_s
        assert 0 <= evidence.score <= 1
        assert evidence.kind == "speech"
        assert evidence.text == " ".join(evidence.text.split()) != ""


@pytest.fixture
def conversation(babble: Callable[..., np.ndarray]) -> np.ndarray:
    """Two voices: at 1 to 2.5 s and at 6.5 to 8 s of 9 s."""
    pause = np.zeros(SAMPLE_RATE)
    voices = babble(1.5, seed=1), babble(1.5, seed=2)
    return np.concatenate([pause, voices[0], *[pause] * 4, voices[1], pause])


def assert_within_voices(found: list[Evidence]) -> None:
    """Nothing is heard outside the voices of `conversation`, padded by 0.5 s."""
    for evidence in found:
        voices = [(0.4, 3.1), (5.9, 8.6)]
        assert any(a <= evidence.start_s and evidence.end_s <= b for a, b in voices), evidence


@pytest.mark.slow
def test_pocketsphinx_hears_a_clear_speech(media: Path, runtime: ToolRuntime) -> None:
    tool = loaded(runtime, word_times=True)
    found = list(tool.run(given_file(media / "jfk.flac")))
    assert_in_order_and_within(found, 11.0)
    heard = " ".join(evidence.text for evidence in found)
    assert words_wrong(SPOKEN, heard) <= 8, heard  # 5 of 22 when written
    assert "what your country can do for you" in heard
    for evidence in found:
        words = evidence.data["words"]
        assert " ".join(word["word"] for word in words) == evidence.text
        assert words[0]["start_s"] == evidence.start_s
        assert words[-1]["end_s"] == evidence.end_s
        assert any(a <= evidence.start_s and evidence.end_s <= b for a, b in SPEECH), evidence


def test_pocketsphinx_finds_the_same_whatever_it_heard_before(
    conversation: np.ndarray, runtime: ToolRuntime
) -> None:
    tool = loaded(runtime)
    given = given_samples(conversation)
    first = list(tool.run(given))
    assert Transcribe().memory_bytes == 0
    assert 30e6 < tool.memory_bytes < 50e6  # trigrams, dictionary and acoustic model
    assert first, "vowels sound like some words"
    assert_in_order_and_within(first, 9.0)
    assert_within_voices(first)
    list(tool.run(given_samples(conversation[: 3 * SAMPLE_RATE][::-1])))
    assert list(tool.run(given)) == first


def test_fillers_and_variants_of_words_are_cleaned() -> None:
    from tools.speech.pocketsphinx_engine import _FILLER, _VARIANT

    assert [_VARIANT.sub("", word) for word in ("and(2)", "a", "o'clock(10)")] == [
        "and",
        "a",
        "o'clock",
    ]
    assert all(_FILLER.fullmatch(word) for word in ("<s>", "</s>", "<sil>", "[NOISE]", "++UM++"))
    assert not _FILLER.fullmatch("noise")


def test_phrases_end_at_pauses_and_at_a_length() -> None:
    from tools.speech.pocketsphinx_engine import MAX_WORDS, _phrases

    steady = [Word(n * 0.3, n * 0.3 + 0.3, f"w{n}", 1.0) for n in range(MAX_WORDS + 2)]
    late = Word(99.0, 99.3, "late", 1.0)
    phrases = list(_phrases((*steady, late)))
    assert [len(phrase) for phrase in phrases] == [MAX_WORDS, 2, 1]
    assert list(_phrases(())) == []


@pytest.mark.parametrize("name", ["silence", "tone", "noise", "music"])
def test_what_is_no_speech_becomes_no_words(name: str, runtime: ToolRuntime) -> None:
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
    done: list[tuple[float, float]] = []
    given = given_samples(sounds[name], progress=lambda at_s, all_s: done.append((at_s, all_s)))
    assert list(loaded(runtime).run(given)) == []
    assert done[-1] == (8.0, 8.0)


def test_a_video_without_sound_yields_nothing(
    make_clip: Callable[..., Path], runtime: ToolRuntime
) -> None:
    assert list(loaded(runtime).run(given_file(make_clip("mute.mp4")))) == []


class Echo:
    """A third engine: says how long each span is, and one thing beyond the video's end."""

    def recognise(self, span: SoundSpan) -> Iterator[Segment]:
        seconds = f"{span.end_s - span.start_s:.0f}"
        word = Word(span.start_s, span.end_s + 1, seconds, 0.4)
        yield Segment(span.start_s, span.end_s + 1, seconds, 0.4, "xx", (word,))


@pytest.fixture
def echo(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = EngineChoice("json", "json", lambda options, runtime: Echo())
    monkeypatch.setattr(transcribe, "ENGINES", {**ENGINES, "pocketsphinx": engine})


@pytest.mark.usefixtures("echo")
def test_without_the_gate_all_sound_is_heard(runtime: ToolRuntime) -> None:
    progress: list[float] = []
    given = given_samples(
        np.zeros(70 * SAMPLE_RATE), progress=lambda done_s, total_s: progress.append(done_s)
    )
    found = list(loaded(runtime, vad=False).run(given))
    assert [evidence.text for evidence in found] == ["30", "30", "10"]
    assert found[-1].end_s == 70.0
    assert progress == pytest.approx([30, 60, 70, 70], abs=0.1)
    assert found[0].data == {"engine": "pocketsphinx", "language": "xx"}
    assert list(loaded(runtime, vad=False, min_score=0.5).run(given)) == []
    words = next(loaded(runtime, vad=False, word_times=True).run(given)).data["words"]
    assert words == [
        {"word": "30", "start_s": 0.0, "end_s": pytest.approx(31, abs=0.1), "score": 0.4}
    ]


@pytest.mark.usefixtures("echo")
@pytest.mark.parametrize("vad", [True, False])
def test_stop_ends_the_search_even_where_nobody_speaks(vad: bool, runtime: ToolRuntime) -> None:
    given = given_samples(np.zeros(SAMPLE_RATE), stopped=lambda: True)
    with pytest.raises(StoppedError):
        list(loaded(runtime, vad=vad).run(given))


def test_run_before_setup_says_so() -> None:
    with pytest.raises(MissingError, match="setup"):
        next(Transcribe().run(given_samples(np.zeros(10))))


@pytest.mark.parametrize("engine", ["pocketsphinx", "whisper"])
def test_available_here(engine: str) -> None:
    assert Transcribe(TranscribeOptions.model_validate({"engine": engine})).available().ok


@pytest.mark.parametrize(
    ("missing", "package"),
    [
        ("whisper", "openai-whisper"),
        ("onnxruntime", "onnxruntime"),
        ("silero_vad", "silero-vad"),
    ],
)
def test_what_is_missing_is_said_with_its_remedy(
    missing: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from importlib.util import find_spec

    for module in ("tools.speech.transcribe", "tools.speech.voice_activity"):
        monkeypatch.setattr(
            f"{module}.find_spec", lambda name: None if name == missing else find_spec(name)
        )
    found = Transcribe(TranscribeOptions(engine="whisper")).available()
    assert not found.ok
    assert package in found.reason
    assert found.remedy.startswith("pip install")
    assert package in found.remedy


@pytest.fixture(scope="session")
def tiny_whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint as openai-whisper saves them, of one small layer with random weights."""
    import torch
    from whisper.model import ModelDimensions, Whisper

    dims = ModelDimensions(
        n_mels=80, n_audio_ctx=1500, n_audio_state=32, n_audio_head=2, n_audio_layer=1,
        n_vocab=51865, n_text_ctx=16, n_text_state=32, n_text_head=2, n_text_layer=1,
    )  # fmt: skip
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        model = Whisper(dims)
        for weights in model.parameters():
            if weights.dim() > 1:
                torch.nn.init.normal_(weights, std=0.3)
    path = tmp_path_factory.mktemp("whisper") / "tiny.pt"
    torch.save({"dims": asdict(dims), "model_state_dict": model.state_dict()}, path)
    return path


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Tiny layers on several threads spend their time waiting for one another."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("one_thread")
def test_whisper_through_its_own_loader(
    tiny_whisper: Path, conversation: np.ndarray, runtime: ToolRuntime
) -> None:
    given = given_samples(conversation)
    tool = loaded(runtime, engine="whisper", model=str(tiny_whisper))
    found = list(tool.run(given))
    assert tool.memory_bytes == pytest.approx(tiny_whisper.stat().st_size, rel=0.1)
    assert found, "random weights say something, though not for silence"
    assert_in_order_and_within(found, 9.0)
    assert_within_voices(found)
    assert all(len(evidence.data["language"]) in {2, 3} for evidence in found)
    assert list(tool.run(given)) == found, "sampling is seeded"
    german = loaded(runtime, engine="whisper", model=str(tiny_whisper), language="de")
    assert {evidence.data["language"] for evidence in german.run(given)} == {"de"}


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_whisper_aligns_words(
    tiny_whisper: Path, conversation: np.ndarray, runtime: ToolRuntime
) -> None:
    tool = loaded(runtime, engine="whisper", model=str(tiny_whisper), word_times=True)
    found = list(tool.run(given_samples(conversation[: 4 * SAMPLE_RATE])))
    assert_in_order_and_within(found, 4.0)
    assert any(evidence.data["words"] for evidence in found)
    for evidence in found:
        for word in evidence.data["words"]:
            assert evidence.start_s <= word["start_s"] <= word["end_s"] <= evidence.end_s


def heard(**changes: object) -> dict[str, object]:
    segment = {
        "text": " Hello  there ", "start": 1.0, "end": 2.0, "avg_logprob": -0.5,
        "no_speech_prob": 0.1, "compression_ratio": 1.2,
    }  # fmt: skip
    return {**segment, **changes}


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({}, True),
        ({"no_speech_prob": 0.9}, True),
        ({"avg_logprob": -1.5}, True),
        ({"no_speech_prob": 0.9, "avg_logprob": -1.5}, False),
        ({"compression_ratio": 9.0}, False),
        ({"text": " "}, False),
    ],
)
def test_whisper_segments_of_silence_and_loops_are_dropped(
    changes: dict[str, object], kept: bool
) -> None:
    from types import SimpleNamespace

    from tools.speech.whisper_engine import Whisper

    result = {"language": "en", "segments": [heard(**changes)]}
    model = SimpleNamespace(
        device=SimpleNamespace(type="cpu"), transcribe=lambda samples, **options: result
    )
    span = SoundSpan(100.0, np.zeros(3 * SAMPLE_RATE, np.float32))
    found = list(Whisper(model, "", False).recognise(span))
    assert bool(found) is kept
    if kept:
        assert (found[0].start_s, found[0].end_s, found[0].text) == (101.0, 102.0, "Hello there")


def test_offline_never_downloads_and_names_the_remedy(
    runtime: ToolRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*args: object, **kwargs: object) -> None:
        raise AssertionError("a download was tried")

    monkeypatch.setattr("urllib.request.urlopen", forbidden)
    with pytest.raises(MissingError, match=r"base\.pt is not there.*pocketsphinx") as caught:
        loaded(runtime, engine="whisper", model="base")
    assert str(runtime.models) in str(caught.value)
    runtime.models.mkdir()
    (runtime.models / "base.pt").write_bytes(b"half of it")
    with pytest.raises(MissingError, match=r"base\.pt is incomplete or altered"):
        loaded(runtime, engine="whisper", model="base")


def test_a_failed_download_names_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object, **kwargs: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("urllib.request.urlopen", broken)
    online = ToolRuntime("cpu", offline=False, models=tmp_path)
    with pytest.raises(MissingError, match=r"no route to host.*copy the file"):
        loaded(online, engine="whisper", model="base")


def test_wrong_models_and_languages_are_the_users_to_mend(
    tiny_whisper: Path, tmp_path: Path, runtime: ToolRuntime
) -> None:
    with pytest.raises(InputError, match=r"no Whisper model 'bass'.*base"):
        loaded(runtime, engine="whisper", model="bass")
    with pytest.raises(InputError, match="knows no language 'klingon'"):
        loaded(runtime, engine="whisper", model=str(tiny_whisper), language="klingon")
    for content in (b"", b"not a checkpoint", tiny_whisper.read_bytes()[:1000]):
        broken = tmp_path / "broken.pt"
        broken.write_bytes(content)
        with pytest.raises(InputError, match=r"broken\.pt is not a checkpoint"):
            loaded(runtime, engine="whisper", model=str(broken))


def test_unknown_options_are_rejected() -> None:
    with pytest.raises(ValueError, match="beam"):
        TranscribeOptions.model_validate({"beam": 5})
    with pytest.raises(ValueError, match="engine"):
        TranscribeOptions.model_validate({"engine": "siri"})


def test_importing_the_tool_loads_nothing_heavy() -> None:
    import subprocess
    import sys

    code = (
        "import sys, tools.speech.subtitles; from tools.speech.transcribe import Transcribe;"
        "Transcribe().available();"
        "print([m for m in ('torch','whisper','pocketsphinx','onnxruntime') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_was_kept_is_not_done_again(
    conversation: np.ndarray, runtime: ToolRuntime, kept: SimpleNamespace
) -> None:
    tool = Transcribe(TranscribeOptions(word_times=True))
    tool.setup(runtime)
    found = list(tool.run(given_samples(conversation, keep=kept.keep)))
    assert found
    assert list(tool.run(given_samples(conversation, keep=kept.recall))) == found
    assert len(kept.pieces) == 2
