"""The prompt builder: sections of context, then the question and its options.

Every method words the question in the same way, so that methods differ only in the context.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import prompts
from agent.answering.evidence_lines import as_line, in_time_order
from agent.frames.grids import GridShape
from agent.records import Ask, Parity, PlannedFrame, Question, Turn
from agent.state import State
from agent.text import clock
from tools.evidence import Evidence
from tools.media.video import Video

READ = frozenset({"given_notes", "given_records", "given_channels"})  # prompts with evidence lines
FORMS = {True: "one video with times", False: "single pictures"}  # by whether it takes videos
AGAIN = {  # by whether there are options
    True: ("ask_letter_again", "ask_letter_again_grounded"),
    False: ("ask_again", "ask_again_grounded"),
}


@dataclass(frozen=True, slots=True)
class PromptSection:
    """A rendered part of a prompt and the prompt file that it comes from."""

    name: str
    text: str


def section(name: str, **variables: object) -> PromptSection:
    """Render a prompt file."""
    return PromptSection(name, prompts.render(name, **variables))


def question_section(question: Question) -> PromptSection:
    """Return the question, with lettered options if there are any."""
    if not question.options:
        return section("question_open", question=question.text)
    return section("question_choice", question=question.text, options=lettered(question.options))


def lettered(options: Sequence[str]) -> list[dict[str, str]]:
    """Return options with their letters, each on one line."""
    texts = (" ".join(option.split()) for option in options)
    return [{"letter": chr(ord("A") + i), "text": text} for i, text in enumerate(texts)]


def frames_prompt(as_video: bool) -> str:
    """Return the name of the prompt that describes frames: those of a video, or pictures."""
    return "given_video" if as_video else "given_pictures"


def pictures_section(
    video: Video, frames: Sequence[PlannedFrame], as_video: bool = False
) -> PromptSection:
    """Describe the pictures given to the model, or the video that they are the frames of."""
    times, length = [clock(frame.time_s) for frame in frames], clock(video.duration_s)
    return section(frames_prompt(as_video), count=len(frames), length=length, times=times)


def filmed(asked: State, video: Video, frames: Sequence[PlannedFrame]) -> State:
    """Return a prompt whose pictures are passed as one video, for a model that takes videos."""
    *before, last = asked["ask"].turns
    times_s = tuple(frame.time_s for frame in frames)
    last = replace(last, times_s=times_s, length_s=video.duration_s)
    return {**asked, "ask": replace(asked["ask"], turns=(*before, last))}


def grid_part(
    video: Video,
    cells: Sequence[PlannedFrame],
    shape: GridShape,
    singles: Sequence[PlannedFrame] = (),
    *,
    numbered: bool,
    timed: bool,
) -> PromptSection:
    """Describe how to read a grid of frames, and which single pictures follow it.

    Args:
        video: Their source.
        cells: Frames in the grid, in time order.
        shape: Its rows and columns.
        singles: Pictures after it.
        numbered: Whether number and time are drawn above each cell.
        timed: Whether the prompt gives the times.
    """
    return section(
        "given_grid",
        length=clock(video.duration_s),
        rows=shape.rows,
        columns=shape.columns,
        blanks=shape.cells - len(cells),
        numbered=numbered,
        timed=timed,
        times=[clock(frame.time_s) for frame in cells],
        pictures=[clock(frame.time_s) for frame in singles],
    )


def notes_section(source: str, evidence: Sequence[Evidence]) -> PromptSection:
    """Return evidence as notes, in time order."""
    lines = [as_line(e) for e in in_time_order(evidence)]
    return section("given_notes", source=source, lines=lines)


def outline_section(lines: Sequence[Evidence]) -> PromptSection:
    """Return the outline of a whole video."""
    return section("given_outline", lines=[as_line(line) for line in lines])


def records_section(evidence: Sequence[Evidence]) -> PromptSection:
    """Return evidence as notes, in time order, for a model that was told how to read them."""
    return section("given_records", lines=[as_line(e) for e in in_time_order(evidence)])


def opening_prompts(examples: bool, several: bool = False) -> tuple[str, ...]:
    """Return the names of the prompts that the turns of `opening` are made of."""
    end = "_videos" if several else ""
    return (f"read_system{end}", *((f"read_examples{end}", "question_open") if examples else ()))


def opening(examples: bool, several: bool = False) -> tuple[Turn, ...]:
    """Return the turns before the notes: how to read them and, if wanted, examples of it.

    They are the same for every question, so a model that keeps what it has read reads them once.

    Args:
        examples: Whether to show the model how notes are read.
        several: Whether the notes are of several videos.
    """
    names = opening_prompts(examples, several)
    system = Turn("system", prompts.render(names[0]))
    if not examples:
        return (system,)
    notes, _, rest = prompts.render(names[1]).rpartition("\n\n")
    lines, turns = rest.splitlines(), [system]
    for number, (asked, answer) in enumerate(zip(lines[::2], lines[1::2], strict=True)):
        question = question_section(Question(asked)).text
        text = question if number else f"{notes}\n\n{question}"
        turns += [Turn("user", text), Turn("assistant", answer)]
    return tuple(turns)


def ask_for(
    retry_node: str,
    question: Question,
    *given: PromptSection,
    images: Sequence[Path] = (),
    before: Sequence[Turn] = (),
) -> State:
    """Return the state update with the prompt for a question.

    Args:
        retry_node: The node that writes the prompt; it is run again with a smaller
            `context_share` if the prompt is too long.
        question: The question.
        given: Sections before the question.
        images: Image files for the model.
        before: Turns before the prompt.
    """
    parts = [*given, question_section(question)]
    text = "\n\n".join(p.text for p in parts)
    return {
        "ask": Ask((*before, Turn("user", text, tuple(images))), retry_node),
        "prompts": {p.name: prompts.version(p.name) for p in parts},
    }


def as_published(asked: Ask, method: Parity) -> Ask:
    """Return a prompt to be answered as a method's published code does: once and greedily."""
    return replace(asked, parity=method, temperature=0.0)


def prompt_names(question: Question, *given: str, once: bool = False) -> tuple[str, ...]:
    """Return the names of the prompts that `ask_for` and, unless `once`, asking again may use.

    Only an answer from evidence lines can fail the groundedness check.
    """
    asked = "question_choice" if question.options else "question_open"
    if once:
        return (*given, asked)
    form, grounded = AGAIN[bool(question.options)]
    return (*given, asked, form, *([grounded] if READ.intersection(given) else []))
