"""The chat graph: answers a question with the previous exchange in its checkpoint.

START -> understand -> answer -> END

Only the exchange is checkpointed: the graph that answers runs inside a node without checkpoints,
for its results are in the library.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any, TypedDict, cast

from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import merge_configs
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime

import prompts
from agent.answer import Answer, Usage
from agent.chats.call_record import CallRecord
from agent.frames.saved import visuals_of
from agent.graph import Graph
from agent.library.exchange import Exchange, ModelCall, Seen
from agent.records import Question, Understood
from agent.state import Context, State
from agent.text import quoted

MAX_REWRITTEN = 400  # characters of a question rewritten by a model
TOGETHER = "read together with the question before"
REWRITTEN = "said by the language model so that it stands alone"


class Asked(TypedDict, total=False):
    """The state of a chat; the caller sets the path, the question and its options."""

    path: str
    question: str
    options: list[str]
    understood: str
    how: str
    calls: list[ModelCall]
    exchange: Exchange


Conversation = CompiledStateGraph[Asked, Context, Asked, Asked]


def build_conversation(ask: Graph, saver: BaseCheckpointSaver[Any]) -> Conversation:
    """Build the graph that answers the questions of a chat; a thread is a chat.

    Args:
        ask: The graph that answers a standalone question.
        saver: The checkpointer.
    """

    def answer(state: Asked, runtime: Runtime[Context], config: RunnableConfig) -> Asked:
        start, record = perf_counter(), CallRecord()
        question = Question(state["understood"], tuple(state["options"]))
        asked: State = {"path": Path(state["path"]), "question": question}
        if state["calls"]:
            asked["usage"] = {"understand": _usage(state["calls"])}
        recorded = merge_configs(config, {"callbacks": [record]})
        done = ask.invoke(asked, recorded, context=runtime.context)
        seconds = perf_counter() - start
        calls = [*state["calls"], *record.calls]
        return {"exchange": _exchange(state, done, calls, seconds, runtime.context)}

    graph: Any = StateGraph(Asked, context_schema=Context)  # its types lack a node with both
    graph.add_node(understand)
    graph.add_node(answer)
    graph.add_edge(START, "understand")
    graph.add_edge("understand", "answer")
    graph.add_edge("answer", END)
    return cast("Conversation", graph.compile(name="chat", checkpointer=saver))


def understand(state: Asked, runtime: Runtime[Context], config: RunnableConfig) -> Asked:
    """Rewrite a follow-up as a standalone question."""
    record = CallRecord()
    understood = Understood(state["question"])
    if before := state.get("exchange"):
        understood = _follow_up(
            state["question"],
            before,
            runtime.context,
            merge_configs(config, {"callbacks": [record]}),
        )
    return {"understood": understood.question, "how": understood.how, "calls": record.calls}


def _follow_up(
    question: str, before: Exchange, context: Context, config: RunnableConfig
) -> Understood:
    """Let the chat model rewrite it; after a bad reply, join both questions."""
    asked, answer = before["understood"], str(before["answer"]["answer"])
    given = quoted(answer) if answer else "none"
    told = prompts.render("follow_up", before=asked, answer=given, question=question)
    said = context.pool.chat().invoke([HumanMessage(told)], config).text.strip()
    if said.rstrip("?") == question.rstrip("?"):
        return Understood(question)
    if said and len(said) <= MAX_REWRITTEN and "\n" not in said:
        return Understood(said, REWRITTEN)
    return Understood(f"{asked} {question.strip()}", TOGETHER)


def _usage(calls: Sequence[ModelCall]) -> Usage:
    seconds = sum(call["seconds"] for call in calls)
    return Usage(
        seconds=seconds,
        model_seconds=seconds,
        model_calls=len(calls),
        input_tokens=sum(call["input_tokens"] for call in calls),
        output_tokens=sum(call["output_tokens"] for call in calls),
    )


def _exchange(
    state: Asked, done: Mapping[str, Any], calls: list[ModelCall], seconds: float, context: Context
) -> Exchange:
    answer: Answer = replace(done["answer"], seconds=seconds)
    visuals = visuals_of(done["ask"], done.get("lines", ())) if "ask" in done else ()
    folder = context.library.folder
    return Exchange(
        asked=state["question"],
        options=state["options"],
        understood=state["understood"],
        how=state["how"],
        sha256=done["video"].sha256,
        video=done["video"].path.name,
        when=datetime.now(UTC).isoformat(timespec="seconds"),
        answer=json.loads(json.dumps(answer.to_json())),
        calls=calls,
        seen=[
            Seen(file=str(v.file.relative_to(folder)), kind=v.kind, times_s=list(v.times_s))
            for v in visuals
        ],
    )
