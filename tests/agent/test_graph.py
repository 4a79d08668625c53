import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from langgraph.runtime import RunControl

from agent.graph import build_ask, build_index
from agent.records import Question
from agent.session import Session
from agent.settings import resolve
from tools.base import Tool, ToolInput
from tools.evidence import Evidence

Open = Callable[..., Session]
Scripted = Callable[..., Any]
PlugIn = Callable[..., type[Tool]]
Say = Callable[..., Evidence]

QUESTION = "What is the gate code?"
INGEST = "[subtitles, transcribe, shots, sensor]"
ASKED_FIRST = {"video-rag.decouple": True}  # what to search for


@pytest.fixture
def session(open_session: Open, scripted: Scripted, plug_in: PlugIn, say: Say) -> Session:
    """Subtitles, speech recognition (not needed), shots and a plug-in, and a scripted model."""
    plug_in(lambda given: iter([say("12 degrees")]), needs=frozenset({"frames"}))
    return open_session(scripted(), ingest=INGEST, **ASKED_FIRST)


def steps(session: Session, clip: Path) -> list[tuple[int, str, str]]:
    """Return (step, graph, node) of every node in the order of their starts."""
    found: list[tuple[int, str, str]] = []
    for part in build_ask(session.settings).stream(
        {"path": clip, "question": Question(QUESTION)},
        context=session.context,
        stream_mode="debug",
        subgraphs=True,
        version="v2",
    ):
        data: Any = part["data"]
        if data["type"] == "task":
            graph = "/".join(name.split(":")[0] for name in part["ns"])
            found.append((data["step"], graph, data["payload"]["name"]))
    return found


def test_nodes_run_in_their_order_and_side_by_side(session: Session, harbour: Path) -> None:
    told = steps(session, harbour)
    names = [name for _, _, name in told]
    step = {(graph, name): number for number, graph, name in told}
    assert step["video-rag", "decouple"] == step["video-rag", "ingest"]
    assert step["video-rag/ingest", "listen"] == step["video-rag/ingest", "look"]
    look = "video-rag/ingest/look"
    assert step[look, "shots"] == step[look, "sensor"] == step[look, "sample_frames"] + 1
    listen = "video-rag/ingest/listen"
    assert step[listen, "transcribe"] == step[listen, "subtitles"] + 1
    tools = ("subtitles", "transcribe", "sample_frames", "shots", "sensor")
    assert names.index("index") > max(names.index(name) for name in tools)
    after = ["index", "retrieve", "budget", "reason", "parse"]
    assert [name for name in names if name in after][:5] == after
    assert names[0] == "probe"
    assert names[-2:] == ["cite", "finish"]


def test_each_node_runs_once(session: Session, harbour: Path) -> None:
    names = [name for _, _, name in steps(session, harbour)]
    assert len(names) == len(set(names))


def test_retrieval_waits_for_the_slowest_tool(
    session: Session, plug_in: PlugIn, say: Say, scripted: Scripted, harbour: Path
) -> None:
    order: list[str] = []

    def slow(given: ToolInput) -> Iterator[Evidence]:
        while not order:  # until the model was asked what to search for
            assert not given.stopped()
        order.append("sensor")
        yield say("The gate code is 7391 on the plate.")

    plug_in(slow)
    pool: Any = session.context.pool
    pool._chat = scripted(on_call=lambda prompt: order.append("model"))
    answer = session.ask(harbour, QUESTION)
    assert order[:2] == ["model", "sensor"]
    assert "sensor" in {one.tool for one in answer.evidence}


def test_a_tool_that_needs_phrases_runs_after_the_question_was_read(
    open_session: Open, scripted: Scripted, plug_in: PlugIn, say: Say, harbour: Path
) -> None:
    def look(given: ToolInput) -> Iterator[Evidence]:
        return iter([say(f"a {phrase} is seen") for phrase in given.phrases])

    plug_in(look, needs=frozenset({"frames", "phrases"}))
    chat = scripted(request='{"entities": ["boat"]}')
    session = open_session(chat, ingest="[subtitles, sensor]", **ASKED_FIRST)
    told = steps(session, harbour)
    step = {(graph, name): number for number, graph, name in told}
    assert step["video-rag", "sensor"] > step["video-rag", "decouple"]
    assert step["video-rag", "retrieve"] > step["video-rag", "sensor"]
    (run,) = [run for run in session.library.entries()[0].runs if run.tool == "sensor"]
    assert run.settings["phrases"] == ["boat"]


def test_the_drawing_has_every_tool_and_the_common_tail(session: Session) -> None:
    drawn = session.mermaid()
    assert drawn.startswith("---") or "graph TD" in drawn
    nodes = set(re.findall(r"(\w+)\(", drawn))
    wanted = {"probe", "decouple", "sample_frames", "index", "retrieve", "budget", "finish"}
    tail = {"reason", "parse", "backup", "cite", "abstain"}
    for name in {"subtitles", "transcribe", "shots", "sensor"} | wanted | tail:
        assert any(node.endswith(name) for node in nodes), name
    assert drawn == session.mermaid()


@pytest.mark.parametrize("profile", ["embedded", "cpu", "gpu"])
def test_the_graphs_of_every_shipped_profile_can_be_built(profile: str) -> None:
    settings = resolve(profile)
    drawn = build_ask(settings).get_graph(xray=True).draw_mermaid()
    for name in settings.ingest:
        assert name in drawn
    assert "reason" not in build_index(settings).get_graph(xray=True).draw_mermaid()


@pytest.mark.parametrize("ingest", ["[]", "[subtitles]", "[shots]", "[transcribe]"])
def test_any_choice_of_tools_makes_a_graph_that_runs(
    open_session: Open, scripted: Scripted, make_clip: Callable[..., Path], ingest: str
) -> None:
    session = open_session(scripted(), ingest=ingest)
    answer = session.ask(make_clip(seconds=1), QUESTION)
    assert answer.abstained
    assert [f"[{one.tool}]" for one in answer.channels] == ([] if ingest == "[]" else [ingest])
    assert answer.usage["retrieve"].seconds >= 0


def test_stop_between_nodes_ends_the_graph(session: Session, harbour: Path) -> None:
    control = RunControl()
    control.request_drain("stop")
    done = build_index(session.settings).stream(
        {"path": harbour}, context=session.context, control=control, stream_mode="updates"
    )
    with pytest.raises(Exception, match="stop") as error:
        list(done)
    assert type(error.value).__name__ == "GraphDrained"
    assert session.library.entries() == []
