"""LLoVi (Zhang et al., arXiv 2312.17235): caption short clips, summarise, answer from the summary.

    START -> begin -> cut_clips -> caption (each stretch of clips) -> collect_captions -+
                   -> ingest -> take_evidence ------------------------------------------+
                   -> read_file --------------------------------------------------------+
                                                                                        v
                                        ... <- reason <- answer <- condense <-----------+

What differs from the paper: captions are made here, once per clip and captioner, and stored; a
video of any length is summarised by map-reduce; a text-only model reads the tools' evidence instead
of captions; replies are cached, so that a killed run repeats only the call in flight.
`llovi.preset` takes the published settings; `llovi.parity` labels captions, decodes and parses
replies as the published code.
"""

from collections.abc import Mapping
from functools import partial
from hashlib import sha256
from pathlib import Path
from time import perf_counter
from typing import Any, Literal, cast

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import Command

import prompts
from agent.answer import Usage
from agent.answering import nodes as answering
from agent.answering.conversation import chat_for, kept_chat
from agent.answering.evidence_lines import merge_neighbours
from agent.answering.grounding import Grounder
from agent.answering.grounding import ground as ask_when
from agent.answering.method import Method, MethodPlan, Role, Subgraph, read_options
from agent.answering.prompt import AGAIN
from agent.answering.published_parsers import parse_published_intervals
from agent.ingest.graph import add_tools, build_ingest, question_tools
from agent.ingest.tool_node import Node, reporting
from agent.library.keys import captioner_of as captioner_settings
from agent.library.rows import CAPTIONS
from agent.llovi import grounding, narrative
from agent.llovi.caption_file import Timing, read_captions
from agent.llovi.captioning import (
    Captioning,
    caption,
    captioner_of,
    clips_of,
    collect_captions,
    cut_clips,
    fan_out,
    views_of,
)
from agent.llovi.exemplars import choose_exemplars, read_exemplars
from agent.llovi.narrative import LINE_TOKENS, Narrative
from agent.llovi.options import LloviOptions
from agent.llovi.prompts import (
    Exemplar,
    final_turn,
    first_turn,
    ground_part,
    joined,
    sufficiency_part,
)
from agent.records import Ask, CandidateAnswer, PlannedFrame, Question, Turn
from agent.settings import Settings
from agent.state import Context, State
from agent.text import words
from tools.errors import ChangedError
from tools.evidence import ChannelReport, Evidence
from tools.media.video import Video

Source = Literal["file", "clips", "evidence"]
ROLES: Mapping[Source, tuple[Role, ...]] = {
    "file": (),
    "clips": ("captioner",),
    "evidence": ("embedder",),
}
TOKENS_A_SECOND = 12  # of evidence: speech of 3 words per second, and as much again


class Llovi(Captioning, total=False):
    """The state of the method."""

    summary: tuple[Evidence, ...]
    """What the answer is read from in place of the notes, set by `condense`."""


def build(settings: Settings) -> Subgraph:
    """Build the subgraph."""
    options = read_options("llovi", LloviOptions, settings)
    if options.exemplars:
        read_exemplars(options.exemplars)  # raises before any call
    graph = StateGraph(Llovi, context_schema=Context, input_schema=State, output_schema=State)
    graph.add_node(begin)
    graph.add_edge(START, "begin")
    add_sources(graph, settings, options)
    graph.add_node(condense)
    graph.add_node(answer)
    graph.add_edge("answer", "reason")
    if options.grounding:
        graph.add_node(ground)
        graph.add_edge("ground", END)
    then = "ground" if options.grounding else END
    answering.add_answering_nodes(graph, retry_node="answer", chat_of=chat_for, then=then)
    return cast("Subgraph", graph.compile(name="llovi"))


def add_sources(graph: Any, settings: Settings, options: LloviOptions) -> None:
    """Add the three sources of notes: captions made here, captions of a file, tools' evidence."""
    cut = cast("Node", partial(cut_clips, options=options))
    graph.add_node("cut_clips", reporting(cut, [CAPTIONS]))
    graph.add_node("caption", partial(caption, options=options))
    graph.add_node("collect_captions", partial(collect_captions, options=options))
    graph.add_conditional_edges("cut_clips", fan_out, ["caption", "collect_captions"])
    graph.add_edge("caption", "collect_captions")
    graph.add_node("ingest", build_ingest(settings))
    graph.add_node(take_evidence)
    waiting = question_tools(settings, phrases=False)
    add_tools(graph, ["ingest"], waiting, settings, then=["take_evidence"])
    if not waiting:
        graph.add_edge("ingest", "take_evidence")
    graph.add_node(read_file)
    for node in ("collect_captions", "take_evidence", "read_file"):
        graph.add_edge(node, "condense")


def begin(
    state: State, runtime: Runtime[Context]
) -> Command[Literal["cut_clips", "ingest", "read_file"]]:
    """Validate the few-shot examples before any call, and route to the planned source of notes."""
    planned_exemplars(state, options_of(runtime.context))
    ways: Mapping[Source, Literal["cut_clips", "ingest", "read_file"]]
    ways = {"clips": "cut_clips", "evidence": "ingest", "file": "read_file"}
    return Command(goto=ways[state["plan"].visuals["notes"]])


