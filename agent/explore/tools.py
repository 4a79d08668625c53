"""The tools of the exploration: search, look, listen, detect, count, answer.

Each returns content for the model, and its evidence as artifact. Errors go to the model as tool
messages and are never raised further.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from time import perf_counter
from typing import Annotated, Any, NamedTuple

from langchain_core.tools import BaseTool, ToolException, tool
from langgraph.prebuilt import ToolRuntime
from pydantic import Field, WithJsonSchema

import prompts
from agent.answer import Meter
from agent.answering.evidence_lines import in_time_order, spread_order, within_budget
from agent.answering.replies import parse_rating
from agent.explore.spans import VideoSpan, choose_frames, count_appearances, read_span, says
from agent.explore.state import (
    Exploring,
    artifact,
    captions,
    numbered,
    options_of,
    picture_id,
    pictures_among,
    sees,
)
from agent.explore.tool_choice import detectors
from agent.frames.files import PICTURE, picture_files, shown
from agent.library import retrieval
from agent.records import PlannedFrame
from agent.state import Context
from tools.errors import InputError
from tools.evidence import Evidence
from tools.registry import make_tool

MAX_HITS = 8  # records per search
Run = ToolRuntime[Any, Any]  # of Context and Exploring, of which pydantic can make no schema
Result = tuple[str, dict[str, Any]]

Start = Annotated[
    float, Field(ge=0, allow_inf_nan=False, description="start of the span in seconds")
]
End = Annotated[float, Field(ge=0, allow_inf_nan=False, description="end of the span in seconds")]
Rating = Annotated[
    Any,
    WithJsonSchema(
        {
            "type": "integer",
            "minimum": 1,
            "maximum": 3,
            "description": "3: what you were given settles it, 2: in part, 1: it does not",
        }
    ),
]


def _described(name: str) -> str:
    return prompts.source(f"explore_{name}").strip()


@tool(description=_described("search_evidence"), response_format="content_and_artifact")
def search_evidence(
    query: Annotated[str, Field(min_length=1, description="what to search for, in plain words")],
    runtime: Run,
    start_s: Start | None = None,
    end_s: End | None = None,
) -> Result:
    """Find the records that fit a query best."""
    since, span = perf_counter(), span_of(runtime, start_s, end_s)
    context, state = given_to(runtime)
    runs = sorted(state.get("runs", {}).values())
    total = len(context.library.view(runs).passages)
    if not total:
        return "Nothing was found in this video that could be searched.", artifact(())
    embedder = context.pool.embedder()
    settings = context.settings.retrieval.model_copy(update={"top_k": total})
    hits = retrieval.retrieve(context.library, embedder, runs, [query], settings)
    inside = [e for e in hits.evidence if span.holds(e)][:MAX_HITS]
    best = max((e.score for e in inside), default=0.0)
    note = f"The {len(inside)} nearest records in {span}:" if inside else f"Nothing in {span}."
    if inside and best < settings.min_relevance:
        note = f"Nothing in {span} fits well. The nearest:"
    return told(note, inside, context, ranked=True, seconds=perf_counter() - since)


@tool(description=_described("look"), response_format="content_and_artifact")
def look(
    start_s: Start,
    end_s: End,
    runtime: Run,
    frames: Annotated[int, Field(ge=1, le=64, description="pictures, at most")] = 4,
) -> Result:
    """Show new pictures of a span, or for a model that reads text only what was read there."""
    span, (context, state) = span_of(runtime, start_s, end_s), given_to(runtime)
    if not sees(state["video"], context):
        found = [e for e in _stored(runtime, span) if e.kind != "speech"]
        note = f"What was read and recognised in {span}:" if found else _nothing_seen(runtime, span)
        return told(note, found, context)
    room = frames_left(state, context, str(runtime.tool_call_id))
    if not room:
        limit = options_of(context).max_frames
        return f"The limit of {limit} pictures is reached.", artifact((), full=limit)
    known = [frame.time_s for frame in pictures_among(list(state["given"].values()))]
    chosen = choose_frames(state["video"], span, known, min(frames, room))
    if not chosen:
        return f"All that can be seen in {span} was shown already.", artifact(())
    return _shown(chosen, min(frames, room) < frames, runtime)


@tool(description=_described("listen"), response_format="content_and_artifact")
def listen(start_s: Start, end_s: End, runtime: Run) -> Result:
    """Tell what is said in a span."""
    span, (context, state) = span_of(runtime, start_s, end_s), given_to(runtime)
    said = [e for e in _stored(runtime, span) if e.kind == "speech"]
    if said:
        return told(f"What is said in {span}:", said, context)
    heard = [c for c in state.get("channels", {}).values() if c.status in ("ok", "empty")]
    kinds = [make_tool(c.tool, {}).kind for c in heard]
    if "speech" in kinds:
        return f"No speech was found in {span}.", artifact(())
    return "What is said cannot be told: no tool for speech could be used here.", artifact(())


@tool(description=_described("detect"), response_format="content_and_artifact")
def detect(
    phrase: Annotated[str, Field(min_length=1, max_length=80, description="a visible thing")],
    runtime: Run,
    start_s: Start | None = None,
    end_s: End | None = None,
) -> Result:
    """Report where a detector of phrases finds one."""
    span, (context, state) = span_of(runtime, start_s, end_s), given_to(runtime)
    names = detectors(context.settings)
    runs = [state["runs"][n] for n in names if n in state.get("runs", {}) and _ran(state, n)]
    if not runs:
        why = "could not be used here" if names else "is not part of this profile"
        return f"A detector of phrases {why}; look or search instead.", artifact(())
    asked = state["request"].entities
    found = [
        replace(p.evidence, id=f"{p.evidence.id}@{phrase}")
        for p in context.library.passages(runs)
        if span.holds(p.evidence) and (len(asked) == 1 or says(p.evidence.text, phrase))
    ]
    note = f"Where {phrase!r} was found in {span}:" if found else f"No {phrase!r} in {span}."
    return told(note, found, context)


@tool(description=_described("count"), response_format="content_and_artifact")
def count(
    phrase: Annotated[str, Field(min_length=1, description="words or a thing")],
    runtime: Run,
    start_s: Start | None = None,
    end_s: End | None = None,
) -> Result:
    """Count records and appearances of words or of a thing."""
    span, (context, state) = span_of(runtime, start_s, end_s), given_to(runtime)
    given = {e.id: e for e in state["given"].values() if e.kind != PICTURE}
    known = given | {e.id: e for e in _stored(runtime, span)}
    found = in_time_order([e for e in known.values() if span.holds(e) and says(e.text, phrase)])
    if not found:
        return f"No record in {span} has {phrase!r}.", artifact(())
    counted = [
        count_appearances(kind, list(records), phrase)
        for kind, records in groupby(sorted(found, key=lambda e: e.kind), lambda e: e.kind)
    ]
    number = f"{phrase!r} in {span}: {'; '.join(counted)}."
    text, kept = told(number, found, context)
    return text, {**kept, "counted": number}


@tool(description=_described("answer"), response_format="content_and_artifact")
def answer(
    answer: Annotated[str, Field(min_length=1, description="the letter of an option, or a text")],
    runtime: Run,
    confidence: Rating = None,
    evidence: Annotated[list[str] | str, Field(description="ids of what the answer rests on")] = "",
) -> Result:
    """Take an answer down, and check what it cites."""
    rating = parse_rating(str(confidence), 1, 3)
    if rating is None:
        if not _failed_before(runtime):
            raise ToolException("confidence must be 1, 2 or 3; call answer again with one of them")
        rating = 1  # never a guess upwards
    ids = re.split(r"[,;\s]+", evidence) if isinstance(evidence, str) else evidence
    known = given_to(runtime).state["given"]
    cited = list(dict.fromkeys(i.strip("[]() ") for i in ids))
    dropped = [i[:60] for i in cited if i and i not in known]
    text = prompts.render("explore_noted", confidence=rating, dropped=dropped)
    kept = [i for i in cited if i in known]
    return text, artifact((), answer=answer, confidence=rating, cited=kept, dropped=dropped)


TOOLS: Sequence[BaseTool] = (search_evidence, look, listen, detect, count, answer)


def refuse(error: ToolException) -> str:
    """Return a call's error as a message for the model (error handler of the `ToolNode`)."""
    return str(error)


