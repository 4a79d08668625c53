"""The prompts of LLoVi, from captions, summaries and few-shot examples.

A prompt is made of sections: the context, then the question. Everything from a video is one quoted
line. What a prompt says about its notes (that they cover the whole video, that it is egocentric)
is only what is known.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Literal

import prompts
from agent.answering.prompt import PromptSection, lettered, question_section, section
from agent.answering.time_spans import format_span
from agent.llovi.clips import Coverage, caption_lines
from agent.llovi.map_reduce import Chunk
from agent.records import Question
from tools.errors import InputError
from tools.evidence import Evidence

Variant = Literal["c", "cq", "cqa"]
"""What a summary is written from: captions; and the question; and the options."""
Reasoning = Literal["direct", "step-by-step", "plan-and-solve"]
Parts = tuple[PromptSection, ...]

_FIRST_TURNS = {"step-by-step": "think_step_by_step", "plan-and-solve": "plan_and_solve"}


@dataclass(frozen=True, slots=True)
class Footage:
    """Facts on a video besides its notes.

    Attributes:
        duration_s: Its length in seconds.
        first_person: Whether it is egocentric (EgoSchema).
        coverage: How its captions cover it; None for notes that are no captions.
    """

    duration_s: float
    first_person: bool = False
    coverage: Coverage | None = None


@dataclass(frozen=True, slots=True)
class Exemplar:
    """A few-shot example of another video; `choice` for a question with options, else `answer`."""

    video: str
    notes: tuple[Evidence, ...]
    question: Question
    choice: int | None = None
    answer: str = ""


def joined(parts: Sequence[PromptSection]) -> str:
    """Return the text of a prompt made of sections."""
    return "\n\n".join(part.text.strip() for part in parts)


def summary_parts(
    variant: Variant, chunk: Chunk, question: Question, footage: Footage, words: int = 500
) -> Parts:
    """Ask for the summary of a chunk of captions, or of summaries of its parts.

    Args:
        variant: "c" shows neither question nor options, "cq" the question, "cqa" both.
        chunk: The notes to summarise.
        question: Asked later, of the summary.
        footage: Facts on the video.
        words: Maximum length of the summary.
    """
    asked: dict[str, object] = {} if variant == "c" else {"question": _one_line(question.text)}
    if variant == "cqa":
        asked["options"] = lettered(question.options)
    given = _given_summaries(chunk, footage) if chunk.level else _given_chunk(chunk, footage)
    return given, section(f"summarize_{variant}", words=words, **asked)


def _given_summaries(chunk: Chunk, footage: Footage) -> PromptSection:
    notes = caption_lines(chunk.notes)
    return section("given_summaries", notes=notes, first_person=footage.first_person)


def _given_chunk(chunk: Chunk, footage: Footage) -> PromptSection:
    whole = footage.duration_s - chunk.span.length_s < 1e-3
    return given_captions(chunk.notes, footage, span="" if whole else format_span(chunk.span))


def given_captions(
    notes: Sequence[Evidence],
    footage: Footage,
    exemplars: Sequence[Exemplar] = (),
    span: str = "",
) -> PromptSection:
    """Return captions, or a summary as one note, with what is known about them.

    Args:
        notes: In any order.
        footage: Facts on the video.
        exemplars: Few-shot examples to put before them.
        span: The part of the video that they describe; empty for all of it.
    """
    return section(
        "given_captions",
        exemplars=[exemplar_text(exemplar) for exemplar in exemplars],
        part=span,
        notes=caption_lines(notes),
        first_person=footage.first_person,
        coverage=coverage_text(footage),
    )


def coverage_text(footage: Footage) -> str:
    """Describe how the captions cover the video; empty where that is not known."""
    if footage.coverage is None:
        return ""
    known = footage.coverage
    return prompts.render(
        "coverage",
        whole=known.whole,
        gaps=known.gaps,
        length=_number(known.length_s),
        stride=_number(known.stride_s),
        duration=_number(footage.duration_s),
    ).strip()


def first_turn(question: Question, reasoning: Reasoning = "direct") -> PromptSection:
    """Ask the question; after "step-by-step" and "plan-and-solve" follows `final_turn`."""
    if reasoning == "direct":
        return question_section(question)
    options = lettered(question.options)
    return section(_FIRST_TURNS[reasoning], question=_one_line(question.text), options=options)


def final_turn(question: Question) -> PromptSection:
    """Ask for the bare answer after the reasoning, in the same conversation."""
    if not question.options:
        return section("give_answer")
    return section("give_letter", letters=_letters(len(question.options)))


def exemplar_text(exemplar: Exemplar) -> str:
    """Return a few-shot example in the format of the question that follows it.

    Raises:
        InputError: It has neither an answer nor a choice among its options.
    """
    options, choice = exemplar.question.options, exemplar.choice
    if choice is not None and not 0 <= choice < len(options):
        raise InputError(f"the exemplar {exemplar.video!r} has no option number {choice}")
    answer = exemplar.answer if choice is None else ascii_uppercase[choice]
    if not answer:
        raise InputError(f"the exemplar {exemplar.video!r} has no answer; give answer or choice")
    return prompts.render(
        "exemplar",
        notes=caption_lines(exemplar.notes),
        question=_one_line(exemplar.question.text),
        options=lettered(options),
        answer=_one_line(answer),
    )


def ground_part(question: Question, footage: Footage) -> PromptSection:
    """Ask when the answer can be seen (`agent.answering.time_spans` reads the reply)."""
    duration = _number(footage.duration_s)
    return section("ground", question=_one_line(question.text), duration=duration)


def sufficiency_part(question: Question) -> PromptSection:
    """Ask whether the notes are sufficient to ground an answer (LLM4VG): yes or no."""
    return section("sufficiency", question=_one_line(question.text))


def _letters(count: int) -> str:
    """Return the letters of `count` options in words: `A, B or C`."""
    return f"{', '.join(ascii_uppercase[: count - 1])} or {ascii_uppercase[count - 1]}"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _number(value: float) -> str:
    return f"{round(value, 2):.10g}"
