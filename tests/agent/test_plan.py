import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import prompts
from agent.records import Plan
from agent.session import Session
from tools.base import Tool

Open = Callable[..., Session]
PlugIn = Callable[..., type[Tool]]

QUESTION = "What is the gate code?"
INGEST = "[subtitles, shots]"


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
    assert made.models == {"chat": "smollm2-135m", "embedder": "all-MiniLM-L6-v2"}
    assert made.prompts["decouple"] == prompts.version("decouple")
    assert made.prompts.keys() <= set(prompts.names())


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
    }
    assert len({made.id for made in plans.values()}) == len(plans)


def test_what_does_not_shape_the_answer_does_not(plan: Callable[..., Plan], tmp_path: Path) -> None:
    same = [plan(), plan(library=tmp_path / "other"), plan(device="auto"), plan(f"  {QUESTION} ")]
    assert len({made.id for made in same}) == 1


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
) -> None:
    chat = scripted(replies=replies)
    session = open_session(chat)
    low, high = session.plan(harbour, question).calls
    answer = session.ask(harbour, question)
    assert low <= answer.total("model_calls") <= high
    assert answer.total("model_calls") == len(chat.seen)
    assert answer.prompts.keys() <= session.plan(harbour, question).prompts.keys()
