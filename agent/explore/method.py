"""Explore: an agent loop in which the model calls tools, starting from few frames.

    START -> [ingest] -> open -> think -> [ingest | hear | detectors] -> tools -> observe -> think
                                   +-------------------------------------------> finalise -> ...

After VideoAgent (Wang et al., ECCV 2024): five initial frames, self-reported confidence on a scale
of three, new frames inside the span that the model names, an end at the highest confidence, after
three answers, or at a limit. What differs: it is a loop and not unrolled, the model chooses the
tools, and a confidence that does not parse is asked for again, then counts as the lowest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any, cast

from langchain_core.messages import AIMessage, HumanMessage, ToolCall, ToolMessage
from langgraph.graph import START, StateGraph
from langgraph.prebuilt import ToolNode
from langgraph.runtime import Runtime
from langgraph.types import Command

import prompts
from agent.answer import Meter, Step, Usage
from agent.answering import nodes as answering
from agent.answering.conversation import usage_of
from agent.answering.method import Method, MethodPlan, Subgraph, read_options
from agent.answering.prompt import prompt_names
from agent.answering.replies import json_objects
from agent.explore.chosen import chosen_node, tools_for
from agent.explore.end import SURE, add_steps, finalise, stop
from agent.explore.start import first_frames, open_video, prompt_files
from agent.explore.state import (
    Exploring,
    Options,
    Proposal,
    cited_as,
    evidence_in,
    expected_tokens,
    last_round,
    limit,
    options_of,
    sees,
    transcript,
)
from agent.explore.tool_choice import chosen_tools, detectors, needed_runs, without_chosen
from agent.explore.tools import refuse
from agent.ingest.graph import build_ingest, build_listen
from agent.ingest.tool_node import Node, reporting, tool_node
from agent.models.chat_model import ContextOverflowError
from agent.records import Question, Request
from agent.settings import Settings
from agent.state import Context, Findings, State
from tools.evidence import Evidence
from tools.media.video import Video

MAX_CALLS_AT_ONCE = 8  # tool calls of one reply; more are a degenerate reply


def build(settings: Settings) -> Subgraph:
    """Build the subgraph."""
    read_options("explore", Options, settings)
    graph = StateGraph(Exploring, context_schema=Context, input_schema=State, output_schema=State)
    looking, chosen = detectors(settings), chosen_tools(settings)
    unasked = without_chosen(settings)
    graph.add_node("ingest", build_ingest(unasked))
    graph.add_node("hear", build_listen(unasked))
    graph.add_node("open", open_video)
    graph.add_node(think, destinations=("ingest", "hear", *looking, *chosen, "tools", "finalise"))
    graph.add_node("tools", ToolNode(tools_for(settings), handle_tool_errors=refuse))
    graph.add_node(observe, destinations=("think", "finalise"))
    graph.add_node(finalise, destinations=("parse", "reason", "abstain"))
    graph.add_conditional_edges(START, where_to_begin, ["ingest", "open"])
    graph.add_conditional_edges("ingest", where_to_go_on, ["open", "tools"])
    graph.add_edge("hear", "tools")
    for name in looking:
        graph.add_node(name, reporting(looking_again(name), [name]))
        graph.add_edge(name, "tools")
    for name in chosen:
        graph.add_node(name, chosen_node(name, settings))
        graph.add_edge(name, "tools")
    graph.add_edge("open", "think")
    graph.add_edge("tools", "observe")
    answering.add_answering_nodes(graph, retry_node="finalise")
    return cast("Subgraph", graph.compile(name="explore"))


def where_to_begin(state: State, runtime: Runtime[Context]) -> str:
    """Start a text-only model with the tools' evidence, a vision-language model with frames."""
    return "open" if sees(state["video"], runtime.context) else "ingest"


def where_to_go_on(state: Exploring) -> str:
    """Route after ingest: to the start, or back to the tool that requested it."""
    return "tools" if state.get("messages") else "open"


def looking_again(name: str) -> Node:
    """Return a node that runs a tool for each new phrase, even if the last run failed."""
    node = tool_node(name)

    def again(state: State, runtime: Runtime[Context]) -> Findings:
        others = {n: c for n, c in state.get("channels", {}).items() if n != name}
        return node({**state, "channels": others}, runtime)

    return again


