import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import takewhile
from pathlib import Path
from time import sleep
from typing import Any, cast

import numpy as np
import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.errors import GraphDrained
from langgraph.runtime import RunControl, Runtime

from agent.answer import Meter
from agent.ingest.frames import ensure_frames
from agent.ingest.graph import build_ingest, sample_frames
from agent.ingest.tool_node import recall, reporting, tool_node
from agent.library.keys import digest, run_settings, sampling_values
from agent.library.store import Library
from agent.models.pool import ModelPool
from agent.records import Request
from agent.session import Session
from agent.state import Findings, State
from tools.base import Availability, Need, Tool, ToolInput, ToolOptions, ToolRuntime
from tools.errors import DeletedError, MissingError, StoppedError, StorageError
from tools.evidence import ChannelReport, Evidence
from tools.media.audio import SAMPLE_RATE, read_audio
from tools.media.video import probe
from tools.registry import tool_classes
from tools.speech.faster_whisper_engine import FasterWhisper
from tools.speech.voice_activity import SoundSpan

Open = Callable[..., Session]
PlugIn = Callable[..., type[Tool]]
Say = Callable[..., Evidence]
MakeClip = Callable[..., Path]

FRAMES: frozenset[Need] = frozenset({"frames"})
AUDIO: frozenset[Need] = frozenset({"audio"})


def start(session: Session, clip: Path, **extra: Any) -> State:
    state: State = {"path": clip, "video": session.probe(clip)}
    return {**state, **extra}  # type: ignore[typeddict-item]


def run(session: Session, state: State, name: str = "sensor", **given: Any) -> Findings:
    """Run a tool's node as the graph does, without its retries."""
    runtime = Runtime(context=session.context, **given)
    return reporting(tool_node(name), [name])(state, runtime)


def report(found: Findings, name: str = "sensor") -> ChannelReport:
    return found["channels"][name]


def stored(session: Session, state: State) -> list[Evidence]:
    runs = session.library.runs(state["video"].sha256)
    return [p.evidence for p in session.library.passages([run.id for run in runs])]


@pytest.fixture
def clip(make_clip: MakeClip) -> Path:
    return make_clip(seconds=2, audio=True)


def test_what_a_tool_finds_is_stored_and_reported(
    open_session: Open, plug_in: PlugIn, say: Say, clip: Path
) -> None:
    plug_in(lambda given: iter([say("12 degrees", 0, 1), say("14 degrees", 1, 2)]))
    session = open_session()
    state = start(session, clip)
    found = run(session, state)
    assert (report(found).status, report(found).count, report(found).cached) == ("ok", 2, False)
    ids = [e.id for e in stored(session, state)]
    assert [session.library.evidence_by_id(one).text for one in ids] == ["12 degrees", "14 degrees"]
    assert found["runs"] == {"sensor": session.library.runs(state["video"].sha256)[0].id}
    assert (found["usage"]["sensor"].tool_runs, found["usage"]["sensor"].decodes) == (1, 0)


def test_nothing_found_is_empty_and_remembered(
    open_session: Open, plug_in: PlugIn, clip: Path
) -> None:
    plug_in(lambda given: iter(()))
    session = open_session()
    state = start(session, clip)
    assert report(run(session, state)).status == "empty"
    again = run(session, state)
    assert (report(again).status, report(again).cached) == ("empty", True)
    assert again["usage"]["sensor"].tool_runs == 0


def test_a_second_run_decodes_nothing_and_runs_nothing(
    open_session: Open, plug_in: PlugIn, say: Say, clip: Path
) -> None:
    ran = []

    def look(given: ToolInput) -> Iterator[Evidence]:
        ran.append(given.frames)
        assert given.frames is not None
        assert list(given.audio())
        yield say("something")

    plug_in(look, needs=FRAMES | AUDIO)
    session = open_session()
    state = start(session, clip)
    first = run(session, state)
    assert (first["usage"]["sensor"].tool_runs, first["usage"]["sensor"].decodes) == (1, 2)
    second = run(open_session(), state)
    assert (second["usage"]["sensor"].tool_runs, second["usage"]["sensor"].decodes) == (0, 0)
    assert second["runs"] == first["runs"]
    assert report(second).seconds == report(first).seconds
    assert len(ran) == 1