def frames_left(state: Exploring, context: Context, call_id: str) -> int:
    """Return how many frames one `look` call of a reply may still return.

    The `look` calls of one reply run in parallel, so they share the rest.
    """
    options, can = options_of(context), context.pool.capabilities()
    seen = len(pictures_among(list(state["given"].values())))
    calls = next(m.tool_calls for m in reversed(state["messages"]) if m.type == "ai")
    looks = [str(call["id"]) for call in calls if call["name"] == "look"]
    share, rest = divmod(max(0, options.max_frames - seen), len(looks))
    share += looks.index(call_id) < rest
    return min(share, can.max_images or share)


class Given(NamedTuple):
    """The inputs of a tool."""

    context: Context
    state: Exploring


def given_to(runtime: Run) -> Given:
    """Return what a tool is given."""
    return Given(runtime.context, runtime.state)


def span_of(runtime: Run, start_s: float | None, end_s: float | None) -> VideoSpan:
    """Return the span that a call names; `ToolException` when it is none of the video."""
    return read_span(given_to(runtime).state["video"], start_s, end_s)


def _stored(runtime: Run, span: VideoSpan) -> list[Evidence]:
    """Return the evidence of the profile's tools in a span."""
    context, state = given_to(runtime)
    skip = detectors(context.settings)
    runs = [run for name, run in state.get("runs", {}).items() if name not in skip]
    return [one for one in context.library.view(runs).records if span.holds(one)]