def source_of(video: Video, context: Context) -> Source:
    """Return the source of notes: a file, a vision-language captioner, else the tools."""
    if options_of(context).captions:
        return "file"
    sees = video.has_picture and context.pool.capabilities("captioner").images
    return "clips" if sees else "evidence"


def read_file(state: Llovi, runtime: Runtime[Context]) -> Llovi:
    """Read precomputed captions. `InputError` when they cannot be used."""
    options = options_of(runtime.context)
    require_planned(options.captions, state["plan"].visuals["sha256"])
    notes = captions_in_file(state["video"], options)
    report = ChannelReport(CAPTIONS, "ok", len(notes), reason="read from a file", cached=True)
    return {"notes": notes, "channels": {CAPTIONS: report}}


def captions_in_file(video: Video, options: LloviOptions) -> tuple[Evidence, ...]:
    """Return a video's captions from the caption file, by the video's file name."""
    assert options.captions is not None  # promised by `source_of`
    published = bool(options.parity)
    fps, every = options.caption_fps, options.caption_every
    timing = Timing(video.duration_s, fps, every, by_position=published)
    return read_captions(options.captions, video.path.stem, timing)


def take_evidence(state: Llovi, runtime: Runtime[Context]) -> Llovi:
    """Use the tools' evidence in place of captions, and report it."""
    context, runs = runtime.context, sorted(state.get("runs", {}).values())
    found = [passage.evidence for passage in context.library.passages(runs)]
    gap_s = context.settings.retrieval.merge_gap_s
    notes = tuple(sorted(merge_neighbours(found, gap_s), key=lambda e: (e.start_s, e.end_s)))
    blind = f"{captioner_settings(context.settings).model} reads text only"
    why = blind if state["video"].has_picture else "the file has no picture"
    reason = f"llovi over evidence: {why}, so what the tools found stands in for captions"
    return {
        "notes": notes,
        "channels": {CAPTIONS: ChannelReport(CAPTIONS, "skipped", reason=reason)},
    }


def condense(state: Llovi, runtime: Runtime[Context]) -> Command[Literal["answer", "abstain"]]:
    """Summarise the notes for the question, in as many rounds as their length needs."""
    start, context, options = perf_counter(), runtime.context, options_of(runtime.context)
    notes, video = state["notes"], state["video"]
    if not notes:
        channel = state.get("channels", {}).get(CAPTIONS)
        why = channel.reason if channel else ""
        candidate = CandidateAnswer(
            reason=f"there is nothing to read: {why or 'nothing was found'}"
        )
        return Command(update={"candidate": candidate}, goto="abstain")
    if options.summary == "none" or all(note.kind == "summary" for note in notes):
        return Command(goto="answer")
    told = Narrative(video, notes, options, kept_chat(video, context))
    done = narrative.summarise(told, state["question"], runtime)
    seconds = perf_counter() - start
    update: Llovi = {
        "summary": done.summary,
        "channels": {narrative.TOOL: done.report},
        "prompts": done.prompts,
        "usage": {"condense": Usage(seconds=seconds) + done.usage},
    }
    return Command(update=update, goto="answer")


def answer(state: Llovi, runtime: Runtime[Context]) -> Llovi:
    """Write the prompt with the summary, or with as many notes as fit, spread over the video."""
    start, context, options = perf_counter(), runtime.context, options_of(runtime.context)
    video, question, share = state["video"], state["question"], state.get("context_share", 1.0)
    notes = Narrative(video, state["notes"], options, kept_chat(video, context))
    exemplars = planned_exemplars(state, options)
    first = first_turn(question, options.reasoning)
    follow_ups = () if options.reasoning == "direct" else (final_turn(question),)
    summary = state.get("summary", ())
    if summary:
        given, lines = notes.worded(summary, exemplars), notes.within_limits(question)
    else:
        lines = notes.fitting(notes.room([first, *follow_ups], exemplars), share)
        given = notes.worded(lines, exemplars)
    turn = Turn("user", joined([given, first]))
    asked = Ask(
        (turn,),
        "" if summary else "answer",
        follow_ups=tuple(part.text for part in follow_ups),
        samples=options.samples,
        temperature=options.answer_temperature,
        reasoning_tokens=options.reasoning_tokens,
        parity=options.parity,
        kept_for=video,
        note=notes.left_out(lines),
    )
    names = [part.name for part in (given, first, *follow_ups)] + ["exemplar"] * bool(exemplars)
    return {
        "ask": asked,
        "lines": by_words(lines, question),
        "prompts": {name: prompts.version(name) for name in names},
        "usage": {"answer": Usage(seconds=perf_counter() - start)},
    }


def by_words(lines: tuple[Evidence, ...], question: Question) -> tuple[Evidence, ...]:
    """Return lines ranked by the number of words shared with the question and its options."""
    wanted = set(words(" ".join([question.text, *question.options])))
    return tuple(sorted(lines, key=lambda e: -len(wanted & set(words(e.text)))))