def test_what_a_tool_notes_is_in_its_report_also_when_it_is_known(
    open_session: Open, plug_in: PlugIn, say: Say, clip: Path
) -> None:
    def look(given: ToolInput) -> Iterator[Evidence]:
        given.note("two pictures were left out")
        yield say("something")

    plug_in(look)
    session = open_session()
    state = start(session, clip)
    for again in (False, True):
        found = report(run(session, state))
        assert (found.status, found.reason, found.cached) == (
            "ok",
            "two pictures were left out",
            again,
        )


def test_a_missing_package_is_unavailable_with_its_remedy(
    open_session: Open, plug_in: PlugIn, clip: Path
) -> None:
    missing = Availability(False, "no thermometer", "pip install thermometer")
    plug_in(lambda given: iter(()), available=missing)
    session = open_session()
    found = report(run(session, start(session, clip)))
    assert found.status == "unavailable"
    assert found.reason == "no thermometer; pip install thermometer"


ERRORS = {
    "missing weights": (MissingError("no weights; get them"), "unavailable", "no weights; get"),
    "a bug": (ZeroDivisionError("division by zero"), "failed", "ZeroDivisionError: division"),
    "no memory": (MemoryError("8 GiB"), "failed", "MemoryError: 8 GiB"),
    "a native library": (RuntimeError("CUDA error"), "failed", "RuntimeError: CUDA error"),
    "of no text": (KeyError(), "failed", "KeyError"),
    "a check": (AssertionError("x > 0"), "failed", "AssertionError: x > 0"),
}


@pytest.mark.parametrize(("error", "status", "reason"), ERRORS.values(), ids=ERRORS.keys())
def test_whatever_a_tool_raises_becomes_its_report_and_is_not_stored(
    open_session: Open,
    plug_in: PlugIn,
    say: Say,
    clip: Path,
    error: Exception,
    status: str,
    reason: str,
) -> None:
    broken = [True]

    def look(given: ToolInput) -> Iterator[Evidence]:
        yield say("half a finding")
        if broken:
            raise error

    plug_in(look)
    session = open_session()
    state = start(session, clip)
    found = run(session, state)
    assert report(found).status == status
    assert report(found).reason.startswith(reason)
    assert "runs" not in found
    assert stored(session, state) == []
    broken.clear()
    assert report(run(session, state)).status == "ok"


def test_a_failing_setup_is_tried_again(
    open_session: Open, plug_in: PlugIn, say: Say, clip: Path
) -> None:
    made = plug_in(lambda given: iter([say("x")]))
    tries = []

    def setup(self: Tool, runtime: Any) -> None:
        tries.append(runtime.device)
        if len(tries) == 1:
            raise MissingError("the weights are still being copied; wait")

    made.setup = setup  # type: ignore[method-assign]
    session = open_session()
    state = start(session, clip)
    assert report(run(session, state)).status == "unavailable"
    assert report(run(session, state)).status == "ok"
    assert tries == ["cpu", "cpu"]


def test_a_full_disk_is_not_the_tools_failure(
    open_session: Open, plug_in: PlugIn, clip: Path
) -> None:
    def look(given: ToolInput) -> Iterator[Evidence]:
        raise StorageError("the disk is full")

    plug_in(look)
    session = open_session()
    with pytest.raises(StorageError, match="disk is full"):
        run(session, start(session, clip))


def test_a_tool_without_its_input_is_skipped(
    open_session: Open, plug_in: PlugIn, make_clip: MakeClip
) -> None:
    plug_in(lambda given: iter(()), "ear", needs=AUDIO)
    plug_in(lambda given: iter(()), "eye", needs=FRAMES)
    session = open_session()
    silent = start(session, make_clip("silent.mp4", seconds=1))
    dark = start(session, make_clip("dark.flac", seconds=1, picture=False, audio=True))
    for state, name, reason in ((silent, "ear", "no sound"), (dark, "eye", "no picture")):
        found = run(session, state, name)
        assert report(found, name).status == "skipped"
        assert reason in report(found, name).reason
        assert "usage" not in found


