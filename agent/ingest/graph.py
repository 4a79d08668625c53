"""Ingest: run every tool of the profile on a video once, in parallel.

    START -> listen (subtitles, else speech recognition) -+-> index -> END
          -> look   (sample_frames -> ocr, detect, ...)  -+

Each branch is a subgraph, for a LangGraph superstep ends only when all its nodes have ended: in a
flat graph OCR would wait for speech recognition.
"""

from collections.abc import Iterable
from contextlib import suppress
from time import perf_counter
from typing import Any

from langgraph.errors import GraphDrained
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from langgraph.types import RetryPolicy

from agent.answer import Meter, Usage
from agent.ingest.frames import ensure_frames
from agent.ingest.tool_node import MAX_ATTEMPTS, is_transient, recall, reporting, tool_node
from agent.settings import Settings
from agent.state import Context, Findings, State
from tools.errors import MissingError, StoppedError
from tools.registry import make_tool

Subgraph = CompiledStateGraph[State, Context, State, Findings]
Builder = StateGraph[State, Context, Any, Any]


def build_ingest(settings: Settings) -> Subgraph:
    """Build the subgraph that fills the library with the tools' evidence on a video."""
    graph = _new_graph()
    graph.add_node("index", index, defer=True)
    graph.add_edge("index", END)
    for name, branch in (("listen", build_listen(settings)), ("look", _look(settings))):
        graph.add_node(name, branch)
        graph.add_edge(START, name)
        graph.add_edge(name, "index")
    return graph.compile(name="ingest")


def ingest_tools(settings: Settings, *, visual: bool) -> list[str]:
    """Return the visual (or other) tools that run on every new video.

    A tool that needs phrases waits for a question and is left out.
    """
    needs = {n: make_tool(n, settings.tools.get(n, {})).needs for n in settings.ingest}
    return [
        name
        for name, need in needs.items()
        if "phrases" not in need and ("frames" in need) == visual
    ]


def phrase_tools(settings: Settings) -> list[str]:
    """Return the tools that search for the phrases of a question."""
    return [
        n for n in settings.ingest if "phrases" in make_tool(n, settings.tools.get(n, {})).needs
    ]


def add_tools(
    graph: Builder, after: Iterable[str], names: list[str], then: Iterable[str] = ()
) -> None:
    """Add a node for each tool between `after` and `then`."""
    following = list(then) or [END]
    for name in names:
        graph.add_node(
            name,
            reporting(tool_node(name), [name]),
            retry_policy=RetryPolicy(max_attempts=MAX_ATTEMPTS, retry_on=is_transient),
        )
        for node in after:
            graph.add_edge(node, name)
        for node in following:
            graph.add_edge(name, node)


def sample_frames(state: State, runtime: Runtime[Context]) -> Findings:
    """Decode the frames once for all visual tools, unless the library has all their runs."""
    start, meter, video = perf_counter(), Meter(), state["video"]
    names = ingest_tools(runtime.context.settings, visual=True)
    if not video.has_picture or all(recall(name, state, runtime.context) for name in names):
        return {}
    try:
        ensure_frames(video, runtime, meter)
    except StoppedError as stop:
        raise GraphDrained(str(stop)) from stop
    meter.seconds = perf_counter() - start
    return {"usage": {"sample_frames": meter.usage()}}


def index(state: State, runtime: Runtime[Context]) -> Findings:
    """Embed the tools' evidence for dense retrieval."""
    start, context = perf_counter(), runtime.context
    runs = list(state.get("runs", {}).values())
    view = context.library.view(runs)
    with suppress(MissingError):  # retrieval says so
        if view.passages:
            view.index(context.pool.embedder(), keep=True)
    return {"usage": {"index": Usage(seconds=perf_counter() - start)}}


def build_listen(settings: Settings) -> Subgraph:
    """Build the audio branch: tools that read the file itself, then speech recognition."""
    names = ingest_tools(settings, visual=False)
    sound = [n for n in names if "audio" in make_tool(n, settings.tools.get(n, {})).needs]
    graph = _new_graph()
    silent = [n for n in names if n not in sound]
    add_tools(graph, [START], silent, then=sound)
    add_tools(graph, [] if silent else [START], sound)
    return _compile(graph, "listen", empty=not names)


def _look(settings: Settings) -> Subgraph:
    """One decode pass, then all visual tools in parallel."""
    names = ingest_tools(settings, visual=True)
    graph = _new_graph()
    if names:
        graph.add_node("sample_frames", reporting(sample_frames, names))
        graph.add_edge(START, "sample_frames")
    add_tools(graph, ["sample_frames"], names)
    return _compile(graph, "look", empty=not names)


def _new_graph() -> Builder:
    return StateGraph(State, context_schema=Context, output_schema=Findings)


def _compile(graph: Builder, name: str, *, empty: bool) -> Subgraph:
    if empty:
        graph.add_edge(START, END)
    return graph.compile(name=name)
