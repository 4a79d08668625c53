"""The graph for a LangGraph server (`langgraph.json`): a path and a question in, an answer out.

A server builds the graph once and passes no context; the session is opened here, with the profile
that `REELGRAPH_PROFILE` names.
"""

from collections.abc import Sequence
from typing import Any, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

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
