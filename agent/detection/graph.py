"""The graph of one detection.

    probe -> sample -> run_tool (one for each tool of the kit) -> decide -> compose -> judge
    judge -> validate -> (repair -> judge | abstain | control) -> report

After the tools its state is checkpointed, so a judge that fails does not run them again.
"""

from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import RetryPolicy

from agent.detection import nodes
from agent.detection.conclusion import report
from agent.detection.state import DetectionContext, DetectionState
from agent.ingest.tool_node import MAX_ATTEMPTS, is_transient

Graph = CompiledStateGraph[DetectionState, DetectionContext, DetectionState, DetectionState]


def build_detection(saver: "BaseCheckpointSaver[Any] | None" = None) -> Graph:
    """Build the graph; the job is part of the context, so one graph serves all of them."""
    graph = StateGraph(DetectionState, context_schema=DetectionContext)
    graph.add_node(nodes.probe)
    graph.add_node(nodes.sample)
    retry = RetryPolicy(max_attempts=MAX_ATTEMPTS, retry_on=is_transient)
    graph.add_node("run_tool", nodes.run_tool, retry_policy=retry)
    graph.add_node(nodes.decide, destinations=("compose", "report"))
    graph.add_node(nodes.compose)
    graph.add_node(nodes.judge)
    graph.add_node(nodes.validate, destinations=("repair", "abstain", "control", "report"))
    for node in (nodes.repair, nodes.abstain, nodes.control, report):
        graph.add_node(node)
    graph.add_edge(START, "probe")
    graph.add_edge("probe", "sample")
    graph.add_conditional_edges("sample", nodes.fan_out, ["run_tool", "decide"])
    graph.add_edge("run_tool", "decide")
    graph.add_edge("compose", "judge")
    graph.add_edge("judge", "validate")
    graph.add_edge("repair", "judge")
    graph.add_edge("abstain", "report")
    graph.add_edge("control", "report")
    graph.add_edge("report", END)
    return graph.compile(name="detection", checkpointer=saver)


def build_measuring() -> Graph:
    """Build the graph that only runs the tools of a job, as calibration needs it."""
    graph = StateGraph(DetectionState, context_schema=DetectionContext)
    graph.add_node(nodes.probe)
    graph.add_node("run_tool", nodes.run_tool)
    graph.add_edge(START, "probe")
    graph.add_conditional_edges("probe", nodes.to_tools, ["run_tool", END])
    graph.add_edge("run_tool", END)
    return graph.compile(name="measuring")
