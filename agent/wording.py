"""Wording: how notes of a video, questions and options become the prompts of LLoVi.

Everything that comes from a video is one quoted line in them. What a prompt claims about its notes
(that they cover the whole video, that the wearer of a camera filmed it) is what is known of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Literal

import prompts
from agent.clips import Coverage, caption_lines
from agent.condense import Chunk
from agent.intervals import format_span
from agent.options import letters, option_lines
from agent.state import Question
from tools.errors import InputError
from tools.evidence import Evidence

Variant = Literal["c", "cq", "cqa"]
"""What a summary is written from: captions; and the question; and the options."""
Reasoning = Literal["direct", "step-by-step", "plan-and-solve"]

_FIRST_TURNS = {"step-by-step": "think_step_by_step", "plan-and-solve": "plan_and_solve"}


@dataclass(frozen=True, slots=True)
class Prompt:
    """A rendered prompt and the name of its file."""

    name: str
    text: str

    @property
    def version(self) -> str:
        """Version of the file."""
        return prompts.version(self.name)


@dataclass(frozen=True, slots=True)
class Scene:
    """What is known about the video beside its notes.

    Attributes:
        duration_s: Its length.
        first_person: Whether the wearer of a camera filmed it (EgoSchema).
        coverage: How its captions lie in it; None for notes that are no captions.
    """

    duration_s: float
    first_person: bool = False
    coverage: Coverage | None = None


@dataclass(frozen=True, slots=True)
class Exemplar:
    """A worked example of another video; `choice` for a question with options, else `answer`."""

    video: str
    notes: tuple[Evidence, ...]
    question: Question
    choice: int | None = None
    answer: str = ""


def summary_prompt(
    variant: Variant, chunk: Chunk, question: Question, scene: Scene, words: int = 500
) -> Prompt:
    """Ask for the summary of a chunk of captions, or of summaries of its parts.

    Args:
        variant: "c" shows neither question nor options, "cq" the question, "cqa" both.
        chunk: What is summarised.
        question: Asked later, of the summary.
        scene: What is known about the video.
        words: The summary's length, at most.
    """
    asked: dict[str, object] = {}
    if chunk.level or variant != "c":
        asked["question"] = "" if variant == "c" else _one_line(question.text)
    if chunk.level or variant == "cqa":
        asked["options"] = option_lines(question.options) if variant == "cqa" else []
    if not chunk.level:
        whole = scene.duration_s - (chunk.span.end_s - chunk.span.start_s) < 1e-3
        asked["part"] = "" if whole else format_span(chunk.span)
        asked["coverage"] = coverage_text(scene)
    name = "reduce" if chunk.level else f"summarize_{variant}"
    text = prompts.render(
        name,
        notes=caption_lines(chunk.notes),
        words=words,
        first_person=scene.first_person,
        **asked,
    )
    return Prompt(name, text)


def coverage_text(scene: Scene) -> str:
    """Say how the captions lie in the video; empty where that is not known."""
    if scene.coverage is None:
        return ""
    known = scene.coverage
    return prompts.render(
        "coverage",
        whole=known.whole,
        gaps=known.gaps,
        length=_number(known.length_s),
        stride=_number(known.stride_s),
        duration=_number(scene.duration_s),
    ).strip()


def answer_prompt(
    notes: Sequence[Evidence],
    question: Question,
    scene: Scene,
    reasoning: Reasoning = "direct",
    exemplars: Sequence[Exemplar] = (),
) -> Prompt:
    """Ask the question of notes: captions, or a summary as one note.

    After "step-by-step" and "plan-and-solve" the answer is asked for by `final_turn`.
    """
    variables: dict[str, object] = {}
    if question.options or reasoning != "direct":
        variables["options"] = option_lines(question.options)
    if question.options and reasoning == "direct":
        variables["letters"] = letters(len(question.options))
    direct = "answer_choice" if question.options else "answer_open"
    name = _FIRST_TURNS.get(reasoning, direct)
    text = prompts.render(
        name,
        exemplars=[exemplar_text(exemplar) for exemplar in exemplars],
        notes=caption_lines(notes),
        question=_one_line(question.text),
        first_person=scene.first_person,
        coverage=coverage_text(scene),
        **variables,
    )
    return Prompt(name, text)


def final_turn(question: Question) -> Prompt:
    """Ask for the bare answer after the reasoning, in the same conversation."""
    if not question.options:
        return Prompt("give_answer", prompts.render("give_answer"))
    text = prompts.render("give_letter", letters=letters(len(question.options)))
    return Prompt("give_letter", text)


def exemplar_text(exemplar: Exemplar) -> str:
    """Return a worked example in the very format of the question that follows it.

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
        options=option_lines(options),
        answer=_one_line(answer),
    )


def ground_prompt(notes: Sequence[Evidence], question: Question, scene: Scene) -> Prompt:
    """Ask for the stretches of the video that answer a question (`agent.intervals` reads them)."""
    text = prompts.render(
        "ground",
        notes=caption_lines(notes),
        question=_one_line(question.text),
        first_person=scene.first_person,
        coverage=coverage_text(scene),
        duration=_number(scene.duration_s),
    )
    return Prompt("ground", text)


def sufficiency_prompt(notes: Sequence[Evidence], question: Question, scene: Scene) -> Prompt:
    """Ask whether notes say enough to ground an answer (LLM4VG): yes or no."""
    text = prompts.render(
        "sufficiency",
        notes=caption_lines(notes),
        question=_one_line(question.text),
        first_person=scene.first_person,
        coverage=coverage_text(scene),
    )
    return Prompt("sufficiency", text)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _number(value: float) -> str:
    return f"{round(value, 2):.10g}"