TOLD = {
    "all of it": ("speech", [(0.0, 2.0)], {}, True),
    "half of a short video": ("speech", [(0.1, 0.6), (1.0, 1.6)], {}, True),
    "one sentence": ("speech", [(0.1, 0.8)], {}, False),
    "one sentence, said twice": ("speech", [(0.1, 0.8), (0.1, 0.8)], {}, False),
    "foreign passages alone": ("speech", [(0.0, 2.0)], {"forced": True}, False),
    "talk about the film": ("speech", [(0.0, 2.0)], {"commentary": True}, False),
    "something else": ("text", [(0.0, 2.0)], {}, False),
    "nothing": ("speech", [], {}, False),
}


@pytest.mark.parametrize(("kind", "spans", "data", "told"), TOLD.values(), ids=TOLD.keys())
@pytest.mark.parametrize("teller", ["subtitles", "transcript"])
def test_nobody_listens_where_it_is_known_what_is_said(
    open_session: Open,
    plug_in: PlugIn,
    clip: Path,
    teller: str,
    kind: str,
    spans: list[tuple[float, float]],
    data: dict[str, bool],
    told: bool,
) -> None:
    def tell(given: ToolInput) -> Iterator[Evidence]:
        return (Evidence(teller, kind, *span, "blah", data=data) for span in spans)

    plug_in(tell, teller, kind=kind)
    plug_in(lambda given: iter(()), "recogniser", kind="speech", needs=AUDIO)
    plug_in(lambda given: iter(()), "noises", kind="sounds", needs=AUDIO)
    session = open_session()
    state = start(session, clip)
    state["runs"] = run(session, state, teller)["runs"]
    heard = report(run(session, state, "recogniser"), "recogniser")
    assert heard.status == ("skipped" if told else "empty")
    assert heard.reason == (f"{teller} already tell what is said" if told else "")
    assert report(run(session, state, "noises"), "noises").status == "empty"


SIGNS = """[Events]
Dialogue: 0,0:00:00.00,0:00:02.00,Default,,0,0,0,,{\\pos(20,30)}Bakery
"""


@pytest.mark.parametrize("name", ["clip.en.forced.srt", "clip.en.signs.srt", "clip.en.ass"])
def test_forced_subtitles_beside_the_video_do_not_keep_anybody_from_listening(
    open_session: Open, plug_in: PlugIn, say: Say, clip: Path, name: str
) -> None:
    plug_in(lambda given: iter([say("blah")]), "recogniser", kind="speech", needs=AUDIO)
    cue = "1\n00:00:00,000 --> 00:00:02,000\nBonjour\n"
    clip.with_name(name).write_text(SIGNS if name.endswith("ass") else cue)
    found = index(open_session(ingest="[subtitles, recogniser]"), clip)
    assert {name: one.status for name, one in found["channels"].items()} == {
        "subtitles": "ok",
        "recogniser": "ok",
    }
    clip.with_name("clip.en.srt").write_text(cue)
    found = index(open_session(ingest="[subtitles, recogniser]"), clip)
    assert found["channels"]["recogniser"].status == "skipped"


def test_vision_needs_a_model_that_sees(
    open_session: Open,
    plug_in: PlugIn,
    say: Say,
    clip: Path,
    scripted: Callable[..., Any],
) -> None:
    asked = []

    def look(given: ToolInput) -> Iterator[Evidence]:
        assert given.chat is not None
        asked.append(given.chat.name)
        yield say("a harbour")

    plug_in(look, needs=FRAMES | {"vision"})
    blind, seeing = open_session(scripted()), open_session(scripted(images=True))
    state = start(blind, clip)
    refused = report(run(blind, state))
    assert refused.status == "unavailable"
    assert "reads text only" in refused.reason
    assert report(run(seeing, state)).status == "ok"
    assert asked == ["scripted"]


