"""The transcribe tool: voice gate, engines, evidence; openai-whisper through its own loader."""

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


class Echo:
    """An engine: says how long each span is, and one thing beyond the video's end."""

    memory_bytes = 0

    def __init__(self) -> None:
        self.usual: list[str] = []

    def recognise(self, span: SoundSpan, usual: str = "") -> Iterator[Segment]:
        self.usual.append(usual)
        seconds = f"{span.end_s - span.start_s:.0f}"
        word = Word(span.start_s, span.end_s + 1, seconds, 0.4)
        yield Segment(span.start_s, span.end_s + 1, seconds, 0.4, "xx", (word,))


@pytest.fixture
def echo(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = EngineChoice("json", "json", lambda options, runtime: Echo())
    monkeypatch.setattr(transcribe, "ENGINES", {**ENGINES, "faster-whisper": engine})


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
    assert found[0].data == {"engine": "faster-whisper", "language": "xx"}
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


@pytest.mark.parametrize("engine", list(ENGINES))
def test_available_here(engine: str) -> None:
    assert Transcribe(TranscribeOptions.model_validate({"engine": engine})).available().ok


@pytest.mark.parametrize(
    ("missing", "package"),
    [
        ("whisper", "openai-whisper"),
        ("faster_whisper", "faster-whisper"),
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
    engine = "faster-whisper" if package == "faster-whisper" else "whisper"
    found = Transcribe(TranscribeOptions(engine=engine)).available()
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
    with pytest.raises(MissingError, match=r"base\.pt is not there.*faster-whisper") as caught:
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
        "print([m for m in ('torch','whisper','faster_whisper','onnxruntime') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.usefixtures("echo")
def test_what_was_kept_is_not_done_again(
    conversation: np.ndarray, runtime: ToolRuntime, kept: SimpleNamespace
) -> None:
    tool = loaded(runtime, word_times=True)
    found = list(tool.run(given_samples(conversation, keep=kept.keep)))
    assert found
    assert list(tool.run(given_samples(conversation, keep=kept.recall))) == found
    assert len(kept.pieces) == 2


def test_an_engine_learns_the_language_of_most_speech_so_far(
    runtime: ToolRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Echo()
    choice = EngineChoice("json", "json", lambda options, runtime: engine)
    monkeypatch.setattr(transcribe, "ENGINES", {"faster-whisper": choice})
    tool = loaded(runtime, vad=False)
    for _ in range(2):
        list(tool.run(given_samples(np.zeros(65 * SAMPLE_RATE))))
    assert engine.usual == ["", "xx", "xx"] * 2, "every video begins anew"
