"""A plug-in's place in the graph: after what it uses, per question, or where the model wants it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, ToolCall, ToolMessage

from agent.explore.chosen import tools_for
from agent.ingest.graph import build_ingest
from agent.plugins.load import load_settings
from agent.session import Session
from tools.base import Need, Tool
from tools.errors import InputError

Open = Callable[..., Session]
Write = Callable[..., Path]
QUESTION = "What is the gate code?"

SHOUT = """
@tool
def shout(subtitles: list[Evidence]):
    for line in subtitles:
        yield Finding(line.text.upper(), line.start_s, line.end_s)
"""
BOTH = """
@tool
def both(speech: list[Evidence], shots: list[Evidence]):
    return f"{len(speech)} lines in {len(shots)} shots"
"""
ECHO = """
@tool
def echo(question: Question, both: list[Evidence]):
    return f"{question} {both[0].text}"
"""


def found(session: Session, tool: str) -> list[str]:
    (entry,) = session.library.entries()
    runs = [run.id for run in entry.runs if run.tool == tool]
    return [p.evidence.text for p in session.library.passages(runs)]


def drawn(**settings: Any) -> str:
    graph = build_ingest(load_settings(overrides=settings, environ={}))
    return graph.get_graph(xray=True).draw_mermaid().replace("\\3a", ":")


def test_edges_follow_from_what_a_tool_uses(write: Write) -> None:
    plugins = [str(write(SHOUT, "shout.py")), str(write(BOTH, "both.py"))]
    graph = drawn(ingest="[subtitles, shots]", plugins=plugins)
    assert "listen:subtitles --> listen:shout;" in graph
    assert "look:shots --> combine:both;" in graph
    assert "combine:both --> index;" in graph


def test_a_tool_without_wishes_adds_no_third_branch(write: Write) -> None:
    assert "combine" not in drawn(ingest="[subtitles, shots]")


def test_it_runs_after_the_tools_of_both_branches(
    write: Write, open_session: Open, harbour: Path
) -> None:
    plugins = [str(write(BOTH, "both.py")), str(write(SHOUT, "shout.py"))]
    session = open_session(ingest="[both, shots, subtitles]", plugins=plugins)
    session.index(harbour)
    assert found(session, "both") == ["3 lines in 1 shots"]
    assert found(session, "shout")[1] == "THE GATE CODE IS 7391."
    assert all(report.cached for report in session.index(harbour))


def test_other_evidence_of_the_used_tool_makes_it_run_again(
    write: Write, open_session: Open, harbour: Path, plug_in: Callable[..., type[Tool]], say: Any
) -> None:
    file = write("@tool\ndef twice(sensor: list[Evidence]):\n    return sensor[0].text * 2")
    values = {"ingest": "[sensor]", "plugins": [str(file)]}
    cached = []
    for text, version in (("a", "1"), ("b", "2"), ("b", "2")):
        plug_in(lambda given, text=text: iter([say(text)]), version=version)
        session = open_session(**values)
        cached.append([r.cached for r in session.index(harbour) if r.tool == "twice"])
    assert cached == [[False], [False], [True]]
    assert found(session, "twice") == ["aa", "bb"]


def test_a_failed_tool_is_told_of_by_those_that_use_it(
    write: Write, open_session: Open, harbour: Path
) -> None:
    bad = write("@tool\ndef sensor(video: Video):\n    raise ValueError('broken')", "bad.py")
    user = write("@tool\ndef user(sensor: list[Evidence]): ...", "user.py")
    session = open_session(ingest="[subtitles]", plugins=[str(bad), str(user)])
    reports = {r.tool: r for r in session.index(harbour)}
    assert (reports["sensor"].status, reports["subtitles"].status) == ("failed", "ok")
    assert reports["user"].status == "unavailable"
    assert "what sensor finds, which could not be had" in reports["user"].reason


def test_a_used_tool_that_is_not_in_the_profile_is_named(
    write: Write, open_session: Open, harbour: Path
) -> None:
    session = open_session(ingest="[subtitles]", plugins=[str(write(BOTH))])
    reports = {r.tool: r for r in session.index(harbour)}
    assert "uses what shots finds, which is not in this profile" in reports["both"].reason


def test_a_circle_is_refused(write: Write, open_session: Open, harbour: Path) -> None:
    source = "@tool\ndef one(two: list[Evidence]): ...\n@tool\ndef two(one: list[Evidence]): ..."
    session = open_session(plugins=[str(write(source))])
    with pytest.raises(InputError, match=r"in a circle \((one -> two -> one|two -> one -> two)\)"):
        session.index(harbour)


@pytest.mark.parametrize("method", ["video-rag", "llovi"])
def test_a_tool_of_the_question_runs_once_a_question_and_not_at_ingest(
    write: Write, open_session: Open, harbour: Path, scripted: Any, method: str
) -> None:
    plugins = [str(write(BOTH, "both.py")), str(write(ECHO, "echo.py"))]
    settings = {"ingest": "[subtitles, shots]", "plugins": plugins, "method": method}
    session = open_session(scripted(), **settings)
    assert "echo" not in {r.tool for r in session.index(harbour)}
    for question in (QUESTION, "When does the ferry leave?", QUESTION):
        answer = session.ask(harbour, question)
    reports = {r.tool: r for r in answer.channels}
    assert (reports["echo"].status, reports["echo"].cached) == ("ok", True)
    assert answer.total("tool_runs") == 0
    told = sorted(found(session, "echo"))
    assert told == [f"{q} 3 lines in 1 shots" for q in sorted({QUESTION, told[1][:26]})]


def test_a_plan_says_what_waits(write: Write, open_session: Open, harbour: Path) -> None:
    plugins = [str(write(BOTH, "both.py")), str(write(ECHO, "echo.py"))]
    session = open_session(ingest="[subtitles, shots]", plugins=plugins)
    waits = {t.tool: t.waits for t in session.plan(harbour, QUESTION).tools}
    assert waits == {"subtitles": False, "shots": False, "both": True, "echo": True}


DEAR = """
@tool(expensive=True)
def radar(subtitles: list[Evidence]):
    '''Finds ships by radar.'''
    return Finding(f"a ship after {len(subtitles)} lines", 1, 2)
