import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import prompts
from agent.graph import find_video
from agent.plan import make_plan
from agent.records import Plan
from agent.session import Session
from tools.base import Tool
from tools.errors import ChangedError

Open = Callable[..., Session]
PlugIn = Callable[..., type[Tool]]

QUESTION = "What is the gate code?"
INGEST = "[subtitles, shots]"
OPEN = {
    "ingest": "[detect]",
    "detect.engine": "yolo-world",
    "image_encoder.model": "some/clip",
}


@pytest.fixture
def plan(open_session: Open, harbour: Path) -> Callable[..., Plan]:
    """Make a plan for a question of the harbour."""

    def make(question: str = QUESTION, options: tuple[str, ...] = (), **settings: Any) -> Plan:
        return open_session(**{"ingest": INGEST, **settings}).plan(harbour, question, options)

    return make


def test_a_plan_says_what_will_be_done(plan: Callable[..., Plan]) -> None:
    made = plan()
    assert made.method == "video-rag"
    assert [tool.tool for tool in made.tools] == ["subtitles", "shots"]
    assert not any(tool.known for tool in made.tools)
    assert made.sampling["step_s"] == 1.0
    assert made.models == {"chat": "qwen2.5-coder-1.5b", "embedder": "multilingual-e5-small"}
    assert made.prompts["given_records"] == prompts.version("given_records")
    assert made.prompts.keys() <= set(prompts.names())


def test_where_the_question_itself_is_searched_a_call_less_is_planned(
    plan: Callable[..., Plan],
) -> None:
    asked, searched = (plan(**{"video-rag.decouple": each}) for each in (True, False))
    assert (asked.calls, searched.calls) == ((1, 3), (0, 2))
    assert asked.prompts == {**searched.prompts, "decouple": prompts.version("decouple")}
    assert "decouple" not in searched.prompts


def test_the_examples_and_the_outline_stand_in_the_plan(plan: Callable[..., Plan]) -> None:
    made = plan()
    plain = plan(**{"video-rag.examples": False, "retrieval.outline_tokens": 0})
    assert {"read_system", "read_examples", "given_outline"} <= made.prompts.keys()
    assert "read_examples" not in plain.prompts
    assert plain.tokens < made.tokens


def test_a_plan_is_plain_data(plan: Callable[..., Plan], tmp_path: Path) -> None:
    made = plan()
    text = json.dumps(made.to_json())
    assert json.loads(text)["plan"] == made.id
    assert len(made.id) == 12
    assert str(tmp_path) not in text


def test_what_shapes_the_answer_changes_the_plan(
    plan: Callable[..., Plan], tiny_llama: Path
) -> None:
    plans = {
        "plain": plan(),
        "question": plan("Where is the gate?"),
        "options": plan(QUESTION, ("1111", "7391")),
        "order of options": plan(QUESTION, ("7391", "1111")),
        "tools": plan(ingest="[subtitles]"),
        "option of a tool": plan(**{"shots.min_shot_s": 9}),
        "step": plan(**{"sampling.step_s": 0.5}),
        "evidence": plan(**{"retrieval.top_k": 1}),
        "length": plan(**{"chat.max_new_tokens": 9}),
        "model": plan(**{"chat.model": str(tiny_llama)}),
        "embedding": plan(**{"embedder.model": "other"}),
        "context": plan(**{"chat.context_tokens": 99}),
        "calibration": plan(**{"chat.calibration": "[0, 1]"}),
        "withheld": plan(**{"chat.calibration": "[0, 1]", "chat.abstain_below": 0.5}),
        "longer context": plan(**{"chat.model": str(tiny_llama), "chat.rope_factor": 2}),
        "pictures": plan(**{"chat.max_images": 2}),
        "captioner": plan(ingest="[caption]", **{"captioner.model": "another"}),
        "no captioner": plan(ingest="[caption]"),
        "image encoder": plan(**OPEN),
        "another image encoder": plan(**OPEN | {"image_encoder.model": "another"}),
        "detector": plan(**OPEN | {"detect.model": "other.pt"}),
    }
    assert len({made.id for made in plans.values()}) == len(plans)


