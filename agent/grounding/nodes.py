"""The nodes from the tools' evidence to intervals.

retrieve -> watch -> locate -> tell | read
"""

from collections.abc import Sequence
from dataclasses import replace
from time import perf_counter
from typing import Literal

from langgraph.runtime import Runtime
from langgraph.types import Command

from agent.answer import Answer, Usage
from agent.answering import grounding
from agent.answering.conversation import kept_chat
from agent.answering.evidence_lines import in_time_order, within_budget
from agent.answering.method import read_options
from agent.answering.prompt import PromptSection, ask_for, notes_section, section
from agent.answering.time_spans import Span, format_span
from agent.grounding import spans
from agent.grounding.description import described
from agent.grounding.options import Options
from agent.grounding.seconds import Watcher, stretches
from agent.grounding.spans import Second
from agent.library import retrieval
from agent.models.pool import Role
from agent.records import CandidateAnswer, Turn
from agent.state import Context, State
from agent.text import quoted, stems
from tools.errors import MissingError
from tools.evidence import ChannelReport, Evidence

EXAMPLES = (("a dog on the beach", "no"), ("when the bakery opens", "yes"))  # of one note
WATCHED = "watched"  # kind of the notes that hold what a model said of a picture


class Grounding(State, total=False):
    """The state of the method."""

    seconds: tuple[Second, ...]
    """What a model that sees said of the pictures, set by `watch`; empty without one."""
    intervals: tuple[Evidence, ...]
    """Set by `locate`, the surest first."""


def retrieve(state: State, runtime: Runtime[Context]) -> State:
    """Choose the records that are similar to the description, each with its cosine."""
    start, context = perf_counter(), runtime.context
    runs, settings = sorted(state.get("runs", {}).values()), context.settings.retrieval
    update: State = {"evidence": (), "relevance": 0.0}
    if context.library.view(runs).passages:
        embedder, why = context.pool.embedder_or_why()
        if why:
            update["channels"] = {"retrieve": ChannelReport("retrieve", "unavailable", reason=why)}
        what = [described(state["question"].text)]
        hits = retrieval.retrieve(context.library, embedder, runs, what, settings)
        found = hits.evidence if embedder else _by_share(hits.evidence, what[0])
        options = options_of(context)
        kept = spans.similar(found, options.min_similarity, options.alike)
        update |= {"evidence": kept, "relevance": hits.relevance}
    return {**update, "usage": {"retrieve": Usage(seconds=perf_counter() - start)}}


def watch(state: State, runtime: Runtime[Context]) -> Grounding:
    """Ask a model that sees about the planned pictures."""
    frames = state["plan"].frames
    if not frames:
        return {"seconds": ()}
    context, video = runtime.context, state["video"]
    watcher = Watcher(video, described(state["question"].text), context)
    options = options_of(context)
    found = watcher.watch(frames, stretches(video.duration_s, options), runtime)
    return {"seconds": found, "usage": {"watch": watcher.usage}}


def locate(
    state: Grounding, runtime: Runtime[Context]
) -> Command[Literal["tell", "read", "abstain"]]:
    """Find the intervals; abstain where nothing was found or the notes are insufficient."""
    context, options = runtime.context, options_of(runtime.context)
    evidence, seconds = state["evidence"], state["seconds"]
    merged = spans.second_intervals(seconds, options.gap_s, evidence)
    seen = bool(merged)
    merged = merged or spans.evidence_intervals(evidence, options.gap_s)
    update: Grounding = {"lines": evidence}
    why = "" if merged else _nothing(state)
    asks = reads(context) and (options.reading == "model" or (options.sufficiency and not seen))
    if asks and (merged or (options.reading == "model" and seconds)):
        found = _ask(state, runtime.context)
        update |= {"prompts": found.prompts, "usage": {"judge": found.usage}, "steps": found.steps}
        why = grounding.NOT_ENOUGH if found.enough is False else why
        if options.reading == "model" and not why:
            merged = spans.read_intervals(found.intervals.spans, evidence, seconds)
            why = "" if merged else f"no interval: {found.intervals.reason}"
    if why:
        return Command(update={**update, "candidate": CandidateAnswer(reason=why)}, goto="abstain")
    update["intervals"] = merged[: options.intervals]
    return Command(update=update, goto="read" if state["question"].options else "tell")


def _ask(state: Grounding, context: Context) -> grounding.Grounded:
    """Ask the chat model whether the notes suffice and, if it shall read them, for the times."""
    options, video = options_of(context), state["video"]
    what = " ".join(described(state["question"].text).split())
    chat = kept_chat(video, context)
    budget = context.settings.retrieval.token_budget
    notes = [*within_budget(state["evidence"], budget, chat.count_tokens), *_watched(state)]
    grounder = grounding.Grounder(chat, notes, given)
    enough = section("ground_enough", what=what) if options.sufficiency else None
    when = None
    if options.reading == "model":
        when = section("ground_when", what=what, duration=f"{round(video.duration_s, 2):.10g}")
    return grounding.ground(grounder, when, video.duration_s, enough, examples=examples())


