"""The end of the exploration: its reason, and the answer handed to the answering nodes."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import ceil
from typing import cast

from langgraph.runtime import Runtime
from langgraph.types import Command

from agent.answer import Meter, Step
from agent.answering.evidence_lines import as_line, within_budget
from agent.answering.prompt import ask_for, notes_section, pictures_section, question_section
from agent.answering.verification import judge
from agent.explore.state import (
    Exploring,
    Proposal,
    options_of,
    picture_id,
    picture_tokens,
    pictures_among,
)
from agent.frames.files import PICTURE, picture_files
from agent.records import CandidateAnswer, PlannedFrame
from agent.state import Context, State
from tools.evidence import Evidence

SURE = 3  # the highest confidence: the evidence settles the question
WORDING_TOKENS = 200  # of the last prompt besides notes and question, and of asking again


@dataclass(frozen=True, slots=True)
class Chosen:
    """The context of the final question: frames in time order, notes best first."""

    frames: tuple[PlannedFrame, ...]
    notes: tuple[Evidence, ...]


def add_steps(
    state: Exploring, steps: Sequence[Step], runtime: Runtime[Context]
) -> tuple[Step, ...]:
    """Return all steps so far, and stream the new ones."""
    for step in steps:
        runtime.stream_writer({"stage": "explore", "step": asdict(step)})
    return (*state.get("steps", ()), *steps)


def stop(state: Exploring, why: str, runtime: Runtime[Context]) -> Exploring:
    """Return the update that ends the exploration."""
    return {"stopped": why, "steps": add_steps(state, [Step("stop", result=why)], runtime)}


def finalise(state: Exploring, runtime: Runtime[Context]) -> Command[str]:
    """Accept the model's proposed answer, or ask for one from all evidence given.

    A proposal is accepted at the highest confidence, or if no new evidence followed it. Half of the
    remaining tokens are for asking, half for asking again; too few for both mean no call at all.
    """
    context, attempt = runtime.context, state.get("proposal")
    left = (options_of(context).max_tokens - state.get("spent", 0)) // 2
    fixed = _fixed_tokens(state, context)
    chosen = choose_given(state, context, left - fixed)
    update = _ask(state, context, chosen)
    if attempt is None and fixed > left:
        why = f"stopped at {state['stopped']}, with no tokens left for an answer"
        return Command(update={**update, "candidate": CandidateAnswer(reason=why)}, goto="abstain")
    if attempt is None or (attempt.stale and attempt.confidence < SURE and fixed <= left):
        return Command(update=update, goto="reason")
    candidate = _draft(attempt, state["stopped"])
    if attempt.cited:
        update["lines"] = tuple(state["given"][i] for i in attempt.cited)
    if fixed <= left:
        return Command(update={**update, "candidate": candidate, "attempt": 1}, goto="parse")
    answered = cast("State", {**state, **update, "candidate": candidate})
    judged = judge(answered)  # if rejected, it is not asked again
    return Command(
        update={**update, "candidate": judged}, goto="cite" if judged.accepted else "abstain"
    )


def choose_given(state: Exploring, context: Context, most: int) -> Chosen:
    """Return the frames and notes for the final question: cited ones, then the newest.

    Args:
        state: Its `context_share` is the share of them that fits the model's context.
        context: Counts tokens.
        most: Token budget of frames and notes.
    """
    chat, attempt = context.pool.chat(), state.get("proposal")
    share = state.get("context_share", 1.0)
    cited = [state["given"][i] for i in attempt.cited] if attempt else []
    order = [*cited, *(e for e in reversed(list(state["given"].values())) if e not in cited)]
    notes = [e for e in order if e.kind != PICTURE]
    seen = [e for e in order if e.kind == PICTURE]
    for_notes = most // 2 if seen else most
    budget = int(min(context.settings.retrieval.token_budget, max(0, for_notes)) * share)
    kept = within_budget(notes, budget, chat.count_tokens)
    rest = most - sum(chat.count_tokens(as_line(e)) + 1 for e in kept)
    fitting = max(0, rest) // max(1, picture_tokens(state["video"], context))
    taken = min(fitting, context.pool.capabilities().max_images or fitting, ceil(len(seen) * share))
    return Chosen(pictures_among(seen[:taken]), kept)


def _fixed_tokens(state: Exploring, context: Context) -> int:
    """Return the tokens of asking again without evidence: the question and two replies."""
    chat = context.pool.chat()
    question = chat.count_tokens(question_section(state["question"]).text)
    return question + 2 * chat.max_new_tokens + WORDING_TOKENS


def _ask(state: Exploring, context: Context, chosen: Chosen) -> State:
    """Write the prompt on the chosen evidence, with the wording of all methods."""
    video, side = state["video"], options_of(context).max_side
    files = picture_files(video, chosen.frames, context.library, Meter(), side)
    given = [notes_section("a video", chosen.notes)] if chosen.notes else []
    if chosen.frames:
        given.insert(0, pictures_section(video, chosen.frames))
    seen = tuple(state["given"][picture_id(frame)] for frame in chosen.frames)
    asked = ask_for("finalise", state["question"], *given, images=files)
    return {**asked, "lines": (*chosen.notes, *seen)}


def _draft(attempt: Proposal, stopped: str) -> CandidateAnswer:
    reasons = []
    if attempt.confidence < SURE:
        reasons.append(f"the model was not sure when it stopped at {stopped}")
    if attempt.dropped:
        reasons.append(f"it cites what it was never given: {', '.join(attempt.dropped)}")
    return CandidateAnswer(
        attempt.text,
        confidence=attempt.confidence / SURE,
        measured_by="self-report" if attempt.confidence else "",
        reason="; ".join(reasons),
        needs_all=bool(attempt.cited),
    )
