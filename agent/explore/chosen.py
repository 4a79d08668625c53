"""Tools of the profile as tools of the model: it reads their descriptions and calls what it needs.

A call runs the tool, after those whose evidence it uses, and returns what it found in a span. What
is in the library already is not run again.
"""

from collections.abc import Sequence
from typing import Any, cast

from langchain_core.tools import BaseTool
from langchain_core.tools import tool as as_tool
from langgraph.runtime import Runtime

from agent.explore.state import artifact
from agent.explore.tool_choice import PREFIX, chosen_tools
from agent.explore.tools import TOOLS, End, Result, Run, Start, given_to, span_of, told
from agent.ingest.tool_node import Node, reporting, tool_node
from agent.ingest.uses import made_tools, producers
from agent.settings import Settings
from agent.state import Context, Findings, State, merge


def tools_for(settings: Settings) -> Sequence[BaseTool]:
    """Return the tools that the model may call with a profile."""
    return (*TOOLS, *(_offered(name, settings) for name in chosen_tools(settings)))


def chosen_node(name: str, settings: Settings) -> Node:
    """Return a node that runs a tool after those whose evidence it uses."""
    order = list(_with_producers(name, settings))
    nodes = [reporting(tool_node(one), [one]) for one in order]

    def run(state: State, runtime: Runtime[Context]) -> Findings:
        update: dict[str, Any] = {}
        for one, node in zip(order, nodes, strict=True):
            known = state.get("channels", {}) | update.get("channels", {})
            before = {n: c for n, c in known.items() if n != one}
            now = cast("State", {**state, "channels": before, "runs": _runs(state, update)})
            for key, value in node(now, runtime).items():
                update[key] = merge(update.get(key, {}), cast("dict[str, Any]", value))
        return cast("Findings", update)

    return run


def _runs(state: State, update: dict[str, Any]) -> dict[str, int]:
    return {**state.get("runs", {}), **update.get("runs", {})}


def _with_producers(name: str, settings: Settings) -> dict[str, None]:
    """Return a tool after all tools that it uses; no circle is left when the graph is built."""
    found: dict[str, None] = {}
    for one in producers(made_tools(settings)[name], settings):
        found |= _with_producers(one, settings)
    return {**found, name: None}


def _offered(name: str, settings: Settings) -> BaseTool:
    tool = made_tools(settings)[name]
    described = " ".join((tool.__doc__ or "").split("\n\n")[0].split())

    def run(runtime: Run, start_s: Start | None = None, end_s: End | None = None) -> Result:
        span, (context, state) = span_of(runtime, start_s, end_s), given_to(runtime)
        report = state.get("channels", {}).get(name)
        if report is None or name not in state.get("runs", {}):
            return f"{name} could not be used here.", artifact(())
        found = [
            passage.evidence
            for passage in context.library.passages([state["runs"][name]])
            if span.holds(passage.evidence)
        ]
        note = f"What {name} found in {span}:" if found else f"{name} found nothing in {span}."
        return told(note, found, context)

    called, text = PREFIX + name, f"{described} Takes a while; runs on the whole video, once."
    return as_tool(called, description=text, response_format="content_and_artifact")(run)