def test_a_captioner_is_not_loaded_to_know_whether_it_sees(
    open_session: Open,
    plug_in: PlugIn,
    say: Say,
    clip: Path,
    watching: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    tiny_llava: Path,
    tiny_llama: Path,
) -> None:
    loads: list[str] = []

    def load(pool: ModelPool) -> Any:
        loads.append("captioner")
        return watching(name="seer")

    monkeypatch.setattr(ModelPool, "_load_captioner", load)
    plug_in(lambda given: iter([say("a harbour")]), needs=FRAMES | {"vision"})
    expected = {"new": (tiny_llava, "ok", 1), "known": (tiny_llava, "ok", 0)}
    for model, status, times in [*expected.values(), (tiny_llama, "unavailable", 0)]:
        session = open_session(**{"captioner.model": str(model)})
        loads.clear()
        found = report(run(session, start(session, clip)))
        assert (found.status, len(loads)) == (status, times)


def test_phrases_come_from_the_question_and_are_part_of_the_key(
    open_session: Open, plug_in: PlugIn, say: Say, clip: Path
) -> None:
    def look(given: ToolInput) -> Iterator[Evidence]:
        return iter([say(f"a {phrase}") for phrase in given.phrases])

    plug_in(look, needs=frozenset({"phrases"}))
    session = open_session()
    for phrases, runs in ((("boat",), 1), (("boat", "dog"), 1), (("boat",), 0)):
        state = start(session, clip, request=Request(entities=phrases))
        found = run(session, state)
        assert report(found).count == len(phrases)
        assert found["usage"]["sensor"].tool_runs == runs


SPANS = {
    "before the start": (-0.6, 1.0, False),
    "after the end": (1.0, 2.6, False),
    "backwards": (1.5, 0.5, False),
    "not a number": (float("nan"), 1.0, False),
    "infinite": (0.0, float("inf"), False),
    "a hair early": (-0.3, 1.0, True),
    "a hair late": (1.0, 2.3, True),
    "a moment": (2.0, 2.0, True),
}


@pytest.mark.parametrize(("start_s", "end_s", "fine"), SPANS.values(), ids=SPANS.keys())
def test_evidence_outside_the_video_is_refused(
    open_session: Open,
    plug_in: PlugIn,
    say: Say,
    clip: Path,
    start_s: float,
    end_s: float,
    fine: bool,
) -> None:
    plug_in(lambda given: iter([say("x", start_s, end_s)]))
    session = open_session()
    state = start(session, clip)
    found = report(run(session, state))
    if not fine:
        assert found.status == "failed"
        assert "mistake in the tool" in found.reason
        assert stored(session, state) == []
        return
    assert found.status == "ok"
    (kept,) = stored(session, state)
    assert 0 <= kept.start_s <= kept.end_s <= state["video"].duration_s


def test_tool_and_kind_are_what_the_tool_declares(
    open_session: Open, plug_in: PlugIn, clip: Path
) -> None:
    plug_in(lambda given: iter([Evidence("someone else", "speech", 0, 1, "x")]))
    session = open_session()
    state = start(session, clip)
    run(session, state)
    (kept,) = stored(session, state)
    assert (kept.tool, kept.kind) == ("sensor", "measurement")


