from collections.abc import Iterator
from threading import Event as Signal

import pytest
from langgraph.runtime import RunControl

from agent.page import running
from agent.page.running import Running, follow
from agent.session import Event
from tools.errors import InputError, StoppedError


def test_stop_stops_the_runs_of_one_tab_only() -> None:
    running = Running()
    with running.run("mine") as mine, running.run("theirs") as theirs:
        assert running.stop("mine") == 1
        assert mine.drain_requested
        assert not theirs.drain_requested
    assert running.stop("mine") == 0


def test_events_come_through_and_so_do_errors() -> None:
    def run() -> Iterator[Event]:
        yield Event("token", "one")
        raise InputError("no such file")

    events = follow(run(), RunControl())
    assert next(events).data == "one"
    with pytest.raises(InputError, match="no such file"):
        next(events)


def test_stop_waits_for_a_short_piece_of_work() -> None:
    control = RunControl()

    def run() -> Iterator[Event]:
        yield Event("stage", "ocr")
        control.request_drain("stop")
        raise StoppedError

    with pytest.raises(StoppedError, match="ask again to go on"):
        list(follow(run(), control))


def test_stop_leaves_a_long_piece_of_work_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "PATIENCE_S", 0.2)
    control, go_on, ended = RunControl(), Signal(), Signal()

    def run() -> Iterator[Event]:
        yield Event("stage", "probe")
        go_on.wait(60)
        ended.set()
        assert control.drain_requested
        raise StoppedError

    events = follow(run(), control)
    next(events)
    control.request_drain("stop")
    with pytest.raises(StoppedError, match="still ends by itself"):
        next(events)
    assert not ended.is_set()
    go_on.set()
    assert ended.wait(60)


def test_whoever_leaves_stops_the_run() -> None:
    control = RunControl()
    events = follow(iter([Event("token", "one"), Event("token", "two")]), control)
    next(events)
    events.close()
    assert control.drain_requested


def test_questions_wait_in_order_and_go_on_with_one_chat() -> None:
    running = Running()
    with (
        running.turn("tab", "first", "one") as first,
        running.turn("tab", "second", "two") as second,
        running.turn("other", "x", "y") as own,
    ):
        assert running.comes_first("tab", first)
        assert not running.comes_first("tab", second, patience_s=0.01)
        assert running.comes_first("other", own)
        assert running.waiting("tab") == ["second"]
        assert (second.chat, own.chat) == ("one", "y")
    assert running.waiting("tab") == []


def test_a_question_that_waits_is_taken_back() -> None:
    running = Running()
    with (
        running.turn("tab", "first", "one") as first,
        running.turn("tab", "second", "") as second,
        running.turn("tab", "third", "") as third,
    ):
        running.drop("tab", 0)
        assert running.waiting("tab") == ["third"]
        assert running.comes_first("tab", second)  # so that it ends
        assert (first.dropped, second.dropped, third.dropped) == (False, True, False)
        running.drop("tab")
        assert running.waiting("tab") == []
        assert not first.dropped
