"""Video-RAG (Luo et al., arXiv 2411.13093): answer from retrieved auxiliary texts.

    START -> decouple --------------------+
          -> ingest ----------------------+-> detect -> retrieve -> budget -> read -> ...
                                                                 -> look -> ...

`detect` detects the question's entities on key frames, where the profile has an open-vocabulary
detector. What differs from the paper: the evidence is stored and embedded once per video, every
line has its time, scene text has all relations, and a hard token budget drops whole records, worst
first. `look` is for a vision-language model where nothing relevant was retrieved.
`video-rag.parity` follows the published code, see `agent.video_rag.published`.
"""

from collections.abc import Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any, Literal

from langgraph.graph import START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import RetryPolicy

import prompts
from agent.answer import Meter, Usage
from agent.answering import nodes as answering
from agent.answering.conversation import call
from agent.answering.method import Method, MethodPlan, Subgraph, read_options
from agent.answering.prompt import (
    FORMS,
    ask_for,
    filmed,
    frames_prompt,
    opening_prompts,
    pictures_section,
    prompt_names,
)
from agent.frames.files import frames_of, picture_files, shown
from agent.frames.sampling import centre_ids
from agent.frames.saved import frame_visuals
from agent.ingest.graph import build_ingest, phrase_tools, question_tools
from agent.ingest.tool_node import MAX_ATTEMPTS, is_transient, reporting, tool_node
from agent.ingest.uses import made_tools, producers
from agent.records import CandidateAnswer, Plan, PlannedFrame, Question, Request, Turn, Visual
from agent.settings import Settings
from agent.state import Context, State
from agent.video_rag import nodes as evidence
from agent.video_rag import published as parity
from agent.video_rag.decoupling import parse_request
from agent.video_rag.entity_detection import OBJECTS, look_node, published_frames
from agent.video_rag.nodes import budget, read
from agent.video_rag.options import Options
from agent.video_rag.scene_text import describe
from tools.errors import MissingError
from tools.evidence import Evidence
from tools.media.video import Reading, Video
from tools.model_files.manifest import manifest


def build(settings: Settings) -> Subgraph:
    """Build the method as a subgraph that takes a probed video and a question."""
    options = read_options("video-rag", Options, settings)
    graph = StateGraph(State, context_schema=Context)
    graph.add_node(decouple)
    graph.add_node("ingest", build_ingest(settings))
    graph.add_edge(START, "decouple")
    graph.add_edge(START, "ingest")
    if options.parity:
        graph.add_node("retrieve", parity.retrieve_as_published, defer=True)
        graph.add_node("read", parity.read)
        graph.add_edge("retrieve", "read")
    else:
        graph.add_node(retrieve, defer=True)
        graph.add_node(budget)
        graph.add_node(read)
        graph.add_node(look)
        graph.add_conditional_edges("retrieve", is_worth_asking, ["budget", "look", "abstain"])
        graph.add_edge("budget", "read")
        graph.add_edge("look", "reason")
    graph.add_edge("read", "reason")
    _add_looking(graph, settings, options)
    answering.add_answering_nodes(graph, retry_node="read")
    return graph.compile(name="video-rag")


def _add_looking(
    graph: StateGraph[State, Context, State, State], settings: Settings, options: Options
) -> None:
    """Add the tools that wait for the question or its entities, before retrieval."""
    names, tools = question_tools(settings), made_tools(settings)
    rule, note = options.rule, parity.filter_note() if options.parity else ""
    frames = options.pictures if options.parity else 0
    for name in names:
        looks = tools[name].needs >= {"frames", "phrases"}
        node = look_node(name, rule, note, frames) if looks else tool_node(name)
        graph.add_node(
            name,
            reporting(node, [name]),
            retry_policy=RetryPolicy(max_attempts=MAX_ATTEMPTS, retry_on=is_transient),
        )
        before = [one for one in producers(tools[name], settings) if one in names]
        graph.add_edge(["decouple", "ingest", *before], name)
    for name in names or ["decouple", "ingest"]:
        graph.add_edge(name, "retrieve")


def decouple(state: State, runtime: Runtime[Context]) -> State:
    """Let the chat model write the retrieval request; runs at once, for it needs no video."""
    start, question = perf_counter(), state["question"].text
    options = read_options("video-rag", Options, runtime.context.settings)
    if not (options.decouple or options.parity) or not state["plan"].calls[1]:
        return {"request": Request()}
    name, request = "decouple", parse_request
    given: dict[str, Any] = {"question": question}
    decoding: dict[str, Any] = {}
    if options.parity:
        name, request = parity.DECOUPLE, parity.published_request
        given |= {"options": parity.lettered(state["question"])}
        decoding = {"temperature": 0.0}
    prompt = prompts.render(name, **given)
    text, usage = call([Turn("user", prompt)], runtime.context, **decoding)
    return {
        "request": request(text, question),
        "prompts": {name: prompts.version(name)},
        "usage": {"decouple": replace(usage, seconds=perf_counter() - start)},
    }


def choose_frames(video: Video, context: Context) -> tuple[PlannedFrame, ...]:
    """Return the frames given to the model with the evidence; none for a text-only model."""
    options = read_options("video-rag", Options, context.settings)
    if not (video.has_picture and options.pictures and context.pool.capabilities().images):
        return ()
    limit = context.pool.capabilities().max_images
    most = min(options.pictures, limit or options.pictures)
    if options.parity:
        return frames_of(video, lambda total: published_frames(total, most), "decord")
    return frames_of(video, lambda total: centre_ids(total, most))