def think(state: Exploring, runtime: Runtime[Context]) -> Command[str]:
    """Let the model choose the next tool calls, unless a limit is reached."""
    context, start = runtime.context, perf_counter()
    tools = tools_for(context.settings)
    if why := limit(state, context, tools):
        return Command(update=stop(state, why, runtime), goto="finalise")
    chat, meter = context.pool.chat(), Meter()
    expected = expected_tokens(state, context, tools)
    try:
        sent = transcript(state, context, meter)
        reply = chat.bind_tools(tools).invoke(sent, max_new_tokens=options_of(context).reply_tokens)
    except ContextOverflowError as error:
        return _shrink(state, runtime, error)
    used = usage_of(reply, perf_counter() - start)
    total = used.input_tokens + used.output_tokens
    before = state["usage"].get("explore", Usage())
    message = readable(reply, before.model_calls)
    update: Exploring = {
        "messages": [message],
        "usage": {"explore": before + replace(used, decodes=meter.decodes)},
        "spent": state.get("spent", 0) + (total or expected),
        "last_input": used.input_tokens,
        "last_output": used.output_tokens,
    }
    if not message.tool_calls:
        return _without_call(state, update, message.text, runtime)
    called = [call["name"] for call in message.tool_calls]
    phrases = [c["args"].get("phrase") for c in message.tool_calls if c["name"] == "detect"]
    wanted = [" ".join(p.split()) for p in phrases if isinstance(p, str) and p.strip()]
    update["request"] = Request(entities=tuple(dict.fromkeys(wanted)), source="model")
    looking = [] if wanted else detectors(context.settings)
    needed = [n for n in needed_runs(called, state, context) if n not in looking]
    return Command(update=update, goto=needed or ["tools"])


def readable(reply: AIMessage, number: int) -> AIMessage:
    """Return a reply whose tool calls all have an id and parsed arguments.

    Bad JSON is repaired. Truncated or invalid arguments are kept under a name that no tool takes,
    so that the tool's error says what it expects.
    """
    broken = [(c["name"] or "", _mended(c["args"] or "")) for c in reply.invalid_tool_calls]
    whole = [(call["name"], call["args"]) for call in reply.tool_calls]
    calls = [
        ToolCall(name=name, args=args, id=f"call_{number}_{i}")
        for i, (name, args) in enumerate([*whole, *broken][:MAX_CALLS_AT_ONCE])
    ]
    return AIMessage(reply.text, tool_calls=calls)


def _mended(written: str) -> dict[str, Any]:
    found = json_objects(written) if written.rstrip().endswith("}") else []
    return dict(found[0]) if len(found) == 1 else {"unreadable": written}


def _shrink(
    state: Exploring, runtime: Runtime[Context], error: ContextOverflowError
) -> Command[str]:
    """Halve the evidence in the prompt; the question and the newest result are dropped last."""
    share = state.get("context_share", 1.0) / 2
    runtime.stream_writer({"stage": "explore", "shrunk_to": share, "why": str(error)})
    if share >= answering.LEAST_SHARE:
        return Command(update={"context_share": share}, goto="think")
    stopped = stop(state, "the end of the model's context", runtime)
    return Command(update={**stopped, "context_share": 1.0}, goto="finalise")


def _without_call(
    state: Exploring, update: Exploring, text: str, runtime: Runtime[Context]
) -> Command[str]:
    """Remind a model that called no tool; the second time its text is the answer."""
    nudge = HumanMessage(prompts.render("explore_nudge"))
    step = Step(
        "reply",
        result=text,
        input_tokens=update["last_input"],
        output_tokens=update["last_output"],
    )
    update["steps"] = add_steps(state, [step], runtime)
    if not any(m.content == nudge.content for m in state["messages"]):
        update["messages"] = [*update["messages"], nudge]
        return Command(update=update, goto="think")
    if text.strip():
        update["proposal"] = Proposal(text.strip())
    stopped = stop({**state, **update}, "a second reply without a tool call", runtime)
    return Command(update={**update, **stopped}, goto="finalise")