def told(
    note: str,
    evidence: Sequence[Evidence],
    context: Context,
    *,
    ranked: bool = False,
    seconds: float = 0.0,
) -> Result:
    """Return records as lines with ids, in time order.

    Over the token budget the last ones are dropped, or if not ranked, evenly spread ones.
    """
    count = context.pool.chat().count_tokens
    order = evidence if ranked else spread_order(evidence)
    kept = within_budget(order, options_of(context).result_tokens, count)
    lines = [numbered(e) for e in in_time_order(kept)]
    if len(kept) < len(evidence):
        note += f" ({len(kept)} of {len(evidence)} records; a shorter span has room for the rest)"
    text = prompts.render("explore_found", note=note, lines=lines)
    return text, artifact(in_time_order(kept), seconds=seconds)


def _shown(chosen: Sequence[PlannedFrame], fewer: bool, runtime: Run) -> Result:
    """Decode frames, so that their files exist when the messages are sent."""
    (context, state), meter, since = given_to(runtime), Meter(), perf_counter()
    side = options_of(context).max_side
    try:
        picture_files(state["video"], chosen, context.library, meter, side)
    except InputError as error:
        raise ToolException("the pictures of that span cannot be read") from error
    evidence = [replace(e, id=picture_id(f)) for e, f in zip(shown(chosen), chosen, strict=True)]
    text = f"Shown below: {', '.join(captions(chosen))}."
    text += " The limit of pictures allows no more." if fewer else ""
    return text, artifact(evidence, seconds=perf_counter() - since, decodes=meter.decodes)


def _nothing_seen(runtime: Run, span: VideoSpan) -> str:
    if not given_to(runtime).state["video"].has_picture:
        return "The file has no picture."
    return f"Nothing was read or recognised in {span}, and you cannot be shown pictures."


def _ran(state: Exploring, name: str) -> bool:
    report = state.get("channels", {}).get(name)
    return report is not None and report.status in ("ok", "empty")


def _failed_before(runtime: Run) -> bool:
    """Say whether an answer was rejected before."""
    return any(
        message.type == "tool" and message.name == "answer" and message.status == "error"
        for message in given_to(runtime).state["messages"]
    )
