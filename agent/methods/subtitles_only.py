"""The transcript baseline: all speech in the video, up to the token budget.

START -> listen -> ask -> reason -> ...
"""

from math import ceil
from time import perf_counter
from typing import Literal

from langgraph.graph import START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import Command

from agent.answer import Usage
from agent.answering import nodes as answering
from agent.answering.evidence_lines import (
    in_time_order,
    merge_neighbours,
    spread_order,
    within_budget,
)
from agent.answering.method import Method, MethodPlan, Subgraph
from agent.answering.prompt import ask_for, notes_section, prompt_names
from agent.ingest.graph import branch_tools, build_listen
from agent.records import Question
from agent.settings import Section, Settings
from agent.state import Context, State
from tools.media.video import Video


class Options(Section):
    """The baseline has no settings of its own; `retrieval.token_budget` bounds what is read."""


def build(settings: Settings) -> Subgraph:
    """Build the subgraph."""
    graph = StateGraph(State, context_schema=Context)
    graph.add_node("listen", build_listen(settings))
    graph.add_node(ask)
    graph.add_edge(START, "listen")
    graph.add_edge("listen", "ask")
    answering.add_answering_nodes(graph, retry_node="ask")
    return graph.compile(name="subtitles-only")


def ask(state: State, runtime: Runtime[Context]) -> Command[Literal["reason", "abstain"]]:
    """Write the prompt with the transcript; over the token budget, evenly thinned out."""
    start, context = perf_counter(), runtime.context
    runs = sorted(state.get("runs", {}).values())
    said = [p.evidence for p in context.library.passages(runs) if p.evidence.kind == "speech"]
    joined = merge_neighbours(in_time_order(said), context.settings.retrieval.merge_gap_s)
    count = context.pool.chat().count_tokens
    kept = within_budget(spread_order(joined), context.settings.retrieval.token_budget, count)
    lines = kept[: ceil(len(kept) * state.get("context_share", 1.0))]
    usage = {"ask": Usage(seconds=perf_counter() - start)}
    if not lines:
        return Command(update={"usage": usage}, goto="abstain")
    asked = ask_for("ask", state["question"], notes_section("what is said in a video", lines))
    return Command(update={**asked, "lines": lines, "usage": usage}, goto="reason")


def plan(video: Video, question: Question, context: Context) -> MethodPlan:
    """Return the plan."""
    tokens = context.settings.retrieval.token_budget
    tools = branch_tools(context.settings, "listen")
    return MethodPlan(
        prompt_names(question, "given_notes"), calls=(0, 2), tokens=tokens, tools=tuple(tools)
    )


METHOD = Method("subtitles-only", "what is said in the video, nothing else", Options, build, plan)