ODD: dict[str, Any] = {
    "data that is not JSON": {"data": {"box": {1, 2}}},
    "data that is not a number": {"data": {"size": float("nan")}},
    "no text": {"text": None},
    "a score that is not a number": {"score": float("nan")},
    "a score of text": {"score": "high"},
    "half a character": {"text": "\ud800"},
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
def test_a_finding_that_cannot_be_stored_is_the_tools_failure(
    open_session: Open, plug_in: PlugIn, say: Say, clip: Path, odd: dict[str, Any]
) -> None:
    plug_in(lambda given: iter([replace(say("x"), **odd)]))
    session = open_session()
    state = start(session, clip)
    assert report(run(session, state)).status == "failed"
    assert stored(session, state) == []


def test_numbers_of_numpy_are_numbers(
    open_session: Open, plug_in: PlugIn, say: Say, clip: Path
) -> None:
    times = np.array([0.5, 1.5], np.float32)
    plug_in(lambda given: iter([replace(say("x", *times), score=times[0] / 2)]))
    session = open_session()
    state = start(session, clip)
    assert report(run(session, state)).status == "ok"
    (kept,) = stored(session, state)
    assert (kept.start_s, kept.end_s, kept.score) == (0.5, 1.5, 0.25)


class Options(ToolOptions):
    limit: int = 1


def test_the_key_follows_everything_that_changes_the_outcome(
    open_session: Open, plug_in: PlugIn, clip: Path
) -> None:
    made = plug_in(lambda given: iter(()), needs=FRAMES | {"vision"}, options=Options)

    def key(tool: Tool, **settings: Any) -> str:
        session = open_session(**{"chat.model": "some-folder", **settings})
        return digest(run_settings(tool, session.probe(clip), session.settings))

    base = key(made())
    assert key(made()) == base
    assert key(made(), **{"retrieval.top_k": 3, "device": "cpu"}) == base
    assert key(made(), **{"chat.timeout_s": 9, "chat.input_price": 1, "memory_gb": 9}) == base
    made.version = "2"
    others = {
        "version": key(made()),
        "option": key(made(Options(limit=2))),
        "step": key(made(), **{"sampling.step_s": 0.5}),
        "size": key(made(), **{"sampling.max_side": 64}),
        "reader": key(made(), **{"sampling.backend": "decord"}),
        "model": key(made(), **{"chat.model": "other"}),
        "captioner": key(made(), **{"captioner.model": "another"}),
        "longer context": key(made(), **{"chat.rope_factor": 2}),
    }
    made.version = "1"
    assert len({base, *others.values()}) == len(others) + 1


def test_a_tool_that_looks_at_nothing_shares_its_run_between_samplings(
    open_session: Open, plug_in: PlugIn, clip: Path
) -> None:
    plug_in(lambda given: iter(()))
    session, other = open_session(), open_session(**{"sampling.step_s": 0.5})
    state = start(session, clip)
    run(session, state)
    assert recall("sensor", state, other.context) is not None
    assert report(run(other, state)).cached


def test_a_subtitle_file_beside_the_video_is_part_of_the_key(
    open_session: Open, clip: Path
) -> None:
    session = open_session()
    state = start(session, clip)
    beside = clip.with_suffix(".srt")
    statuses = [report(run(session, state, "subtitles"), "subtitles").status]
    for text in ("Hello.", "Good bye."):
        beside.write_text(f"1\n00:00:00,100 --> 00:00:01,000\n{text}\n")
        found = run(session, state, "subtitles")
        statuses.append(report(found, "subtitles").status)
        passages = session.library.passages(found["runs"].values())
        assert [passage.evidence.text for passage in passages] == [text]
    assert statuses == ["empty", "ok", "ok"]


def test_the_step_widens_for_a_long_video(open_session: Open, clip: Path) -> None:
    session = open_session(**{"sampling.step_s": 0.1, "sampling.max_frames": 4})
    video = session.probe(clip)
    assert sampling_values(video, session.settings)["step_s"] == pytest.approx(0.5, abs=0.03)
    frames = ensure_frames(video, Runtime(context=session.context), Meter())
    assert 3 <= len(frames.samples) <= 5


def test_two_threads_run_a_tool_once_and_decode_once(
    open_session: Open, plug_in: PlugIn, say: Say, clip: Path
) -> None:
    ran = []

    def look(given: ToolInput) -> Iterator[Evidence]:
        ran.append(threading.get_ident())
        yield say("x")

    plug_in(look, needs=FRAMES)
    session = open_session()
    state = start(session, clip)
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: run(session, state), range(4)))
    assert len(ran) == 1
    assert sum(one["usage"]["sensor"].tool_runs for one in found) == 1
    assert sum(one["usage"]["sensor"].decodes for one in found) == 1
    assert len({one["runs"]["sensor"] for one in found}) == 1
    assert sorted(report(one).cached for one in found) == [False, True, True, True]


