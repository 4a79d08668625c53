"""The graphs for a LangGraph server (`langgraph.json`): a path and a question in, an answer out.

A server builds a graph once and passes no context; the session is opened here, with the profile
that `REELGRAPH_PROFILE` names and the plug-ins of `REELGRAPH_PLUGINS`. `nodes` is the graph inside
the node `ask`, for a server's tools to draw, every tool and plug-in a node; it is not run.
"""

from collections.abc import Sequence
from typing import Any, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from agent.graph import Graph, build_ask
from agent.session import Session


class Served(TypedDict, total=False):
    """The state that a client sends and receives."""

    path: str
    """A video or sound file that the server can read."""
    question: str
    options: Sequence[str]
    answer: dict[str, Any]
    """`Answer.to_json`, set by `ask`."""


def graph() -> CompiledStateGraph[Served, None, Served, Served]:
    """Build the graph; the models are loaded when the first question comes."""
    session = Session()

    def ask(state: Served) -> Served:
        answer = session.ask(state["path"], state["question"], state.get("options", ()))
        return {"answer": answer.to_json()}

    outer = StateGraph(Served)
    outer.add_node(ask)
    outer.add_edge(START, "ask")
    outer.add_edge("ask", END)
    return outer.compile(name="reelgraph")


def nodes() -> Graph:
    """Build the graph that answers, to be drawn; no model is loaded."""
    return build_ask(Session().settings)
