"""The graph that answers a question from several videos.

    START -> plan_run -> retrieve -> budget -> read -> reason -> parse -> cite | abstain
          -> finish -> END

The videos were looked at before (`agent.search.asking`). Everything from `reason` on is what every
method ends with (`agent.answering.nodes`).
"""

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime

from agent.answering.nodes import add_answering_nodes
from agent.search.nodes import VideosState, budget, finish, is_worth_asking, read, retrieve_with
from agent.search.plan import plan_search
from agent.search.search import VideoSearch
from agent.state import Context

VideosGraph = CompiledStateGraph[VideosState, Context, VideosState, VideosState]


def build_ask_videos(search: VideoSearch) -> VideosGraph:
    """Build the graph; `search` holds the index that it retrieves from."""
    graph = StateGraph(VideosState, context_schema=Context)
    graph.add_node(plan_run)
    graph.add_node("retrieve", retrieve_with(search))
    graph.add_node(budget)
    graph.add_node(read)
    graph.add_node(finish)
    graph.add_edge(START, "plan_run")
    graph.add_edge("plan_run", "retrieve")
    graph.add_conditional_edges("retrieve", is_worth_asking, ["budget", "abstain"])
    graph.add_edge("budget", "read")
    graph.add_edge("read", "reason")
    add_answering_nodes(graph, retry_node="read", then="finish")
    graph.add_edge("finish", END)
    return graph.compile(name="ask_videos")


def plan_run(state: VideosState, runtime: Runtime[Context]) -> VideosState:
    """Make the plan, before any model call."""
    return {"plan": plan_search(state["runs_by_video"], state["question"], runtime.context)}