def observe(state: Exploring, runtime: Runtime[Context]) -> Command[str]:
    """Record the tools' results, and decide whether to continue."""
    reply, results = last_round(state["messages"])
    known = dict(state["given"])
    steps: list[Step] = []
    for call, result in zip(reply.tool_calls, results, strict=True):
        found = {cited_as(e): e for e in evidence_in(result)}
        steps.append(_step(call, result, found, sum(i not in known for i in found)))
        known |= found
    steps[0] = replace(
        steps[0], input_tokens=state["last_input"], output_tokens=state["last_output"]
    )
    numbers = {_carried(m).get("counted") for m in results} - {None}
    counted = numbers - {_carried(m).get("counted") for m in _earlier(state)}
    fresh = bool(counted) or any(step.new for step in steps)
    update: Exploring = {
        "given": known,
        "steps": add_steps(state, steps, runtime),
        "usage": {"tools": state["usage"].get("tools", Usage()) + _cost(results)},
        **_attempt(state, results, fresh),
    }
    answered = any(_carried(m).get("answer") for m in results)
    update["idle"] = 0 if fresh or answered else state.get("idle", 0) + 1
    if why := _enough(update, results, runtime.context):
        stopped = stop({**state, **update}, why, runtime)
        return Command(update={**update, **stopped}, goto="finalise")
    return Command(update=update, goto="think")


def _earlier(state: Exploring) -> list[ToolMessage]:
    """Return the tool messages before the model's last reply."""
    place = max(i for i, m in enumerate(state["messages"]) if isinstance(m, AIMessage))
    return [m for m in state["messages"][:place] if isinstance(m, ToolMessage)]


def _step(call: ToolCall, result: ToolMessage, found: Mapping[str, Evidence], new: int) -> Step:
    return Step(
        tool=call["name"],
        arguments=call["args"],
        result=result.text,
        evidence=tuple(found),
        new=new,
        failed=result.status == "error",
    )


def _carried(message: ToolMessage) -> Mapping[str, Any]:
    """Return the artifact of a tool message; empty after an invalid call."""
    return message.artifact or {}


def _cost(results: Sequence[ToolMessage]) -> Usage:
    carried = [_carried(message) for message in results]
    return Usage(
        seconds=sum(c.get("seconds", 0.0) for c in carried),
        decodes=sum(c.get("decodes", 0) for c in carried),
    )


def _attempt(state: Exploring, results: Sequence[ToolMessage], seen: bool) -> Exploring:
    """Return the latest proposal: of this reply, or the one before, marked stale if so."""
    given = [_carried(m) for m in results if _carried(m).get("answer")]
    if given:
        last = given[-1]
        attempt = Proposal(
            last["answer"],
            last["confidence"],
            tuple(last["cited"]),
            tuple(last["dropped"]),
            stale=seen,
        )
        return {"proposal": attempt, "rounds": state.get("rounds", 0) + 1}
    before = state.get("proposal")
    rounds = state.get("rounds", 0)
    if before is None:
        return {"rounds": rounds}
    return {"proposal": replace(before, stale=before.stale or seen), "rounds": rounds}


def _enough(update: Exploring, results: Sequence[ToolMessage], context: Context) -> str:
    """Return why the exploration ends after these results, or "" if it continues."""
    options, attempt = options_of(context), update.get("proposal")
    answered = any(_carried(m).get("answer") for m in results)
    if attempt and answered and attempt.confidence == SURE:
        return f"confidence {SURE} of {SURE}"
    if update["rounds"] >= options.max_rounds:
        return f"the limit of {options.max_rounds} answers"
    if any(_carried(m).get("full") for m in results):
        return f"the limit of {options.max_frames} pictures"
    if update["idle"] >= options.patience:
        return f"nothing new in {options.patience} replies"
    return ""


def plan(video: Video, question: Question, context: Context) -> MethodPlan:
    """Plan the initial context and the limits; the steps are chosen by the model."""
    options, frames = options_of(context), first_frames(video, context)
    limits = {name: getattr(options, name) for name in ("max_calls", "max_tokens", "max_frames")}
    asked = prompt_names(question, "given_notes", *(["given_pictures"] if frames else []))
    return MethodPlan(
        prompts=(*prompt_files(), *asked),
        calls=(1, options.max_calls),
        tokens=options.max_tokens,
        frames=frames,
        visuals={"first_images": len(frames), **limits},
        tools=tuple(dict.fromkeys([*context.settings.ingest, *detectors(context.settings)])),
        roles=("embedder",),
    )


METHOD = Method(
    "explore",
    "a model that calls tools looks and listens where it wants",
    Options,
    build,
    plan,
    needs=frozenset({"tool calls"}),
)
