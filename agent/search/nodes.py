"""The nodes from the evidence of several videos to the prompt.

retrieve -> budget -> read -> reason
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import ceil
from time import perf_counter
from typing import Literal, Protocol

from langgraph.runtime import Runtime

import prompts
from agent.answer import SearchedVideo, Usage
from agent.answering.evidence_lines import merge_neighbours, with_neighbours, within_budget
from agent.answering.method import read_options
from agent.answering.prompt import ask_for, opening, opening_prompts, records_section
from agent.library.rows import across_videos
from agent.records import CandidateAnswer
from agent.search.moments import Collected, near_duplicates
from agent.search.plan import METHOD
from agent.search.search import VideoSearch
from agent.state import Context, State
from agent.video_rag.method import unread
from agent.video_rag.nodes import is_relevant
from agent.video_rag.options import Options
from tools.evidence import ChannelReport, Evidence


class VideosState(State, total=False):
    """The state of one question to several videos."""

    searched: tuple[SearchedVideo, ...]
    """The videos, those that were skipped included. Set by the caller."""
    runs_by_video: Mapping[str, tuple[int, ...]]
    """Runs whose evidence may be used, by the hash of the video. Set by the caller."""


class Node(Protocol):
    """A node of the graph; LangGraph requires its first parameter to be called `state`."""

    def __call__(self, state: VideosState, runtime: Runtime[Context]) -> VideosState:
        """Return the state update."""
        ...


def retrieve_with(search: VideoSearch) -> Node:
    """Return the node that retrieves the best records of all videos.

    Of several videos no single one fills more than half of the places.
    """

    def retrieve(state: VideosState, runtime: Runtime[Context]) -> VideosState:
        start, question, runs = perf_counter(), state["question"], state["runs_by_video"]
        top = runtime.context.settings.retrieval.top_k
        ranking, note = search.rank(
            [question.text, *question.options], [run for of in runs.values() for run in of]
        )
        collected = Collected(top, per_video=ceil(top / 2) if len(runs) > 1 else 0)
        named = {video.sha256: video.name for video in state["searched"]}
        moments = search.read(ranking.rows, ranking, collected, named)
        update: VideosState = {
            "evidence": tuple(moment.evidence for moment in moments),
            "relevance": ranking.relevance,
            "usage": {"retrieve": Usage(seconds=perf_counter() - start)},
        }
        if note:
            update["channels"] = {"retrieve": ChannelReport("retrieve", "unavailable", reason=note)}
        if not state["plan"].calls[1]:
            update["candidate"] = CandidateAnswer(reason=unread(runtime.context))
        return update

    return retrieve


def is_worth_asking(state: VideosState, runtime: Runtime[Context]) -> Literal["budget", "abstain"]:
    """Continue if a record is relevant to the question and there is a model to read it."""
    return is_relevant(state, runtime) if state["plan"].calls[1] else "abstain"


def budget(state: VideosState, runtime: Runtime[Context]) -> VideosState:
    """Keep the best records that fit the token budget, each whole, then those around them."""
    context, settings = runtime.context, runtime.context.settings.retrieval
    joined = merge_neighbours(state["evidence"], settings.merge_gap_s)
    around = with_neighbours(joined, list(_records(state, context)), settings.neighbours_s)
    new = [e for e in around[len(joined) :] if not any(_repeats(e, hit) for hit in joined)]
    count = context.pool.chat().count_tokens
    kept = within_budget([*joined, *new], settings.token_budget, count)
    if dropped := [e.id for e in joined if e not in kept]:
        runtime.stream_writer({"stage": "budget", "dropped": dropped})
    return {"evidence": kept}


def _records(state: VideosState, context: Context) -> Iterator[Evidence]:
    """Yield all records of the videos that something was retrieved of."""
    hit = {e.video for e in state["evidence"]}
    for one in state["searched"]:
        if one.name in hit and (video := context.library.video(one.sha256)):
            for record in context.library.view(state["runs_by_video"][one.sha256]).records:
                yield across_videos(video, record, one.name)


def _repeats(one: Evidence, other: Evidence) -> bool:
    return one.video == other.video and near_duplicates(one, other)


def read(state: VideosState, runtime: Runtime[Context]) -> VideosState:
    """Write the prompt; each line names its video."""
    share = state.get("context_share", 1.0)
    lines = state["evidence"][: ceil(len(state["evidence"]) * share)]
    examples = read_options("video-rag", Options, runtime.context.settings).examples
    before = opening(examples, several=True)
    asked = ask_for("read", state["question"], records_section(lines), before=before)
    told = {name: prompts.version(name) for name in opening_prompts(examples, several=True)}
    return {"ask": asked["ask"], "prompts": {**told, **asked["prompts"]}, "lines": lines}


def finish(state: VideosState, runtime: Runtime[Context]) -> VideosState:
    """Complete the answer with its provenance: videos, channels, costs, models, prompts, plan.

    Raises:
        DeletedError: A video was deleted meanwhile.
    """
    settings, plan = runtime.context.settings, state["plan"]
    cited = {one.video for one in state["answer"].evidence}
    hashes = [one.sha256 for one in state["searched"] if one.name in cited]
    for sha256 in hashes:
        runtime.context.library.require_runs(state["runs_by_video"][sha256])
    answer = replace(
        state["answer"],
        channels=tuple(state.get("channels", {}).values()),
        usage=dict(state["usage"]),
        method=METHOD,
        profile=settings.profile,
        models=dict(plan.models),
        prompts=dict(state.get("prompts", {})),
        plan=plan.id,
        videos=state["searched"],
    )
    return {"answer": answer}
