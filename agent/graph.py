"""The whole program as graphs: probe a file, then let a method answer, or only ingest.

ask:   START -> probe -> METHOD -> finish -> END
index: START -> probe -> ingest -> END
"""

from dataclasses import replace
from pathlib import Path
from time import perf_counter

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime

from agent.answer import Usage
from agent.ingest.graph import build_ingest
from agent.library.store import Library, stat_of
from agent.methods import DEFAULT, find_method
from agent.plan import make_plan
from agent.settings import Settings
from agent.state import Context, State
from agent.text import is_text
from tools.errors import InputError
from tools.media import video as reading
from tools.media.video import Video

Graph = CompiledStateGraph[State, Context, State, State]


def build_ask(settings: Settings, method: str = DEFAULT) -> Graph:
    """Build the graph that answers a question of a video by one method."""
    graph = StateGraph(State, context_schema=Context)
    graph.add_node(probe)
    graph.add_node(method, find_method(method).build(settings))
    graph.add_node(finish)
    graph.add_edge(START, "probe")
    graph.add_edge("probe", method)
    graph.add_edge(method, "finish")
    graph.add_edge("finish", END)
    return graph.compile(name="ask")


def build_index(settings: Settings) -> Graph:
    """Build the graph that only fills the library."""
    graph = StateGraph(State, context_schema=Context)
    graph.add_node(probe)
    graph.add_node("ingest", build_ingest(settings))
    graph.add_edge(START, "probe")
    graph.add_edge("probe", "ingest")
    graph.add_edge("ingest", END)
    return graph.compile(name="index")


def probe(state: State, runtime: Runtime[Context]) -> State:
    """Find out what the file is, or recall it if it has not changed since the last time."""
    start = perf_counter()
    video = find_video(state["path"], runtime.context.library)
    return {"video": video, "usage": {"probe": Usage(seconds=perf_counter() - start)}}


def find_video(path: Path, library: Library) -> Video:
    """Return what a file is, from the library if the file has not changed since it was probed."""
    path = path.expanduser().absolute()
    if not is_text(str(path)):
        raise InputError(f"the path {path.name!a} is not valid UTF-8; rename the file")
    if known := library.known_file(path):
        return known
    before = stat_of(path)
    video = reading.probe(path)
    library.add_video(video, before)
    return video


def finish(state: State, runtime: Runtime[Context]) -> State:
    """Complete the answer with how it came about: channels, costs, models, prompts, plan."""
    settings = runtime.context.settings
    channels = state.get("channels", {})
    order = [*settings.ingest, *sorted(set(channels) - set(settings.ingest))]
    plan = make_plan(state["video"], state["question"], runtime.context)
    answer = replace(
        state["answer"],
        channels=tuple(channels[name] for name in order if name in channels),
        usage=dict(state["usage"]),
        method=plan.method,
        profile=settings.profile,
        models=dict(plan.models),
        prompts=dict(state.get("prompts", {})),
        plan=plan.id,
        steps=state.get("steps", ()),
    )
    return {"answer": answer}
