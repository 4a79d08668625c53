"""The whole program as graphs: probe a file, then let a method answer, or only ingest.

    ask:   START -> probe -> plan_run -> METHOD -> finish -> END
    index: START -> probe -> ingest -> END

`plan_run` decides everything that is known before a model is called: the method, the pictures, the
tools with the keys of their runs, the models. Its plan lies in the state, nothing changes it, and
the nodes after it read from it what they do. So the plan under an answer is the one that was
followed; where a file that it rests on changes meanwhile and the library does not know what was
found in the old one, the run ends with an error. `Session.plan` makes the same plan without a run.
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
from agent.methods import candidates, find_method
from agent.plan import make_plan
from agent.settings import Settings
from agent.state import Context, State
from agent.text import is_text
from tools.errors import InputError
from tools.media import video as reading
from tools.media.video import Video

Graph = CompiledStateGraph[State, Context, State, State]


def build_ask(settings: Settings) -> Graph:
    """Build the graph that answers a question of a video by the method that its plan names."""
    graph = StateGraph(State, context_schema=Context)
    graph.add_node(probe)
    graph.add_node(plan_run)
    graph.add_node(finish)
    graph.add_edge(START, "probe")
    graph.add_edge("probe", "plan_run")
    names = candidates(settings)
    for name in names:
        graph.add_node(name, find_method(name).build(settings))
        graph.add_edge(name, "finish")
    graph.add_conditional_edges("plan_run", planned_method, list(names))
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


def plan_run(state: State, runtime: Runtime[Context]) -> State:
    """Decide what will be done, before any model is called."""
    start = perf_counter()
    plan = make_plan(state["video"], state["question"], runtime.context)
    return {"plan": plan, "usage": {"plan": Usage(seconds=perf_counter() - start)}}


def planned_method(state: State) -> str:
    """Go on with the method of the plan."""
    return state["plan"].method


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
    """Complete the answer with how it came about: channels, costs, models, prompts, plan.

    Raises:
        DeletedError: What the tools found was deleted before it could be read.
    """
    settings, plan = runtime.context.settings, state["plan"]
    runtime.context.library.require_runs(state.get("runs", {}).values())
    channels = state.get("channels", {})
    order = [*settings.ingest, *sorted(set(channels) - set(settings.ingest))]
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