def test_what_does_not_shape_the_answer_does_not(plan: Callable[..., Plan], tmp_path: Path) -> None:
    same = [
        plan(),
        plan(library=tmp_path / "other"),
        plan(device="auto"),
        plan(f"  {QUESTION} "),
        plan(**{"chat.input_price": 1, "chat.output_price": 2}),
        plan(**{"chat.timeout_s": 9, "chat.max_retries": 0, "chat.key_variable": "MY_KEY"}),
        plan(memory_gb=9, **{"chat.batch": 1, "embedder.batch": 1}),
        plan(**{"captioner.model": "unused", "image_encoder.model": "unused"}),
    ]
    assert len({made.id for made in same}) == 1


def test_every_model_that_may_be_used_stands_in_the_plan(plan: Callable[..., Plan]) -> None:
    tools = "[transcribe, ocr, detect, caption]"
    made = plan(ingest=tools, **{k: v for k, v in OPEN.items() if k != "ingest"})
    assert made.models == {
        "chat": "qwen2.5-coder-1.5b",
        "captioner": "qwen2.5-coder-1.5b",
        "embedder": "multilingual-e5-small",
        "image encoder": "some/clip",
        "speech": "whisper-base",
        "voice activity": "silero-vad",
        "text detector": "PP-OCRv6_small_det",
        "text recogniser": "PP-OCRv6_small_rec",
        "detector": "yolov8s-worldv2.pt",
        "text encoder": "openai/clip-vit-base-patch32",
    }
    assert plan(method="blind").models == {"chat": "qwen2.5-coder-1.5b"}


def test_what_is_known_does_not_change_the_plan(open_session: Open, harbour: Path) -> None:
    session = open_session(ingest=INGEST)
    before = session.plan(harbour, QUESTION)
    session.index(harbour)
    after = session.plan(harbour, QUESTION)
    assert [tool.known for tool in after.tools] == [True, True]
    assert after.id == before.id
    other = harbour.rename(harbour.with_name("moved.mp4"))
    assert session.plan(other, QUESTION).id == before.id


def test_a_tool_that_waits_for_the_question_is_planned_without_the_key_of_a_run(
    open_session: Open, plug_in: PlugIn, harbour: Path
) -> None:
    plug_in(lambda given: iter(()), needs=frozenset({"phrases"}))
    plan = open_session(ingest="[sensor]").plan(harbour, QUESTION)
    (tool,) = plan.tools
    assert (tool.known, tool.waits, plan.key("sensor")) == (False, True, None)


@pytest.mark.parametrize("decouple", [True, False])
@pytest.mark.parametrize(
    ("question", "replies"),
    [
        (QUESTION, ["7391"]),
        (QUESTION, ["9999", "8888"]),
        (QUESTION, ["I don't know", "I cannot say"]),
        ("Which composer wrote the Moonlight Sonata?", ["Beethoven"]),
    ],
)
def test_the_model_is_called_as_often_as_planned(
    open_session: Open,
    scripted: Callable[..., Any],
    harbour: Path,
    question: str,
    replies: list[str],
    decouple: bool,
) -> None:
    chat = scripted(replies=replies)
    session = open_session(chat, **{"video-rag.decouple": decouple})
    low, high = session.plan(harbour, question).calls
    answer = session.ask(harbour, question)
    assert low <= answer.total("model_calls") <= high
    assert answer.total("model_calls") == len(chat.seen)
    assert answer.prompts.keys() <= session.plan(harbour, question).prompts.keys()
    assert ("decouple" in answer.prompts) == decouple


@pytest.fixture
def after_the_plan(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], list[Plan]]:
    """`after_the_plan(change)`: what changes once a run was planned; returns the plans made."""

    def changing(change: Callable[[], object]) -> list[Plan]:
        made: list[Plan] = []

        def planned(*given: Any) -> Plan:
            made.append(make_plan(*given))
            change()
            return made[-1]

        monkeypatch.setattr("agent.graph.make_plan", planned)
        return made

    return changing


@pytest.fixture
def beside(make_clip: Callable[..., Path]) -> Path:
    """Two seconds with a line of subtitles in a file beside them."""
    clip = make_clip("clip.mp4", seconds=2)
    say_beside(clip, "The gate code is 7391.")
    return clip


