from typing import Any

import pytest

from agent.answer import Answer
from agent.library.exchange import Exchange, ModelCall, Seen
from agent.page.chats import history
from agent.page.run_view import RunView
from agent.records import Understood
from agent.session import Event
from tools.evidence import ChannelReport, Evidence

EVIL = '<img src=x onerror="alert(1)"> ${alert(2)} {{alert}}'


def exchange(answer: Answer, **values: Any) -> Exchange:
    return Exchange(
        **{
            **{"asked": "What?", "options": [], "understood": "What?", "how": ""},
            **{"sha256": "0" * 64, "video": "a.mp4", "when": "2026-01-01T00:00:00+00:00"},
            **{"answer": answer.to_json(), "calls": [], "seen": []},
            **values,
        }
    )


@pytest.fixture
def evil() -> Exchange:
    cited = Evidence("ocr", "text", 1.0, 2.0, EVIL)
    channel = ChannelReport("ocr", "failed", reason=EVIL)
    answer = Answer(answer=EVIL, reason=EVIL, evidence=(cited,), channels=(channel,), guess=EVIL)
    said = {"role": "human", "text": EVIL, "pictures": 1}
    call = ModelCall(
        node=EVIL, messages=[said], reply=EVIL, input_tokens=1, output_tokens=1, seconds=0.1
    )
    seen = Seen(file="a.jpg", kind=EVIL, times_s=[1.0])
    asked = {"asked": EVIL, "understood": EVIL, "how": EVIL, "video": EVIL}
    return exchange(answer, calls=[call], seen=[seen], **asked)


def test_words_of_a_video_never_become_markup_or_a_template(evil: Exchange) -> None:
    view = RunView(token="abc", pictures=True)
    view.recall(evil)
    shown = [view.turn_html(), view.progress_html()]
    for html in (*shown, view.details_html(["seen/abc"]), history(EVIL, [evil])):
        assert "&lt;img" in html
        assert "<img src=x" not in html
        assert "${" not in html
        assert "{{" not in html


def test_a_reply_grows_word_by_word_and_starts_anew_when_the_prompt_is_cut() -> None:
    view = RunView(busy="Looking at it")
    assert "Looking at it" in view.turn_html()
    for word in ("The code ", "is"):
        assert view.take(Event("token", word))
    assert "The code is" in view.turn_html()
    view.take(Event("progress", {"stage": "reason", "shrunk_to": 0.5, "why": "too long"}))
    assert "The code is" not in view.turn_html()


def test_another_reply_takes_the_place_of_the_one_before() -> None:
    view = RunView()
    for event in (Event("token", "It is "), Event("token", "blue"), Event("stage", "reason")):
        view.take(event)
    assert "It is blue" in view.turn_html()
    view.take(Event("token", "7391"))
    assert "It is blue" not in view.turn_html()
    assert "7391" in view.turn_html()


def test_a_follow_up_says_how_it_was_understood() -> None:
    view = RunView(question="And the cook?")
    view.take(Event("understood", Understood("What does the cook eat?", "in the words before")))
    assert "What does the cook eat?" in view.turn_html()
    assert "in the words before" in view.turn_html()


def test_details_say_what_was_sent_and_shown(evil: Exchange) -> None:
    view = RunView()
    assert "Nothing was asked yet" in view.details_html()
    view.take(Event("exchange", evil))
    assert 'src="seen/abc"' in view.details_html(["seen/abc"])
    assert "no longer kept" in view.details_html([""])
    view.take(Event("exchange", exchange(Answer("four"))))
    assert "without a language model" in view.details_html()


def test_a_bar_runs_until_its_tool_has_reported() -> None:
    view = RunView()
    view.take(Event("progress", {"stage": "ocr", "done_s": 30.0, "total_s": 120.0}))
    assert 'value="25"' in view.progress_html()
    view.take(Event("channel", ChannelReport("ocr", "ok", count=4, seconds=2.0)))
    html = view.progress_html()
    assert "<progress" not in html
    assert "rg-ok" in html


def test_an_error_keeps_what_the_tools_reported() -> None:
    view = RunView()
    view.take(Event("channel", ChannelReport("shots", "ok", count=1)))
    view.fail(ValueError("the disk is full"))
    assert "the disk is full" in view.turn_html()
    assert "shots" in view.progress_html()


def test_an_abstention_says_why_and_shows_what_came_nearest() -> None:
    view = RunView()
    near = Evidence("subtitles", "speech", 65.0, 70.0, "Something else.")
    answer = Answer("", abstained=True, reason="nothing fits", evidence=(near,))
    view.take(Event("exchange", exchange(answer)))
    assert "No answer" in view.turn_html()
    assert "What came nearest" in view.turn_html()
    assert 'data-seek="65.000"' in view.turn_html()


def test_a_tool_that_waits_for_another_run_says_so_until_it_begins() -> None:
    view = RunView()
    view.take(Event("progress", {"stage": "detect", "waits": True}))
    assert "waits for another run" in view.progress_html()
    view.take(Event("progress", {"stage": "detect", "done_s": 1.0, "total_s": 4.0}))
    assert "waits" not in view.progress_html()
    assert "25 %" in view.progress_html()