"""


def calls(name: str, **args: Any) -> AIMessage:
    return AIMessage("", tool_calls=[ToolCall(name=name, args=args, id="1")])


@pytest.mark.parametrize("asked", [True, False])
def test_the_planner_chooses_an_expensive_tool_by_its_description(
    write: Write, open_session: Open, harbour: Path, planner: Any, asked: bool
) -> None:
    first = calls("run_radar") if asked else calls("search_evidence", query="code")
    chat = planner([first, calls("answer", answer="a ship", confidence=3, evidence=[])])
    session = open_session(chat, method="explore", ingest="[subtitles]", plugins=[str(write(DEAR))])
    (offered,) = [t for t in tools_for(session.settings) if t.name == "run_radar"]
    assert offered.description.startswith("Finds ships by radar.")
    answer = session.ask(harbour, "Which ship?")
    status = {r.tool: r.status for r in answer.channels}
    assert status == {"subtitles": "ok"} | ({"radar": "ok"} if asked else {})
    sent = [message for messages in chat.seen for message in messages]
    told = "".join(m.text for m in sent if isinstance(m, ToolMessage))
    assert ("a ship after 3 lines" in told) == asked
    assert "radar" in session.mermaid()


def test_a_class_may_ask_for_the_same(
    open_session: Open, harbour: Path, plug_in: Callable[..., type[Tool]], say: Any
) -> None:
    needs: frozenset[Need] = frozenset({"file"})
    made = plug_in(lambda given: iter([say(str(len(given.evidence["speech"])))]), needs=needs)
    made.uses = property(lambda self: frozenset({"speech"}))  # type: ignore[assignment]
    session = open_session(ingest="[subtitles, sensor]")
    session.index(harbour)
    assert found(session, "sensor") == ["3"]