def examples() -> tuple[Turn, ...]:
    """Return turns that show when notes suffice and when not, worded as the question itself.

    A small model says yes to any notes without them.
    """
    turns: list[Turn] = []
    notes = given([Evidence("subtitles", "speech", 3, 6, "The bakery opens at seven.")])
    for what, reply in EXAMPLES:
        asked = "\n\n".join((notes.text.strip(), section("ground_enough", what=what).text.strip()))
        turns += [Turn("user", asked), Turn("assistant", reply)]
    return tuple(turns)


def given(notes: Sequence[Evidence]) -> PromptSection:
    """Word notes for a prompt: evidence as quoted data, replies on pictures a line each."""
    ordered = in_time_order(notes)
    told = [f"[{_time(n)}] {n.kind}: {quoted(n.text)}" for n in ordered if n.kind != WATCHED]
    seen = [f"{_time(n)}: {n.text}" for n in ordered if n.kind == WATCHED]
    return section("given_moments", notes=told, seconds=seen)


def _time(note: Evidence) -> str:
    return format_span(Span(note.start_s, note.end_s))


def _watched(state: Grounding) -> list[Evidence]:
    words = {True: "yes", False: "no"}
    return [
        Evidence(spans.TOOL, WATCHED, one.start_s, one.end_s, words[one.yes >= spans.YES])
        for one in state["seconds"]
        if one.yes is not None
    ]


def _nothing(state: Grounding) -> str:
    """Return why there is no interval."""
    if state["seconds"]:
        return (
            f"the model says yes to none of {len(state['seconds'])} pictures, and no evidence fits"
        )
    return "no evidence is similar enough to what is looked for, and no model looked at pictures"


def tell(state: Grounding, runtime: Runtime[Context]) -> State:
    """Return the intervals as the answer, the surest first in its text."""
    found = state["intervals"]
    answer = Answer(
        answer=" and ".join(_time(one) for one in found),
        reason=note(state),
        confidence=round(max(0.0, min(1.0, found[0].score)), 3),
        measured_by=measured_by(state),
        evidence=in_time_order(found),
    )
    return {"answer": answer}


def measured_by(state: Grounding) -> str:
    """Return the kind of the intervals' confidence."""
    return "pictures" if any("yes" in one.data for one in state["intervals"]) else "similarity"


def note(state: Grounding) -> str:
    """Say how often a picture was looked at, where it was less than once a second."""
    seconds = state["seconds"]
    length_s = seconds[0].end_s - seconds[0].start_s if seconds else 0.0
    if length_s <= 1.0 + 1e-6:
        return ""
    return f"one picture was looked at every {length_s:.1f} s, so shorter moments may be missed"


def read(state: Grounding, runtime: Runtime[Context]) -> State:
    """Write the prompt of a question with options: what was found inside the intervals."""
    start, share = perf_counter(), state.get("context_share", 1.0)
    found = state["intervals"]
    inside = [
        one
        for one in state["evidence"]
        if any(one.start_s <= i.end_s and one.end_s >= i.start_s for i in found)
    ] or list(found)
    lines = tuple(inside[: max(1, int(len(inside) * share))])
    asked = ask_for("read", state["question"], notes_section("moments of a video", lines))
    return {**asked, "lines": lines, "usage": {"read": Usage(seconds=perf_counter() - start)}}


def show(state: Grounding, runtime: Runtime[Context]) -> State:
    """Replace the evidence of an answer by the intervals that it was read in."""
    answer = state["answer"]
    if answer.abstained or not state.get("intervals"):
        return {}
    return {"answer": replace(answer, evidence=in_time_order(state["intervals"]))}


def reads(context: Context, role: Role = "chat") -> bool:
    """Whether the model of a role is here; one that is not judges and reads nothing."""
    try:
        context.pool.capabilities(role)
    except MissingError:
        return False
    return True


def options_of(context: Context) -> Options:
    """Return the options of the method."""
    return read_options("ground", Options, context.settings)


def _by_share(evidence: Sequence[Evidence], what: str) -> tuple[Evidence, ...]:
    """Return records with the share of the description's words that they hold as the score."""
    wanted = stems(what)
    held = [len(wanted & stems(one.text)) for one in evidence]
    return tuple(
        replace(one, score=count / max(1, len(wanted)))
        for one, count in zip(evidence, held, strict=True)
    )
