"""The narrative of a video: notes in time order, those that fit a prompt, and their summary.

notes -> chunks -> a summary each -> ... -> one summary
      -> as many as fit, spread over the video
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import ceil
from time import perf_counter
from typing import Any

from langchain_core.runnables.config import ContextThreadPoolExecutor
from langgraph.errors import GraphDrained
from langgraph.runtime import Runtime

import prompts
from agent.answer import Usage
from agent.answering.conversation import messages, usage_of
from agent.answering.evidence_lines import spread_order
from agent.answering.prompt import PromptSection
from agent.answering.time_spans import format_span
from agent.llovi.clips import caption_line, coverage, in_time
from agent.llovi.map_reduce import Chunk, Condensed, Limits
from agent.llovi.map_reduce import condense as condense_notes
from agent.llovi.options import LloviOptions
from agent.llovi.prompts import Exemplar, Footage, given_captions, joined, summary_parts
from agent.models.chat_model import ChatModel
from agent.records import Question, Turn
from agent.state import Context
from tools.evidence import ChannelReport, Evidence, Status
from tools.media.video import Video

TOOL = "summary"  # its channel report
CAPTION_KINDS = ("caption", "summary")  # no label in the prompt
TOKENS_A_WORD = 1.5  # of English, conservatively
FRAME_TOKENS = 64  # of a chat template around a prompt
LINE_TOKENS = 12  # of a note's time and punctuation
ASSUMED_CONTEXT = 32_768  # of a server with unknown context; if shorter, notes are halved
REPLY_SHARE = 5  # of the context: a summary takes no more, or two would not fit one prompt
AT_ONCE = 8  # concurrent requests for summaries to a server


@dataclass(frozen=True, slots=True)
class Summed:
    """The summary of a video as one note; none if the model wrote nothing."""

    summary: tuple[Evidence, ...]
    report: ChannelReport
    usage: Usage
    prompts: dict[str, str]


@dataclass(frozen=True)
class Narrative:
    """Notes on a video, with the model that reads them."""

    video: Video
    notes: tuple[Evidence, ...]
    options: LloviOptions
    chat: ChatModel

    @property
    def window(self) -> int:
        """Context window in tokens, prompt and reply together."""
        return self.chat.context_tokens or ASSUMED_CONTEXT

    @property
    def reply_tokens(self) -> int:
        """Maximum tokens of a summary."""
        wanted = ceil(self.options.words * TOKENS_A_WORD)
        return max(1, min(wanted, self.window // REPLY_SHARE))

    @property
    def words(self) -> int:
        """Maximum words that the prompt asks for: fewer where the context is short."""
        return max(1, min(self.options.words, int(self.reply_tokens / TOKENS_A_WORD)))

    def footage(self, notes: Sequence[Evidence] = ()) -> Footage:
        """Return the facts on the video, with the coverage of notes that are captions."""
        captions = notes and all(note.kind == "caption" for note in notes)
        known = coverage(notes, self.video.duration_s) if captions else None
        return Footage(self.video.duration_s, self.options.first_person, known)

    def worded(
        self, notes: Sequence[Evidence], exemplars: Sequence[Exemplar] = ()
    ) -> PromptSection:
        """Return notes as a prompt section, with true statements on their coverage."""
        return given_captions([*map(as_note, notes)], self.footage(notes), exemplars)

    def limits(self, question: Question) -> Limits:
        """Return the token budget for notes in a prompt for a summary."""
        blank = Chunk((Evidence("", "caption", 0.0, 0.0, "-"),))
        rest = self.chat.count_tokens(joined(self.parts(blank, question)))
        tokens = self.window - self.reply_tokens - rest - FRAME_TOKENS
        return Limits(tokens, self.chat.count_tokens, self.options.depth)

    def parts(self, chunk: Chunk, question: Question) -> tuple[PromptSection, ...]:
        """Return the prompt for the summary of a chunk."""
        footage, summary = self.footage(self.notes), self.options.summary
        assert summary != "none"  # no summary is requested then
        if footage.coverage and chunk.span.length_s < self.video.duration_s - 1e-3:
            known = replace(footage.coverage, whole=False)  # a part does not cover the whole
            footage = replace(footage, coverage=known)
        return summary_parts(summary, chunk, question, footage, self.words)

    def within_limits(self, question: Question) -> tuple[Evidence, ...]:
        """Return the notes that each fit a prompt for a summary by themselves."""
        limits = self.limits(question)
        return tuple(n for n in self.notes if self.cost(n) <= limits.tokens)

    def room(self, asked: Sequence[PromptSection], exemplars: Sequence[Exemplar] = ()) -> int:
        """Return the token budget for notes in a prompt, after its replies."""
        rest = self.chat.count_tokens(joined([self.worded((), exemplars), *asked]))
        reply = self.chat.max_new_tokens
        reply += self.options.reasoning_tokens if len(asked) > 1 else 0
        return self.window - rest - reply - 2 * FRAME_TOKENS

    def fitting(self, tokens: int, share: float = 1.0) -> tuple[Evidence, ...]:
        """Return as many notes as fit, evenly spread over the video, in time order.

        Args:
            tokens: Token budget.
            share: Share of that, or of all notes if they take less: below 1 after an overflow.
        """
        costs = [self.cost(note) for note in spread_order(self.notes)]
        left = min(tokens, sum(costs)) * share
        kept: list[Evidence] = []
        for note, cost in zip(spread_order(self.notes), costs, strict=True):
            if cost <= left:
                kept.append(note)
                left -= cost
        return tuple(sorted(kept, key=in_time))

    def left_out(self, lines: Sequence[Evidence]) -> str:
        """Say how many notes were left out of the prompt; empty if none."""
        missing = len(self.notes) - len(lines)
        return f"{missing} of {len(self.notes)} notes did not fit the prompt" if missing else ""

    def expected_calls(self, tokens: int, question: Question) -> int:
        """Estimate the number of calls to summarise `tokens` tokens of notes."""
        room, calls = max(1, self.limits(question).tokens), 0
        parts = ceil(tokens / room)
        while parts > 1:
            calls += parts
            parts = min(parts - 1, ceil(parts * (self.reply_tokens + LINE_TOKENS) / room))
        return calls + 1

    def cost(self, note: Evidence) -> int:
        """Return the tokens of a note in a prompt."""
        return self.chat.count_tokens(caption_line(as_note(note))) + 3  # "- " and the line break


def as_note(evidence: Evidence) -> Evidence:
    """Return evidence with its kind as a label in the text, unless it is a caption."""
    if evidence.kind in CAPTION_KINDS:
        return evidence
    return replace(evidence, text=f"{evidence.kind}: {evidence.text}")


def summarise(told: Narrative, question: Question, runtime: Runtime[Context]) -> Summed:
    """Summarise the notes on a video, however many there are.

    Raises:
        GraphDrained: Stop was pressed; partial summaries are stored.
        InputError: The notes cannot be made to fit the model.
    """
    start, usages, used = perf_counter(), list[Usage](), dict[str, str]()
    temperature = told.options.summary_temperature
    drawn: dict[str, Any] = {"max_new_tokens": told.reply_tokens}
    if temperature is not None:
        drawn |= {"temperature": temperature, "seed": 0} if temperature else {"temperature": 0.0}

    def write(chunk: Chunk) -> str:
        if runtime.drain_requested:
            raise GraphDrained("stop")
        parts, before = told.parts(chunk, question), perf_counter()
        turn = Turn("user", joined(parts))
        reply = told.chat.invoke(messages([turn]), **drawn)
        usages.append(usage_of(reply, perf_counter() - before))
        used.update({part.name: prompts.version(part.name) for part in parts})
        return reply.text

    notes = [as_note(note) for note in told.within_limits(question) or told.notes]
    limits = told.limits(question)
    if runtime.context.settings.chat.engine == "endpoint":
        with ContextThreadPoolExecutor(AT_ONCE) as threads:
            done = condense_notes(notes, write, limits, run=threads.map)
    else:
        done = condense_notes(notes, write, limits)
    summary = Evidence("llovi", "summary", 0.0, told.video.duration_s, done.text)
    report = _report(told, done, perf_counter() - start)
    return Summed((summary,) if done.text else (), report, _sum(usages), used)


def _sum(usages: Iterable[Usage]) -> Usage:
    """Return the sum without the seconds, which the stage measures itself."""
    return replace(sum(usages, Usage()), seconds=0.0)


def _report(told: Narrative, done: Condensed, seconds: float) -> ChannelReport:
    reasons = [f"nothing was written about {format_span(span)}" for span in done.missing]
    if not done.text:
        reasons = ["the model wrote no summary; the answer is read from the notes themselves"]
    if told.words < told.options.words:
        reasons.append(f"at most {told.words} words each, for the context is short")
    status: Status = "ok" if done.text else "empty"
    return ChannelReport(TOOL, status, done.calls, round(seconds, 3), "; ".join(reasons))