def say_beside(clip: Path, text: str) -> None:
    clip.with_suffix(".srt").write_text(f"1\n00:00:00,000 --> 00:00:02,000\n{text}\n")


@pytest.mark.parametrize("method", ["auto", "blind", "direct", "subtitles-only", "ig-vlm", "llovi"])
def test_a_run_follows_the_very_plan_that_is_told_beforehand(
    open_session: Open, watching: Callable[..., Any], harbour: Path, method: str
) -> None:
    session = open_session(watching(), method=method)
    told = session.plan(harbour, QUESTION)
    answer = session.ask(harbour, QUESTION)
    assert answer.plan == told.id
    assert (answer.method, answer.models) == (told.method, dict(told.models))
    assert session.plan(harbour, QUESTION).id == told.id


def test_the_plan_is_made_once_and_before_any_model_is_called(
    open_session: Open,
    scripted: Callable[..., Any],
    harbour: Path,
    after_the_plan: Callable[..., list[Plan]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked: list[Path] = []

    def find(path: Path, *given: Any) -> Any:
        looked.append(path)
        return find_video(path, *given)

    monkeypatch.setattr("agent.graph.find_video", find)
    chat = scripted()
    calls_then: list[int] = []
    plans = after_the_plan(lambda: calls_then.append(len(chat.seen)))
    answer = open_session(chat).ask(harbour, QUESTION)
    assert [plan.id for plan in plans] == [answer.plan]
    assert calls_then == [0]
    assert looked == [harbour]
    assert chat.seen


def test_a_sidecar_that_changes_does_not_change_a_plan_that_can_be_followed(
    open_session: Open,
    scripted: Callable[..., Any],
    beside: Path,
    after_the_plan: Callable[..., list[Plan]],
) -> None:
    session = open_session(scripted())
    session.index(beside)
    told = session.plan(beside, QUESTION)
    after_the_plan(lambda: say_beside(beside, "The gate code is 1111."))
    answer = session.ask(beside, QUESTION)
    assert answer.plan == told.id
    assert [one.text for one in answer.evidence] == ["The gate code is 7391."]
    assert session.plan(beside, QUESTION).id != told.id


def test_a_sidecar_that_changes_ends_a_run_that_needs_the_old_one(
    open_session: Open,
    scripted: Callable[..., Any],
    beside: Path,
    after_the_plan: Callable[..., list[Plan]],
) -> None:
    session = open_session(scripted())
    after_the_plan(lambda: say_beside(beside, "The gate code is 1111."))
    with pytest.raises(ChangedError, match=r"clip\.srt was changed .* ask again"):
        session.ask(beside, QUESTION)
    assert session.library.entries()[0].runs == ()


def test_what_was_found_in_a_file_that_changed_meanwhile_is_not_kept(
    open_session: Open, plug_in: PlugIn, say: Callable[..., Any], beside: Path
) -> None:
    side = beside.with_suffix(".srt")

    def read(given: Any) -> Any:
        yield say(side.read_text())
        side.write_text("something else")

    made: Any = plug_in(read)
    made.reads = lambda self, video: [side]
    session = open_session(ingest="[sensor]")
    with pytest.raises(ChangedError, match=r"clip\.srt"):
        session.index(beside)
    assert session.library.entries()[0].runs == ()


def test_captions_that_change_meanwhile_end_the_run(
    open_session: Open,
    scripted: Callable[..., Any],
    harbour: Path,
    tmp_path: Path,
    after_the_plan: Callable[..., list[Plan]],
) -> None:
    file = tmp_path / "captions.json"
    file.write_text(json.dumps(["a gate", "a ferry"]))
    session = open_session(scripted(), method="llovi", **{"llovi.captions": str(file)})
    told = session.plan(harbour, QUESTION)
    assert session.ask(harbour, QUESTION).plan == told.id
    after_the_plan(lambda: file.write_text(json.dumps(["a gate", "a whale"])))
    with pytest.raises(ChangedError, match=r"captions\.json"):
        session.ask(harbour, QUESTION)
