"""Ingest: run every tool of the profile on a video once, in parallel.

    START -> listen (subtitles, else speech recognition) -+-> index -> END
          -> look   (sample_frames -> ocr, detect, ...)  -+

A tool that uses the evidence of others runs after them; where these are in both branches, in a
third one, `combine`, between the two and `index`. Each branch is a subgraph, for a LangGraph
superstep ends only when all its nodes have ended: in a flat graph OCR would wait for speech
recognition.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from graphlib import CycleError, TopologicalSorter
from time import perf_counter
from typing import Any, Literal

from langgraph.errors import GraphDrained
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from langgraph.types import RetryPolicy

from agent.answer import Meter, Usage
from agent.ingest.frames import ensure_frames
from agent.ingest.tool_node import MAX_ATTEMPTS, is_transient, recall, reporting, tool_node
from agent.ingest.uses import made_tools, producers
from agent.settings import Settings
from agent.state import Context, Findings, State
from tools.base import PER_QUESTION, Tool
from tools.errors import InputError, MissingError, StoppedError

Subgraph = CompiledStateGraph[State, Context, State, Findings]
Builder = StateGraph[State, Context, Any, Any]
Branch = Literal["listen", "look", "combine"]


def build_ingest(settings: Settings) -> Subgraph:
    """Build the subgraph that fills the library with the tools' evidence on a video."""
    graph = _new_graph()
    graph.add_node("index", index, defer=True)
    graph.add_edge("index", END)
    branches = {"listen": build_listen(settings), "look": _look(settings)}
    joined = branch_tools(settings, "combine")
    for name, branch in branches.items():
        graph.add_node(name, branch)
        graph.add_edge(START, name)
        if not joined:
            graph.add_edge(name, "index")
    if joined:
        graph.add_node("combine", _combine(settings, joined))
        graph.add_edge(list(branches), "combine")
        graph.add_edge("combine", "index")
    return graph.compile(name="ingest")


def ingest_tools(settings: Settings, *, visual: bool) -> list[str]:
    """Return the visual (or other) tools that run on every new video.

    A tool that waits for a question is left out, as is one that uses its evidence.
    """
    waiting = question_tools(settings)
    return [
        name
        for name, tool in made_tools(settings).items()
        if name not in waiting and ("frames" in tool.needs) == visual
    ]


def question_tools(settings: Settings, *, phrases: bool = True) -> list[str]:
    """Return the tools that run once a question: they need it, its phrases, or such a tool.

    Args:
        settings: Name the tools.
        phrases: False leaves out those that need phrases, for a method that makes none.
    """
    found = together_with(settings, lambda tool: bool(tool.needs & PER_QUESTION))
    without = [] if phrases else together_with(settings, lambda tool: "phrases" in tool.needs)
    return [name for name in found if name not in without]


def together_with(settings: Settings, picks: Callable[[Tool], bool]) -> list[str]:
    """Return the tools that `picks` picks and all that use their evidence, those used first."""
    tools, found = made_tools(settings), list[str]()
    for name in _in_order(settings):
        before = producers(tools[name], settings)
        if picks(tools[name]) or any(one in found for one in before):
            found.append(name)
    return found


def phrase_tools(settings: Settings) -> list[str]:
    """Return the tools that search for the phrases of a question."""
    return [name for name, tool in made_tools(settings).items() if "phrases" in tool.needs]


def branch_tools(settings: Settings, branch: Branch) -> list[str]:
    """Return the tools of a branch of ingest, each after those whose evidence it uses.

    A tool that uses evidence is in the branch of all tools that find it, else in `combine`.
    """
    tools, waiting = made_tools(settings), question_tools(settings)
    place: dict[str, Branch] = {}
    for name in _in_order(settings):
        if name in waiting:
            continue
        own: Branch = "look" if "frames" in tools[name].needs else "listen"
        before = {place[one] for one in producers(tools[name], settings) if one in place}
        place[name] = own if before <= {own} else "combine"
        if len(before) == 1 and own == "listen" and "audio" not in tools[name].needs:
            (place[name],) = before
    return [name for name in place if place[name] == branch]


def _in_order(settings: Settings) -> list[str]:
    """Return the tools of a profile, each after those whose evidence it uses.

    Raises:
        InputError: Tools use each other's evidence in a circle.
    """
    after = {n: producers(tool, settings) for n, tool in made_tools(settings).items()}
    try:
        return list(TopologicalSorter(after).static_order())
    except CycleError as error:
        circle = " -> ".join(error.args[1])
        raise InputError(
            f"tools use each other's evidence in a circle ({circle}); leave one out of ingest"
        ) from error


def add_tools(
    graph: Builder,
    after: Iterable[str],
    names: list[str],
    settings: Settings,
    then: Sequence[str] = (END,),
    among: Sequence[str] = (),
) -> None:
    """Add a node for each tool: after the tools that it uses, or `after`, and before `then`.

    Args:
        graph: Where the nodes go.
        after: Nodes before the tools that use no evidence of others.
        names: The tools.
        settings: Their options.
        then: Nodes that wait for all of them.
        among: The tools of which a used one may be; by default `names`.
    """
    tools = made_tools(settings)
    for name in names:
        graph.add_node(
            name,
            reporting(tool_node(name), [name]),
            retry_policy=RetryPolicy(max_attempts=MAX_ATTEMPTS, retry_on=is_transient),
        )
        before = [one for one in producers(tools[name], settings) if one in (among or names)]
        _join(graph, before or list(after), name)
    for node in then:
        _join(graph, names, node)


def _join(graph: Builder, before: Sequence[str], node: str) -> None:
    """Let a node wait for all nodes before it, once."""
    if len(before) > 1 and START not in before and node != END:
        graph.add_edge(list(before), node)
        return
    for one in before:
        graph.add_edge(one, node)


def sample_frames(state: State, runtime: Runtime[Context]) -> Findings:
    """Decode the frames once for all visual tools, unless the library has all their runs."""
    start, meter, video = perf_counter(), Meter(), state["video"]
    names = branch_tools(runtime.context.settings, "look")
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
    names, tools = branch_tools(settings, "listen"), made_tools(settings)
    alone = [n for n in names if not producers(tools[n], settings)]
    sound = [n for n in alone if "audio" in tools[n].needs]
    silent = [n for n in alone if n not in sound]
    using = [n for n in names if n not in alone]
    graph = _new_graph()
    add_tools(graph, [START], silent, settings, then=() if sound else [END])
    add_tools(graph, silent or [START], sound, settings)
    add_tools(graph, [], using, settings, among=names)
    return _compile(graph, "listen", empty=not names)


def _look(settings: Settings) -> Subgraph:
    """One decode pass, then all visual tools in parallel."""
    names = branch_tools(settings, "look")
    graph = _new_graph()
    if names:
        graph.add_node("sample_frames", reporting(sample_frames, names))
        graph.add_edge(START, "sample_frames")
    add_tools(graph, ["sample_frames"], names, settings)
    return _compile(graph, "look", empty=not names)


def _combine(settings: Settings, names: list[str]) -> Subgraph:
    """The tools that use evidence of both branches."""
    graph = _new_graph()
    add_tools(graph, [START], names, settings)
    return _compile(graph, "combine", empty=False)


def _new_graph() -> Builder:
    return StateGraph(State, context_schema=Context, output_schema=Findings)


def _compile(graph: Builder, name: str, *, empty: bool) -> Subgraph:
    if empty:
        graph.add_edge(START, END)
    return graph.compile(name=name)
