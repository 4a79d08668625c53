"""Video-RAG (Luo et al., arXiv 2411.13093): answer from auxiliary text that is retrieved.

    START -> decouple --------------------+
          -> ingest ----------------------+-> detect -> retrieve -> budget -> read -> ...

`detect` looks for the question's own entities, where the profile has an open-vocabulary detector.
What differs from the paper: the evidence is kept and embedded once per video, every line has its
time, and a hard token budget drops whole records, worst first.
"""

from dataclasses import replace
from time import perf_counter
from typing import Literal

from langgraph.graph import START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime

import prompts
from agent import retrieval, tail
from agent.answer import Usage
from agent.decouple import parse_request
from agent.ingest import add_tools, build_ingest, phrase_tools
from agent.settings import Settings
from agent.state import Context, State


def build(settings: Settings) -> CompiledStateGraph[State, Context, State, State]:
    """Build the method as a subgraph that takes a probed video and a question."""
    graph = StateGraph(State, context_schema=Context)
    graph.add_node(decouple)
    graph.add_node("ingest", build_ingest(settings))
    graph.add_node(retrieve, defer=True)
    graph.add_node(budget)
    graph.add_edge(START, "decouple")
    graph.add_edge(START, "ingest")
    looking = phrase_tools(settings)
    add_tools(graph, ["decouple", "ingest"], looking, then=["retrieve"])
    if not looking:
        graph.add_edge("decouple", "retrieve")
        graph.add_edge("ingest", "retrieve")
    graph.add_conditional_edges("retrieve", _relevant, ["budget", "abstain"])
    graph.add_edge("budget", "read")
    tail.add_tail(graph)
    return graph.compile(name="video-rag")


def decouple(state: State, runtime: Runtime[Context]) -> State:
    """Ask the chat model what to search for; it needs no video, so it starts at once."""
    start, question = perf_counter(), state["question"].text
    prompt = prompts.render("decouple", question=question)
    text, usage = tail.call(prompt, runtime.context)
    return {
        "request": parse_request(text, question),
        "prompts": {"decouple": prompts.version("decouple")},
        "usage": {"decouple": replace(usage, seconds=perf_counter() - start)},
    }


def retrieve(state: State, runtime: Runtime[Context]) -> State:
    """Choose the evidence that bears on the question, its options and its request."""
    start, context = perf_counter(), runtime.context
    question, request = state["question"], state["request"]
    queries = [question.text, *question.options, *filter(None, [request.speech])]
    runs = sorted(state.get("runs", {}).values())
    hits = retrieval.Hits((), 0.0)
    if context.library.count_evidence(runs):
        embedder = context.pool.embedder()
        retrieval.embed_missing(context.library, embedder, runs)  # what `detect` added just now
        hits = retrieval.retrieve(
            context.library, embedder, runs, queries, context.settings.retrieval
        )
    return {
        "evidence": hits.evidence,
        "relevance": hits.relevance,
        "usage": {"retrieve": Usage(seconds=perf_counter() - start)},
    }


def _relevant(state: State, runtime: Runtime[Context]) -> Literal["budget", "abstain"]:
    enough = state["relevance"] >= runtime.context.settings.retrieval.min_relevance
    return "budget" if enough and state["evidence"] else "abstain"


def budget(state: State, runtime: Runtime[Context]) -> State:
    """Keep the best evidence that fits the token budget, each record whole."""
    kept = tail.within_budget(
        state["evidence"],
        runtime.context.settings.retrieval.token_budget,
        runtime.context.pool.chat().count_tokens,
    )
    dropped = [e.id for e in state["evidence"] if e not in kept]
    if dropped:
        runtime.stream_writer({"stage": "budget", "dropped": dropped})
    return {"evidence": kept}
