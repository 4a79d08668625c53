"""Temporal grounding: when in the video an answer can be seen (NExT-GQA), if the notes say so.

    answer -> [are the notes sufficient?] -> intervals -> answer with these spans as its evidence

The judgement comes first, after LLM4VG (arXiv 2312.14206). Where the notes are insufficient, the
method abstains and returns the answer as a guess; an interval is never invented.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from time import perf_counter

import prompts
from agent.answer import Answer, Step, Usage
from agent.answering.conversation import messages, usage_of
from agent.answering.evidence_lines import SEPARATOR, spread_order
from agent.answering.nodes import LEAST_SHARE
from agent.answering.prompt import PromptSection
from agent.answering.replies import parse_yes_no
from agent.answering.time_spans import Intervals, Span, format_span, parse_intervals
from agent.llovi.clips import in_time
from agent.llovi.prompts import Footage, ground_part, joined, sufficiency_part
from agent.models.chat_model import ChatModel, ContextOverflowError
from agent.records import Question, Turn
from tools.evidence import Evidence

TOOL = "llovi"
KIND = "interval"
NOT_ENOUGH = "the model judged that the notes do not hold enough to tell"

Given = Callable[[Sequence[Evidence]], PromptSection]
"""Words notes for a prompt."""


@dataclass(frozen=True, slots=True)
class Grounded:
    """The temporal grounding of an answer by the model.

    Attributes:
        enough: Its judgement of sufficiency; None when not asked for or not parsed.
        intervals: The spans, or why there are none.
        steps: The calls and their replies.
        usage: Their cost.
        prompts: Version by prompt name.
    """

    enough: bool | None
    intervals: Intervals
    steps: tuple[Step, ...]
    usage: Usage
    prompts: dict[str, str]


class Grounder:
    """Asks about notes, with fewer of them where all exceed the context."""

    def __init__(self, chat: ChatModel, notes: Sequence[Evidence], given: Given) -> None:
        self.chat = chat
        self.notes = spread_order(sorted(notes, key=in_time))
        self.given = given
        self.usage = Usage()
        self.steps: tuple[Step, ...] = ()
        self.prompts: dict[str, str] = {}

    def ask(self, part: PromptSection) -> str:
        """Return the reply to a question about the notes.

        Raises:
            ContextOverflowError: Even a few notes are too long.
        """
        room = 1.0
        while True:
            given = self.given(self.notes[: max(1, int(len(self.notes) * room))])
            start, turn = perf_counter(), Turn("user", joined([given, part]))
            try:
                reply = self.chat.invoke(messages([turn]))
                break
            except ContextOverflowError:
                room /= 2
                if room < LEAST_SHARE:
                    raise
        self.usage += usage_of(reply, perf_counter() - start)
        self.prompts |= {p.name: prompts.version(p.name) for p in (given, part)}
        self.steps += (Step(part.name, result=reply.text.strip()),)
        return reply.text


def ground(
    grounder: Grounder,
    question: Question,
    footage: Footage,
    *,
    judge: bool,
    parse: Callable[[str], Intervals] | None = None,
) -> Grounded:
    """Ask for the spans of the video that answer a question.

    Args:
        grounder: Holds the notes and calls the model.
        question: The question.
        footage: Facts on the video; spans are clipped to it.
        judge: Ask first whether the notes are sufficient; if not, stop there.
        parse: Another parser of the reply than ours, which clips nothing.
    """
    enough, found = None, Intervals(reason=NOT_ENOUGH)
    if judge:
        enough = parse_yes_no(grounder.ask(sufficiency_part(question)))
    if enough is not False:
        reply = grounder.ask(ground_part(question, footage))
        found = parse(reply) if parse else parse_intervals(reply, footage.duration_s)
    return Grounded(enough, found, grounder.steps, grounder.usage, grounder.prompts)


def with_spans(answer: Answer, grounded: Grounded, notes: Sequence[Evidence]) -> Answer:
    """Return the answer with its grounded spans as evidence, or as a guess."""
    if grounded.enough is False:
        guess = answer.guess or answer.answer
        return replace(
            answer,
            answer="",
            choice=None,
            abstained=True,
            guess=guess,
            confidence=0.0,
            measured_by="none",
            reason=f"{NOT_ENOUGH}; its best guess was: {guess}" if guess else NOT_ENOUGH,
        )
    spans = grounded.intervals.spans
    if not spans:
        why = f"no interval: {grounded.intervals.reason}"
        return replace(answer, reason="; ".join(filter(None, [answer.reason, why])))
    return replace(answer, evidence=tuple(_interval(span, notes) for span in spans))


def _interval(span: Span, notes: Sequence[Evidence]) -> Evidence:
    """Return a span with the notes inside it; if there are none, the nearest one."""
    inside = [n for n in notes if n.start_s <= span.end_s and n.end_s >= span.start_s]
    if not inside:
        inside = sorted(notes, key=lambda n: max(n.start_s - span.end_s, span.start_s - n.end_s))
        inside = inside[:1]
    told = SEPARATOR.join(note.text for note in inside)
    rests_on = [format_span(Span(note.start_s, note.end_s)) for note in inside]
    return Evidence(TOOL, KIND, span.start_s, span.end_s, told, data={"notes": rests_on})