class Classes(Tool):
    """Finds the classes that were set last, as an open-vocabulary detector does."""

    name, kind, version = "sensor", "measurement", "1"
    needs = frozenset({"phrases"})  # type: ignore[assignment]

    def setup(self, runtime: ToolRuntime) -> None:
        self.classes: tuple[str, ...] = ()
        self.changed = threading.Semaphore(0)

    def run(self, given: ToolInput) -> Iterator[Evidence]:
        self.classes = given.phrases
        self.changed.release()
        if self.changed.acquire(timeout=0.2):  # its own
            self.changed.acquire(timeout=0.2)  # of a run beside it, if there may be one
        yield Evidence(self.name, self.kind, 0, 1, " ".join(self.classes), data={"boxes": [[0, 1]]})


def test_two_questions_at_once_are_each_stored_with_their_own_findings(
    open_session: Open, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(tool_classes(), "sensor", Classes)
    session = open_session()
    states = [start(session, clip, request=Request(entities=(each,))) for each in ("dog", "boat")]
    with ThreadPoolExecutor(2) as threads:
        found = list(threads.map(lambda state: run(session, state), states))
    texts = [session.library.passages(one["runs"].values())[0].evidence.text for one in found]
    assert texts == ["dog", "boat"]
    assert [run.settings["phrases"] for run in session.library.runs(states[0]["video"].sha256)]
    for state, text in zip(states, texts, strict=True):
        known = recall("sensor", state, session.context)
        assert known is not None
        assert [p.evidence.text for p in session.library.passages([known.id])] == [text]


@pytest.mark.usefixtures("models_folder")
def test_two_videos_share_one_speech_recogniser(
    open_session: Open, spoken: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def heard(session: Session, threads: int) -> list[list[Evidence]]:
        states = [start(session, clip) for clip in spoken]
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda state: run(session, state, "transcribe"), states))
        return [stored(session, state) for state in states]

    detected = FasterWhisper._detected

    def slowly(self: FasterWhisper, span: SoundSpan, usual: str) -> str:
        found = detected(self, span, usual)
        sleep(0.2)  # the other run, if it may, begins with its own sound meanwhile
        return found

    monkeypatch.setattr(FasterWhisper, "_detected", slowly)
    alone = heard(open_session(), threads=1)
    together = heard(open_session(library=str(spoken[0].parent / "other")), threads=2)
    assert all(alone)
    assert together == alone


@pytest.fixture
def spoken(make_clip: MakeClip) -> list[Path]:
    """Two recordings of different sentences of the demo video."""
    demo = probe(Path(__file__).parents[3] / "examples" / "tour.mp4")
    begin = takewhile(lambda block: block.start_s < 50, read_audio(demo))
    sound = np.concatenate([block.samples for block in begin])
    seconds = np.arange(len(sound)) / SAMPLE_RATE

    def clip(start_s: float) -> Path:
        def voice(times_s: np.ndarray) -> np.ndarray:
            return np.interp(start_s + times_s, seconds, sound)

        return make_clip(f"from-{start_s}.wav", seconds=2, audio=voice, picture=False)

    return [clip(18.0), clip(43.0)]


def test_stop_works_while_a_tool_is_waited_for(
    open_session: Open, plug_in: PlugIn, say: Say, clip: Path
) -> None:
    control, told = RunControl(), []

    def watch(progress: dict[str, Any]) -> None:
        told.append(progress)
        control.request_drain("stop")

    plug_in(lambda given: iter([say("x")]))
    session = open_session()
    state = start(session, clip)
    with session.context.pool.tool("sensor"):
        with pytest.raises(GraphDrained):
            run(session, state, control=control, stream_writer=watch)
        assert told == [{"stage": "sensor", "waits": True}]
        assert session.library.runs(state["video"].sha256) == []
    assert report(run(session, state)).status == "ok"


