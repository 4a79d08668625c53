"""The top-level graphs: probe a file, then answer by a method, or only ingest.

    ask:   START -> probe -> plan_run -> METHOD -> finish -> END
    index: START -> probe -> ingest -> END

`plan_run` decides all that can be decided before a model call: the method, the frames, the tools
with the keys of their runs, the models. Its plan is part of the state, is never changed, and the
later nodes execute it, so the plan reported with an answer is the one that was executed. If a file
that it depends on changes meanwhile and the library has no results for the old one, the run ends
with an error. `Session.plan` makes the same plan without a run.
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
from agent.settings import Settings, TrackSettings
from agent.state import Context, State
from agent.text import is_text
from tools.errors import InputError
from tools.media import video as reading
from tools.media.tracks import Wish
from tools.media.video import Video

Graph = CompiledStateGraph[State, Context, State, State]


def build_ask(settings: Settings) -> Graph:
    """Build the graph that answers a question about a video by the planned method."""
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
    """Probe the file, or take the probe from the library if the file has not changed since."""
    start = perf_counter()
    video = find_video(state["path"], runtime.context.library, runtime.context.settings.tracks)
    return {"video": video, "usage": {"probe": Usage(seconds=perf_counter() - start)}}


def plan_run(state: State, runtime: Runtime[Context]) -> State:
    """Make the plan, before any model call."""
    start = perf_counter()
    plan = make_plan(state["video"], state["question"], runtime.context)
    return {"plan": plan, "usage": {"plan": Usage(seconds=perf_counter() - start)}}


def planned_method(state: State) -> str:
    """Route to the method of the plan."""
    return state["plan"].method


def find_video(path: Path, library: Library, tracks: TrackSettings | None = None) -> Video:
    """Return a file's probe, from the library if the file has not changed since.

    Args:
        path: A video or sound file.
        library: Holds the probes.
        tracks: Which sound track is listened to; None for the first choice.

    Raises:
        InputError: The file cannot be read, or has no such track.
    """
    path = path.expanduser().absolute()
    if not is_text(str(path)):
        raise InputError(f"the path {path.name!a} is not valid UTF-8; rename the file")
    video = library.known_file(path)
    if video is None:
        before = stat_of(path)
        video = reading.probe(path)
        library.add_video(video, before)
    return reading.with_sound(video, Wish(tracks.audio, tracks.language)) if tracks else video


def finish(state: State, runtime: Runtime[Context]) -> State:
    """Complete the answer with its provenance: channels, costs, models, prompts, plan.

    Raises:
        DeletedError: The tools' results were deleted before they could be read.
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
