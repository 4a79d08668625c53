"""Grounding end to end: from a clip and a description to intervals."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langgraph.runtime import RunControl
from PIL import Image

from agent.answering.time_spans import Span
from agent.batch.records import Result
from agent.evaluation.outcomes import outcome_of
from agent.evaluation.task import Item, Media, Truth
from agent.grounding.description import ask_when
from agent.records import Question
from agent.session import Session
from tools.errors import MissingError, StoppedError
from tools.model_files.store import ModelStore

Open = Callable[..., Session]
CODE = "the code of the gate"


def lit(time_s: float, width: int, height: int) -> Any:
    """A picture that is bright from 1 to 3 s, and dark otherwise; no two are alike."""
    level = 200 if 1 <= time_s < 3 else 20
    return np.full((height, width, 3), level + 8 * time_s, np.uint8)


@pytest.fixture
def lamp(make_clip: Callable[..., Path]) -> Path:
    return make_clip("lamp.mp4", draw=lit, seconds=5, size=(64, 48))


@pytest.fixture
def looking(watching: Callable[..., Any]) -> Callable[..., Any]:
    """A model that really looks: it says yes to a bright picture; other prompts follow a script."""

    class LookingChat(watching):  # type: ignore[misc, valid-type]
        option_scoring: bool = False
        on_look: Callable[[], None] = lambda: None

        def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> Any:
            done = super()._generate(messages, *args, **kwargs)
            if not self.pictures:
                return done
            self.on_look()
            picture = Image.open(io.BytesIO(self.pictures[0])).convert("L")
            said = AIMessage("Yes." if np.mean(picture) > 127 else "No.")
            return ChatResult(generations=[ChatGeneration(message=said)])

    return LookingChat


def test_speech_is_found_and_joined_without_a_model_that_sees(
    open_session: Open, scripted: Callable[..., Any], harbour: Path
) -> None:
    chat = scripted(replies=["Yes, they do."])
    session = open_session(chat, method="ground")
    found = session.ask(harbour, CODE)
    assert (found.evidence[0].start_s, found.evidence[0].end_s) == pytest.approx(
        (1.4, 2.6), abs=0.1
    )
    assert found.answer == "1.4-2.6 s"
    assert found.measured_by == "similarity"
    assert 0.25 < found.confidence == pytest.approx(found.evidence[0].score, abs=1e-3)
    assert found.evidence[0].text == "The gate code is 7391."
    assert len(chat.seen) == 1
    assert 'speech: "The gate code is 7391."' in chat.seen[0]
    assert found.plan == session.plan(harbour, CODE).id
    assert set(found.prompts) <= set(session.plan(harbour, CODE).prompts)


def test_insufficient_notes_give_no_interval(
    open_session: Open, scripted: Callable[..., Any], harbour: Path
) -> None:
    found = open_session(scripted(replies=["No."]), method="ground").ask(harbour, CODE)
    assert found.abstained
    assert "do not hold enough" in found.reason
    asked = {"method": "ground", "ground.sufficiency": False}
    assert not open_session(scripted(replies=["No."]), **asked).ask(harbour, CODE).abstained


def test_what_nothing_resembles_is_not_found_and_no_model_is_asked(
    open_session: Open, scripted: Callable[..., Any], harbour: Path
) -> None:
    chat = scripted()
    session = open_session(chat, method="ground", **{"ground.min_similarity": 0.9})
    found = session.ask(harbour, "a man repairs a motorcycle")
    assert found.abstained
    assert "no evidence is similar enough" in found.reason
    assert chat.seen == []


def test_a_model_that_sees_is_asked_once_a_second(
    open_session: Open, looking: Callable[..., Any], lamp: Path
) -> None:
    chat = looking()
    session = open_session(chat, method="ground")
    found = session.ask(lamp, "a lamp is on")
    assert [(one.start_s, one.end_s) for one in found.evidence] == [(1.0, 3.0)]
    assert (found.measured_by, found.confidence) == ("pictures", 1.0)
    assert found.total("model_calls") == 5
    assert chat.seen[0].startswith("Looked for: a lamp is on\nDoes the picture show this?")
    session.ask(lamp, "a lamp is on")
    assert len(chat.seen) == 5  # the replies are kept
    assert [round(f.time_s, 1) for f in session.plan(lamp, "x").frames] == [0.5, 1.5, 2.5, 3.5, 4.5]


def test_nothing_that_is_seen_is_nothing_found(
    open_session: Open, looking: Callable[..., Any], make_clip: Callable[..., Path]
) -> None:
    dark = make_clip("dark.mp4", draw=lambda t, w, h: lit(3 + t, w, h), seconds=2, size=(64, 48))
    found = open_session(looking(), method="ground").ask(dark, "a lamp is on")
    assert found.abstained
    assert "yes to none of 2 pictures" in found.reason


def test_a_long_video_is_looked_at_less_often_and_the_answer_says_so(
    open_session: Open, looking: Callable[..., Any], lamp: Path
) -> None:
    session = open_session(looking(), method="ground", **{"ground.pictures": 2})
    found = session.ask(lamp, "a lamp is on")
    assert "one picture was looked at every 2.5 s" in found.reason
    assert [(one.start_s, one.end_s) for one in found.evidence] == [(0.0, 2.5)]


def test_a_text_model_reads_the_replies_a_line_each_as_published(
    open_session: Open, looking: Callable[..., Any], lamp: Path
) -> None:
    chat = looking(replies=["", "", "", "", "", "Yes", "It is on from 1 to 2.5 s and in [4, 9]."])
    session = open_session(chat, method="ground", **{"ground.reading": "model"})
    found = session.ask(lamp, "a lamp is on")
    assert "0-1 s: no\n1-2 s: yes\n2-3 s: yes\n3-4 s: no\n4-5 s: no" in chat.seen[-1]
    assert [(e.start_s, e.end_s) for e in found.evidence] == [(4.0, 5.0)]  # bracketed ones win
    assert [step.tool for step in found.steps] == ["ground_enough", "ground_when"]
    assert found.confidence == 0.0  # no picture there shows it


@pytest.mark.parametrize("reply", ["none", "[90, 99]"])
def test_no_interval_is_made_up(
    open_session: Open, scripted: Callable[..., Any], harbour: Path, reply: str
) -> None:
    chat = scripted(replies=["yes", reply])
    session = open_session(chat, method="ground", **{"ground.reading": "model"})
    found = session.ask(harbour, CODE)
    assert found.abstained
    assert found.reason.startswith("no interval: ")


def test_a_question_with_options_is_answered_from_the_intervals(
    open_session: Open, scripted: Callable[..., Any], harbour: Path
) -> None:
    chat = scripted(replies=["yes", "B"])
    found = open_session(chat, method="ground").ask(
        harbour, "What is the gate code?", ["1", "7391"]
    )
    assert (found.choice, found.answer) == (1, "7391")
    assert [one.kind for one in found.evidence] == ["interval"]
    assert "7391" in chat.seen[-1]
    assert "ferry" not in chat.seen[-1]
    truth = Truth(choice=1, spans=(Span(1.0, 2.6),))
    item = Item("1", "harbour", Media(harbour), Question("?", ("1", "7391")), truth)
    result = Result("1", "harbour", "", "?", ("1", "7391"), "answered", answer=found.to_json())
    scored = outcome_of(item, result, "grounded choice")
    assert (scored.value, scored.extra["acc@gqa"], scored.extra["miop"]) == (1.0, 1.0, 1.0)
    assert scored.extra["miou"] == pytest.approx(1.2 / 1.6, abs=0.02)


def test_a_benchmark_question_is_grounded_by_its_description(
    open_session: Open, scripted: Callable[..., Any], harbour: Path
) -> None:
    chat = scripted(replies=["yes"])
    open_session(chat, method="ground").ask(harbour, ask_when(CODE))
    assert f"Looked for: {CODE}\n" in chat.seen[0]


def test_without_weights_the_evidence_alone_is_joined(
    open_session: Open, scripted: Callable[..., Any], harbour: Path, monkeypatch: Any
) -> None:
    session = open_session(None, method="ground", **{"chat.model": "gone/gone"})
    found = session.ask(harbour, CODE)
    assert found.answer == "1.4-2.6 s"
    assert found.total("model_calls") == 0

    def missing(*_: object) -> None:
        raise MissingError("no weights of the embedding model; fetch them")

    monkeypatch.setattr(type(session.context.pool), "embedder", missing)
    by_words = session.ask(harbour, CODE)
    assert by_words.answer == "1.4-2.6 s"
    assert by_words.confidence == 1.0  # both words stand there
    (told,) = [c for c in by_words.channels if c.tool == "retrieve"]
    assert "only words are compared" in told.reason


def test_stop_ends_between_two_pictures_and_the_next_run_goes_on(
    open_session: Open, looking: Callable[..., Any], lamp: Path
) -> None:
    control, chat = RunControl(), looking()
    chat.on_look = lambda: control.request_drain("stop") if len(chat.seen) == 2 else None
    session = open_session(chat, method="ground")
    with pytest.raises(StoppedError):
        list(session.stream(lamp, "a lamp is on", control=control))
    assert len(chat.seen) == 2
    found = session.ask(lamp, "a lamp is on")
    assert len(chat.seen) == 5
    assert found.answer == "1-3 s"


@pytest.mark.parametrize("reading", ["merge", "model"])
def test_a_tiny_random_model_that_sees_goes_all_the_way(
    open_session: Open, tiny_llava: Path, harbour: Path, reading: str
) -> None:
    """Its yes and no are noise, but measured: the likelihoods of real weights, kept for later."""
    settings = {"chat.model": str(tiny_llava), "chat.max_new_tokens": 8, "ground.reading": reading}
    session = open_session(method="ground", **settings)
    found = session.ask(harbour, CODE)
    assert found.total("scored") == 8  # yes and no of four pictures
    assert found.abstained or found.measured_by in ("pictures", "similarity")
    again = session.ask(harbour, CODE)
    assert again.total("scored") == 0
    assert (again.answer, again.evidence) == (found.answer, found.evidence)


def test_the_command_prints_a_table_or_json(
    reelgraph: Callable[..., Any], scripted_chat: Any, harbour: Path
) -> None:
    scripted_chat.replies = ("yes",)
    run = ("ground", harbour, CODE, "--set", "ingest=[subtitles]")
    done = reelgraph(*run)
    assert done.code == 0
    assert "1.4-2.6 s" in done.out
    assert "0:01.4" in done.out
    assert "The gate code is 7391." in done.out
    plain = json.loads(reelgraph(*run, "--json").out)
    assert plain["evidence"][0]["start_s"] == pytest.approx(1.4)
    assert plain["method"] == "ground"
    assert json.loads(reelgraph(*run, "--dry-run").out)["method"] == "ground"
    nothing = reelgraph(*run, "--set", "ground.min_similarity=0.99")
    assert nothing.code == 3
    assert "Not found:" in nothing.out
    gone = reelgraph("ground", harbour.with_name("gone.mp4"), CODE)
    assert (gone.code, "there is no file" in gone.err) == (2, True)


@pytest.mark.slow
def test_the_default_model_sees_that_notes_do_not_tell(
    models_folder: Path, open_session: Open, harbour: Path
) -> None:
    """Real weights: without the examples it says yes to any notes."""
    ModelStore(models_folder).find("qwen2.5-coder-1.5b")
    session = open_session(method="ground", **{"ground.min_similarity": 0.0})
    assert not session.ask(harbour, CODE).abstained
    found = session.ask(harbour, "a helicopter lands")
    assert found.abstained
    assert "do not hold enough" in found.reason