def test_a_tool_that_failed_is_free_again(open_session: Open, plug_in: PlugIn, clip: Path) -> None:
    def fail(given: ToolInput) -> Iterator[Evidence]:
        raise ValueError("odd picture")

    plug_in(fail)
    session = open_session()
    state = start(session, clip)
    for _ in range(2):
        assert report(run(session, state)).reason == "ValueError: odd picture"


def test_questions_on_one_thread_each_do_not_wait_for_each_other_for_ever(
    open_session: Open, plug_in: PlugIn, say: Say, make_clip: MakeClip
) -> None:
    for name in ("first", "second"):
        plug_in(lambda given: iter([say("x")]), name=name, needs=FRAMES)
    session = open_session(ingest="[first, second]", **{"sampling.step_s": 0.5})
    clips = [make_clip(f"{n}.mp4", seconds=1 + n) for n in range(3)]
    one_thread = RunnableConfig(max_concurrency=1)

    def ingest(clip: Path) -> Findings:
        graph = build_ingest(session.settings)
        state = start(session, clip)
        return cast("Findings", graph.invoke(state, one_thread, context=session.context))

    with ThreadPoolExecutor(3) as threads:
        found = list(threads.map(ingest, clips))
    statuses = {name: channel.status for one in found for name, channel in one["channels"].items()}
    assert statuses == {"first": "ok", "second": "ok"}


def test_stop_in_the_middle_of_a_tool_stores_nothing(
    open_session: Open, plug_in: PlugIn, say: Say, clip: Path
) -> None:
    control = RunControl()

    def heedless(given: ToolInput) -> Iterator[Evidence]:
        yield say("before")
        control.request_drain("stop")
        assert given.stopped()
        yield say("after")

    def heedful(given: ToolInput) -> Iterator[Evidence]:
        yield from heedless(given)
        raise StoppedError

    session = open_session()
    state = start(session, clip)
    for look in (heedless, heedful):
        control = RunControl()
        plug_in(look)
        with pytest.raises(GraphDrained):
            run(session, state, control=control)
        assert session.library.runs(state["video"].sha256) == []


def test_stop_while_sampling_leaves_no_frames(open_session: Open, clip: Path) -> None:
    session = open_session(ingest="[shots]")
    control = RunControl()
    told: list[dict[str, Any]] = []

    def watch(progress: dict[str, Any]) -> None:
        told.append(progress)
        control.request_drain("stop")

    state = start(session, clip)
    runtime = Runtime(context=session.context, control=control, stream_writer=watch)
    with pytest.raises(GraphDrained):
        reporting(sample_frames, ["shots"])(state, runtime)
    assert [one["stage"] for one in told] == ["sample_frames"]
    assert list((session.library.folder / "frames" / state["video"].sha256).iterdir()) == []


def index(session: Session, clip: Path) -> dict[str, Any]:
    """Run the whole of ingest, with LangGraph's retries."""
    told: list[dict[str, Any]] = []
    graph = build_ingest(session.settings)
    values: dict[str, Any] = {}
    parts = graph.stream(
        start(session, clip),
        context=session.context,
        stream_mode=["values", "custom"],
        subgraphs=True,
        version="v2",
    )
    for part in parts:
        if part["type"] == "custom":
            told.append(part["data"])
        elif not part["ns"]:
            values = dict(cast("dict[str, Any]", part["data"]))
    return {**values, "told": told}


@pytest.mark.parametrize(("failures", "status"), [(1, "ok"), (2, "failed")])
@pytest.mark.parametrize("error", [ConnectionError("reset"), TimeoutError("60 s")])
def test_a_hiccup_is_tried_again_once(
    open_session: Open,
    plug_in: PlugIn,
    say: Say,
    clip: Path,
    failures: int,
    status: str,
    error: Exception,
) -> None:
    attempts = []

    def look(given: ToolInput) -> Iterator[Evidence]:
        attempts.append(1)
        if len(attempts) <= failures:
            raise error
        yield say("x")

    plug_in(look)
    found = index(open_session(ingest="[sensor]"), clip)
    assert len(attempts) == 2
    assert found["channels"]["sensor"].status == status