def retrieve(state: State, runtime: Runtime[Context]) -> State:
    """Retrieve the evidence relevant to the question, and add the detections on key frames.

    Key frames with the question's entities are relevant whatever their text, so all of them are
    added, after the best record. Where locations or relations are requested, scene text is made
    from the boxes, also from those of a closed-vocabulary detector.
    """
    start, update = perf_counter(), evidence.retrieve_evidence(state, runtime)
    context, aspects = runtime.context, state["request"].aspects
    if not state["plan"].calls[1]:
        return {**update, "candidate": CandidateAnswer(reason=unread(context))}
    options = read_options("video-rag", Options, context.settings)
    looked = [n for n in phrase_tools(context.settings) if n in state.get("runs", {})]
    seen = _seen(looked, state, context)
    ids = {one.id for one in seen}
    rest = [one for one in update["evidence"] if one.id not in ids]
    joined = [*rest[:1], *seen, *rest[1:]]
    boxed = [one for one in joined if one.kind == OBJECTS]
    count = context.pool.chat().count_tokens
    told = iter(describe(boxed, aspects, options.scene_tokens, count) if boxed else ())
    enough = context.settings.retrieval.min_relevance if seen else 0.0
    return {
        **update,
        "evidence": tuple(next(told) if one.kind == OBJECTS else one for one in joined),
        "relevance": max(update["relevance"], enough),
        "usage": {"retrieve": Usage(seconds=perf_counter() - start)},
    }


def _seen(tools: list[str], state: State, context: Context) -> list[Evidence]:
    """Return the detections on key frames, in time order."""
    passages = context.library.passages(state["runs"][name] for name in tools)
    return [p.evidence for p in passages if p.evidence.kind == OBJECTS]


def is_worth_asking(
    state: State, runtime: Runtime[Context]
) -> Literal["budget", "look", "abstain"]:
    """Continue if a record is relevant to the question, or the model sees pictures."""
    if not state["plan"].calls[1]:
        return "abstain"
    found = evidence.is_relevant(state, runtime)
    return "look" if found == "abstain" and state["plan"].frames else found


def look(state: State, runtime: Runtime[Context]) -> State:
    """Ask about the frames alone, as no tool found anything relevant to the question."""
    start, meter, context = perf_counter(), Meter(), runtime.context
    video, every = state["video"], int(1 / state.get("context_share", 1.0))
    frames = state["plan"].frames[::every]
    side = context.settings.sampling.max_side
    files = picture_files(video, frames, context.library, meter, side)
    meter.seconds = perf_counter() - start
    native = context.pool.chat().capabilities.video
    given = pictures_section(video, frames, native)
    asked = ask_for("look", state["question"], given, images=files)
    if native:
        asked = filmed(asked, video, frames)
    return {**asked, "lines": shown(frames), "usage": {"look": meter.usage()}}


def plan(video: Video, question: Question, context: Context) -> MethodPlan:
    """Return the plan; without a chat model the video is searched and nothing is read."""
    options = read_options("video-rag", Options, context.settings)
    if not options.parity and unread(context):
        tools = context.settings.ingest
        return MethodPlan((), calls=(0, 0), tokens=0, tools=tools, roles=("embedder",))
    frames = choose_frames(video, context)
    native = bool(frames) and not options.parity and context.pool.capabilities().video
    visuals = {"images": len(frames), **({"form": FORMS[native]} if frames else {})}
    if phrase_tools(context.settings):
        visuals["key_frames_at_most"] = options.pictures if options.parity else options.key_frames
    names, calls, tokens = _asked(question, options, frames, context)
    return MethodPlan(
        prompts=(*_decoupled(options), *([frames_prompt(native)] if frames else []), *names),
        calls=calls,
        tokens=tokens,
        frames=frames,
        visuals=visuals,
        tools=context.settings.ingest,
        roles=("embedder", "image encoder") if phrase_tools(context.settings) else ("embedder",),
    )


def draw(video: Video, question: Question, plan: Plan, context: Context) -> tuple[Visual, ...]:
    """Return the pictures beside the evidence."""
    options = read_options("video-rag", Options, context.settings)
    reading: Reading = "decord" if options.parity else "player"
    side = context.settings.sampling.max_side
    files = picture_files(video, plan.frames, context.library, Meter(), side, reading)
    return frame_visuals(files, plan.frames)


def unread(context: Context) -> str:
    """Return why no chat model reads what is found, with the remedy; "" if one does.

    Only for weights that can be fetched: a model that nobody knows is an error.
    """
    if context.settings.chat.model not in manifest():
        return ""
    try:
        context.pool.capabilities()
    except MissingError as error:
        return f"no language model reads what was found: {error}"
    return ""


def _asked(
    question: Question, options: Options, frames: Sequence[PlannedFrame], context: Context
) -> tuple[Sequence[str], tuple[int, int], int]:
    """Return the prompts of the answer, the number of calls, and the tokens of the evidence."""
    if options.parity:
        return prompt_names(question, "given_channels", once=True), (2, 2), 0
    outlined = ["given_outline"] if context.settings.retrieval.outline_tokens else []
    given = (*opening_prompts(options.examples), *outlined, "given_records")
    names = prompt_names(question, *given)
    retrieval, before = context.settings.retrieval, len(_decoupled(options))
    least = before + bool(frames)  # no more where nothing relevant is found
    return names, (least, before + 2), retrieval.token_budget + retrieval.outline_tokens


def _decoupled(options: Options) -> tuple[str, ...]:
    """Return the prompt that is asked before retrieval, if one is."""
    if options.parity:
        return (parity.DECOUPLE,)
    return ("decouple",) if options.decouple else ()


METHOD = Method(
    "video-rag", "searches what the tools found, then reads it", Options, build, plan, draw=draw
)
