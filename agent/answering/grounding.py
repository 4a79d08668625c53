"""Ask a model when something can be seen, from notes: first whether they suffice, then for spans.

The judgement comes first, after LLM4VG (arXiv 2312.14206). Where the notes are insufficient, no
span is asked for, and none is ever invented.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter

import prompts
from agent.answer import Step, Usage
from agent.answering.conversation import messages, usage_of
from agent.answering.evidence_lines import SEPARATOR, in_time_order, spread_order
from agent.answering.nodes import LEAST_SHARE
from agent.answering.prompt import PromptSection
from agent.answering.replies import parse_yes_no
from agent.answering.time_spans import Intervals, Span, format_span, parse_intervals
from agent.models.chat_model import ChatModel, ContextOverflowError
from agent.records import Turn
from tools.evidence import Evidence

KIND = "interval"
NOT_ENOUGH = "the model judged that the notes do not hold enough to tell"

Given = Callable[[Sequence[Evidence]], PromptSection]
"""Words notes for a prompt."""


@dataclass(frozen=True, slots=True)
class Grounded:
    """The temporal grounding by a model.

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
        self.notes = spread_order(in_time_order(notes))
        self.given = given
        self.usage = Usage()
        self.steps: tuple[Step, ...] = ()
        self.prompts: dict[str, str] = {}

    def ask(self, part: PromptSection, before: Sequence[Turn] = ()) -> str:
        """Return the reply to a question about the notes.

        Args:
            part: The question.
            before: Turns that show how such a question is answered.

        Raises:
            ContextOverflowError: Even a few notes are too long.
        """
        room = 1.0
        while True:
            given = self.given(self.notes[: max(1, int(len(self.notes) * room))])
            text = "\n\n".join(one.text.strip() for one in (given, part))
            start, turn = perf_counter(), Turn("user", text)
            try:
                reply = self.chat.invoke(messages([*before, turn]))
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
    when: PromptSection | None,
    duration_s: float,
    enough: PromptSection | None,
    parse: Callable[[str], Intervals] | None = None,
    examples: Sequence[Turn] = (),
) -> Grounded:
    """Ask for the spans of a video.

    Args:
        grounder: Holds the notes and calls the model.
        when: Asks for the spans; None only judges.
        duration_s: Length of the video; spans are clipped to it.
        enough: Asks first whether the notes are sufficient; if not, this is the end.
        parse: Another parser of the reply than ours, which clips nothing.
        examples: Turns before that question: other notes, and whether they are sufficient.
    """
    judged, found = None, Intervals(reason=NOT_ENOUGH)
    if enough:
        judged = parse_yes_no(grounder.ask(enough, examples))
    if when and judged is not False:
        reply = grounder.ask(when)
        found = parse(reply) if parse else parse_intervals(reply, duration_s)
    return Grounded(judged, found, grounder.steps, grounder.usage, grounder.prompts)


def interval(span: Span, notes: Sequence[Evidence], tool: str) -> Evidence:
    """Return a span with the notes inside it; if there are none, the nearest one."""
    inside = [n for n in notes if n.start_s <= span.end_s and n.end_s >= span.start_s]
    if not inside:
        inside = sorted(notes, key=lambda n: max(n.start_s - span.end_s, span.start_s - n.end_s))
        inside = inside[:1]
    told = SEPARATOR.join(note.text for note in inside)
    rests_on = [format_span(Span(note.start_s, note.end_s)) for note in inside]
    return Evidence(tool, KIND, span.start_s, span.end_s, told, data={"notes": rests_on})