def test_a_bug_is_not_tried_again(open_session: Open, plug_in: PlugIn, clip: Path) -> None:
    attempts = []

    def look(given: ToolInput) -> Iterator[Evidence]:
        attempts.append(1)
        raise ValueError("wrong shape")

    plug_in(look)
    found = index(open_session(ingest="[sensor, subtitles]"), clip)
    assert len(attempts) == 1
    assert found["channels"]["sensor"].status == "failed"
    assert found["channels"]["subtitles"].status == "empty"


def test_progress_names_the_stage(
    open_session: Open, plug_in: PlugIn, say: Say, clip: Path
) -> None:
    def look(given: ToolInput) -> Iterator[Evidence]:
        given.progress(1.0, 2.0)
        yield say("x")

    plug_in(look, needs=FRAMES)
    told = index(open_session(ingest="[sensor]"), clip)["told"]
    assert {"stage": "sensor", "done_s": 1.0, "total_s": 2.0} in told
    sampled = [one["done_s"] for one in told if one["stage"] == "sample_frames"]
    assert sampled == sorted(sampled)
    assert sampled[-1] == pytest.approx(2, abs=0.1)


def test_frames_that_cannot_be_sampled_are_said_by_every_tool_that_wants_them(
    open_session: Open,
    plug_in: PlugIn,
    clip: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("the decoder gave up")

    plug_in(lambda given: iter(()), "first", needs=FRAMES)
    plug_in(lambda given: iter(()), "second", needs=FRAMES)
    session = open_session(ingest="[subtitles, first, second]")
    monkeypatch.setattr("agent.ingest.frames.open_video", broken)
    channels = index(session, clip)["channels"]
    assert {name: one.status for name, one in channels.items()} == {
        "subtitles": "empty",
        "first": "failed",
        "second": "failed",
    }
    assert "the decoder gave up" in channels["second"].reason


def test_known_findings_need_no_second_decoding(open_session: Open, clip: Path) -> None:
    session = open_session(ingest="[shots]")
    first, second = index(session, clip), index(session, clip)
    assert first["usage"]["sample_frames"].decodes == 1
    assert "sample_frames" not in second["usage"]
    assert second["channels"]["shots"].cached


def test_a_tool_that_was_stopped_goes_on_where_it_was(
    open_session: Open, plug_in: PlugIn, say: Say, clip: Path
) -> None:
    control, done = RunControl(), []

    def work(number: int) -> list[Any]:
        done.append(number)
        return [number, 0.1 + 0.2]

    def look(given: ToolInput) -> Iterator[Evidence]:
        for number in range(4):
            if given.stopped():
                raise StoppedError
            kept, rest = given.keep(f"picture {number}", partial(work, number))
            assert rest == 0.1 + 0.2
            if done == [0, 1]:
                control.request_drain("stop")
            yield say(f"picture {kept}")

    plug_in(look)
    session = open_session()
    state = start(session, clip)
    with pytest.raises(GraphDrained):
        run(session, state, control=control)
    assert stored(session, state) == []
    done.append(-1)  # no longer what stops it
    found = run(session, state)
    assert done == [0, 1, -1, 2, 3]
    assert report(found).count == 4
    assert [e.text for e in stored(session, state)] == [f"picture {n}" for n in range(4)]
    (finished,) = session.library.runs(state["video"].sha256)
    key = digest(dict(finished.settings))
    assert session.library.pieces(state["video"], "sensor", key) == {}


def test_a_video_that_is_deleted_while_it_is_indexed_ends_the_run(
    open_session: Callable[..., Session], harbour: Path, plug_in: Callable[..., type[Tool]]
) -> None:
    def run(given: ToolInput) -> Iterator[Evidence]:
        with Library(session.library.folder) as another:
            another.delete(given.video)
        yield Evidence("sensor", "measurement", 0.0, 1.0, "late")

    plug_in(run)
    session = open_session(ingest="[sensor]")
    with pytest.raises(DeletedError, match="was deleted from the library while it was indexed"):
        session.index(harbour)
    assert session.library.entries() == []
    assert list((session.library.folder / "locks").glob("*-sensor-*")) == []
