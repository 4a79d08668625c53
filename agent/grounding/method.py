"""Temporal grounding on its own (after LLM4VG, arXiv 2312.14206): when is something shown or said?

    START -> ingest -> retrieve -> watch -> locate -> tell
                                                   -> read -> reason -> ... -> show
                                                   -> abstain

`retrieve` chooses the records of all tools that are similar to the description. `watch` asks a
model that sees, picture by picture, whether it shows what is looked for. `locate` asks the chat
model whether the notes suffice, and joins what was found to intervals with a confidence; with
`ground.reading=model` that model says when, as published. A question with options (NExT-GQA) is
then answered from what lies inside the intervals.

What differs from the paper: it sees by captions or questions of a fixed model and lets the language
model alone say when; here the examples are shown before the judgement only, one with enough and
one without.
"""

from typing import Any, cast

from langgraph.graph import END, START, StateGraph

from agent.answering import nodes as answering
from agent.answering.method import Method, MethodPlan, Role, Subgraph, read_options
from agent.answering.prompt import prompt_names
from agent.grounding import nodes
from agent.grounding.nodes import Grounding, options_of, reads
from agent.grounding.options import Options
from agent.grounding.seconds import PROMPT, middle_frames
from agent.ingest.graph import add_tools, build_ingest, question_tools
from agent.records import PlannedFrame, Question
from agent.settings import Settings
from agent.state import Context, State
from tools.media.video import Video


def build(settings: Settings) -> Subgraph:
    """Build the subgraph."""
    read_options("ground", Options, settings)
    graph: Any = StateGraph(
        Grounding, context_schema=Context, input_schema=State, output_schema=State
    )
    graph.add_node("ingest", build_ingest(settings))
    graph.add_edge(START, "ingest")
    graph.add_node(nodes.retrieve)
    waiting = question_tools(settings, phrases=False)
    add_tools(graph, ["ingest"], waiting, settings, then=["retrieve"])
    if not waiting:
        graph.add_edge("ingest", "retrieve")
    graph.add_node(nodes.watch)
    graph.add_node(nodes.locate, destinations=("tell", "read", "abstain"))
    for node in (nodes.tell, nodes.read, nodes.show):
        graph.add_node(node)
    graph.add_edge("retrieve", "watch")
    graph.add_edge("watch", "locate")
    graph.add_edge("read", "reason")
    answering.add_answering_nodes(graph, retry_node="read", then="show")
    graph.add_edge("tell", END)
    graph.add_edge("show", END)
    return cast("Subgraph", graph.compile(name="ground"))


def plan(video: Video, question: Question, context: Context) -> MethodPlan:
    """Return the plan with the pictures that a model that sees is asked about."""
    options, frames = options_of(context), choose_frames(video, context)
    judged = ["ground_enough"] * options.sufficiency + ["ground_when"] * (
        options.reading == "model"
    )
    judged = judged if reads(context) else []
    asked = prompt_names(question, "given_notes") if question.options else ()
    roles: tuple[Role, ...] = ("embedder", "captioner") if frames else ("embedder",)
    return MethodPlan(
        prompts=(
            *([PROMPT] if frames else []),
            *(["given_moments", *judged] if judged else []),
            *asked,
        ),
        calls=(0, len(frames) + len(judged) + (2 if question.options else 0)),
        tokens=context.settings.retrieval.token_budget,
        frames=frames,
        visuals={"pictures": len(frames)},
        tools=(*context.settings.ingest,),
        roles=roles,
    )


def choose_frames(video: Video, context: Context) -> tuple[PlannedFrame, ...]:
    """Return the pictures to ask about; none for a file without picture or a model that reads."""
    sees = reads(context, "captioner") and context.pool.capabilities("captioner").images
    return middle_frames(video, options_of(context)) if sees and video.has_picture else ()


METHOD = Method("ground", "says when in the video something is shown or said", Options, build, plan)