def ground(state: Llovi, runtime: Runtime[Context]) -> Llovi:
    """Ground the answer in time; return it as a guess where the notes are insufficient."""
    context, options = runtime.context, options_of(runtime.context)
    video, question, lines = state["video"], state["question"], state.get("lines", ())
    if not lines:
        return {}
    notes = Narrative(video, state["notes"], options, kept_chat(video, context))
    footage, grounder = notes.footage(), Grounder(notes.chat, lines, notes.worded)
    enough = sufficiency_part(question) if options.sufficiency else None
    parse = parse_published_intervals if options.parity else None
    found = ask_when(grounder, ground_part(question, footage), footage.duration_s, enough, parse)
    return {
        "answer": grounding.with_spans(state["answer"], found, lines),
        "steps": found.steps,
        "prompts": found.prompts,
        "usage": {"ground": found.usage},
    }


def options_of(context: Context) -> LloviOptions:
    """Return the options of the method."""
    return read_options("llovi", LloviOptions, context.settings)


def exemplars_for(video: Video, options: LloviOptions) -> tuple[Exemplar, ...]:
    """Return the few-shot examples. `InputError` when there are too few of other videos."""
    if not options.shots or options.exemplars is None:
        return ()
    found = read_exemplars(options.exemplars, options.caption_fps, options.caption_every)
    return choose_exemplars(found, options.shots, video.path.stem)


def planned_exemplars(state: State, options: LloviOptions) -> tuple[Exemplar, ...]:
    """Return the planned few-shot examples. `ChangedError` when their file has changed."""
    if options.shots and options.exemplars:
        require_planned(options.exemplars, state["plan"].visuals["exemplars"])
    return exemplars_for(state["video"], options)


def require_planned(file: Path | None, sha256_then: str) -> None:
    """Reject a file that differs from the planned one."""
    if file and content_hash(file) != sha256_then:
        raise ChangedError(file.name)


def content_hash(file: Path) -> str:
    """Return the hash of a file, "" if it cannot be read."""
    try:
        return sha256(file.read_bytes()).hexdigest()
    except OSError:
        return ""


def answer_calls(options: LloviOptions) -> int:
    """Return the maximum number of calls to answer from the notes."""
    answers = options.samples * (1 if options.reasoning == "direct" else 2)
    answers += 0 if options.parity else 1
    return answers + ((1 + options.sufficiency) if options.grounding else 0)


def plan(video: Video, question: Question, context: Context) -> MethodPlan:
    """Plan the clips to caption and the maximum number of calls.

    The length of the notes is not known beforehand: captions count at their maximum length, tools'
    evidence by the second.
    """
    options, source = options_of(context), source_of(video, context)
    exemplars_for(video, options)
    told = Narrative(video, (), options, kept_chat(video, context))
    visuals: dict[str, Any] = {"notes": source}
    frames: tuple[PlannedFrame, ...] = ()
    asked: tuple[str, ...] = ()
    captions, tokens = 0, int(video.duration_s * TOKENS_A_SECOND)
    if source == "clips":
        captioner, clips = captioner_of(options, context), clips_of(video, options)
        shown = {f.index: f for v in views_of(video, clips, captioner.frames) for f in v.frames}
        frames = tuple(shown[index] for index in sorted(shown))
        captions, tokens = len(clips), len(clips) * (options.caption_tokens + LINE_TOKENS)
        asked = (captioner.prompt,)
        visuals["clips"] = [[clip.start_s, clip.end_s] for clip in clips]
    elif source == "file" and options.captions:
        notes = captions_in_file(video, options)
        tokens = sum(map(told.cost, notes))
        visuals |= {"captions": len(notes), "sha256": content_hash(options.captions)}
    if options.shots and options.exemplars:
        visuals["exemplars"] = content_hash(options.exemplars)
    direct = options.summary == "none"
    summaries = 0 if direct else told.expected_calls(tokens, question)
    first = first_turn(question, options.reasoning)
    room = told.room([first]) if direct else told.limits(question).tokens
    visuals["summaries_about"] = summaries
    return MethodPlan(
        prompts=(*prompts_of(options, question), *asked),
        calls=(0, captions + summaries + answer_calls(options)),  # none if all replies are cached
        tokens=max(0, room),
        frames=frames,
        visuals=visuals,
        tools=context.settings.ingest if source == "evidence" else (),
        roles=ROLES[source],
    )


def prompts_of(options: LloviOptions, question: Question) -> tuple[str, ...]:
    """Return the names of the prompts that may be used besides that of captions."""
    names = ["given_captions", "coverage"]
    names += [] if options.parity else AGAIN[bool(question.options)]
    if options.summary != "none":
        names += ["given_summaries", f"summarize_{options.summary}"]
    names += [first_turn(question, options.reasoning).name]
    names += [] if options.reasoning == "direct" else [final_turn(question).name]
    names += ["exemplar"] if options.shots else []
    names += ["ground"] if options.grounding else []
    names += ["sufficiency"] if options.grounding and options.sufficiency else []
    return tuple(names)


METHOD = Method(
    "llovi", "captions short clips, sums them up, reads the summary", LloviOptions, build, plan
)
