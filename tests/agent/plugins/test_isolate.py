"""A tool in a process of its own: whatever it does there ends as a channel report."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from langgraph.runtime import RunControl

from agent.session import Event, Session
from tools.errors import StoppedError

Open = Callable[..., Session]
Write = Callable[..., Path]

HEAD = "import ctypes, os, sys, time"
USUAL: dict[str, Any] = {"ingest": "[]", "sensor.isolation": "process"}


def sensor(body: str, parameters: str = "video: Video") -> str:
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    return f"@tool\ndef sensor({parameters}):\n    '''A sensor.'''\n{lines}"


@pytest.fixture
def isolated(
    write: Write, open_session: Open, make_clip: Callable[..., Path]
) -> Callable[..., tuple[Session, Any]]:
    """`isolated(source, **settings)`: the report of a tool in a process of its own."""

    def run(source: str, **settings: Any) -> tuple[Session, Any]:
        plugins = [str(write(source, head=HEAD))]
        session = open_session(**{**USUAL, **settings}, plugins=plugins)
        (report,) = session.index(make_clip(seconds=2, audio=True))
        return session, report

    return run


def texts(session: Session) -> list[str]:
    (entry,) = session.library.entries()
    return [p.evidence.text for p in session.library.passages([run.id for run in entry.runs])]


def test_it_runs_elsewhere_with_pictures_and_options(isolated: Any) -> None:
    body = "return f'{os.getpid()} {frame.image().shape} {most}'"
    session, report = isolated(sensor(body, "frame: StoredFrame, most: int = 3"))
    assert (report.status, report.count) == ("ok", 2)
    pid, rest = texts(session)[0].split(" ", 1)
    assert int(pid) != os.getpid()
    assert rest == "(240, 320, 3) 3"


def test_it_hears_the_sound(isolated: Any) -> None:
    session, report = isolated(sensor("return str(len(block.samples))", "block: AudioBlock"))
    assert report.status == "ok"
    assert int(texts(session)[0]) == pytest.approx(32_000, abs=1_000)


def test_what_it_prints_does_not_get_between(isolated: Any) -> None:
    session, report = isolated(sensor("print('noise'); os.system('echo more')\nreturn 'a'"))
    assert report.status == "ok"
    assert texts(session) == ["a"]


FATES = {
    "a crash": ("os.kill(os.getpid(), 11)", {}, "signal 11, SIGSEGV"),
    "an end without a word": ("os._exit(7)", {}, "exit code 7"),
    "an end with its last words": (
        "sys.stderr.write('no licence\\n'); sys.stderr.flush(); time.sleep(0.2); os._exit(7)",
        {},
        "no licence",
    ),
    "a hang": ("time.sleep(600)", {"sensor.isolation": {"timeout_s": 3}}, "said nothing for 3 s"),
    "an enormous output": (
        "while True:\n    yield 'x' * 50_000",
        {"sensor.isolation": {"output_mb": 1}},
        "more than 1 MB",
    ),
    "one enormous finding": (
        "return 'x' * 3_000_000",
        {"sensor.isolation": {"output_mb": 1}},
        "more than 1 MB",
    ),
    "a hunger for memory": (
        "held = []\nwhile True:\n    held.append(bytearray(b'x' * 10_000_000)); time.sleep(0.01)",
        {"sensor.isolation": {"memory_gb": 0.5}},
        "more than 0.5 GB",
    ),
    "an exception": ("raise ValueError('odd')", {}, "ValueError: odd"),
    "an end of the program": ("sys.exit(3)", {}, "SystemExit: 3"),
    "a wrong return type": ("return 5", {}, "expected a text, a Finding"),
    "a wrong interpreter": ("return 'a'", {"sensor.isolation": {"python": "/bin/cat"}}, "cat"),
}


@pytest.mark.parametrize(("body", "settings", "words"), FATES.values(), ids=FATES.keys())
def test_its_fate_is_a_failed_channel_and_leaves_no_process(
    isolated: Any, body: str, settings: dict[str, Any], words: str
) -> None:
    before = {child.pid for child in psutil.Process().children()}
    _, report = isolated(sensor(body), **settings)
    assert report.status == "failed"
    assert words in report.reason
    assert {child.pid for child in psutil.Process().children()} <= before


def test_a_missing_package_there_is_unavailable(isolated: Any) -> None:
    body = "from tools.errors import MissingError\nraise MissingError('no zxing; get it')"
    _, report = isolated(sensor(body))
    assert (report.status, report.reason) == ("unavailable", "no zxing; get it")


def test_another_interpreter_may_be_named(isolated: Any, tmp_path: Path) -> None:
    other = tmp_path / "python"
    other.write_text(f'#!/bin/sh\nOWN=yes exec "{sys.executable}" "$@"\n')
    other.chmod(0o755)
    source = sensor("return os.environ.get('OWN', 'no')")
    session, report = isolated(source, **{"sensor.isolation": {"python": str(other)}})
    assert report.status == "ok"
    assert texts(session) == ["yes"]


def test_an_interpreter_that_is_not_there_is_unavailable(isolated: Any) -> None:
    _, report = isolated(sensor("return 'a'"), **{"sensor.isolation": {"python": "/no/python"}})
    assert report.status == "unavailable"
    assert "/no/python" in report.reason


def test_stop_ends_a_tool_that_does_not_listen(
    write: Write, open_session: Open, make_clip: Callable[..., Path]
) -> None:
    body = "given.progress(1, 2)\ntime.sleep(600)"
    file = write(sensor(body, "given: ToolInput"), head=HEAD)
    session, control = open_session(**USUAL, plugins=[str(file)]), RunControl()
    pressed: list[float] = []

    def press_stop(events: Iterator[Event]) -> None:
        for event in events:
            if event.kind == "progress":
                control.request_drain("stop")
                pressed.append(time.monotonic())

    with pytest.raises(StoppedError):
        press_stop(session.stream_index(make_clip(seconds=2), control))
    assert 0 < time.monotonic() - pressed[0] < 10


def test_finished_pieces_are_kept_over_a_failure(
    write: Write, open_session: Open, make_clip: Callable[..., Path]
) -> None:
    clip, mark = make_clip(seconds=2), "DONE.txt"
    body = f"""
made = given.keep('half', lambda: [os.getpid(), 0.5])
place = os.path.join(os.path.dirname(given.video.path), {mark!r})
if not os.path.exists(place):
    open(place, 'w').write(str(made[0]))
    raise ValueError('half way')
return str(made)
"""
    file = write(sensor(body.strip(), "given: ToolInput"), head=HEAD)
    session = open_session(**USUAL, plugins=[str(file)])
    assert session.index(clip)[0].status == "failed"
    assert session.index(clip)[0].status == "ok"
    assert texts(session) == [f"[{clip.with_name(mark).read_text()}, 0.5]"]


def test_isolation_is_in_no_key(isolated: Any, open_session: Open, tmp_path: Path) -> None:
    session, report = isolated(sensor("return 'a'"))
    (entry,) = session.library.entries()
    plugins = list(session.settings.plugins)
    again = open_session(ingest="[]", plugins=plugins).index(entry.video.path)
    assert (report.cached, again[0].cached) == (False, True)


def test_a_tool_that_needs_the_chat_model_cannot_be_isolated(
    open_session: Open, watching: Any, make_clip: Callable[..., Path]
) -> None:
    settings = {"ingest": "[caption]", "caption.isolation": "process"}
    (report,) = open_session(watching(), **settings).index(make_clip(seconds=1))
    assert report.status == "failed"
    assert "leave out caption.isolation" in report.reason
