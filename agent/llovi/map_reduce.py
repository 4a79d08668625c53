"""Map-reduce summary of notes longer than any context (LLoVi's round 1, at length).

    captions -> chunks -> a summary each -> chunks of summaries -> ... -> one summary

Plain functions: a graph that fans out with `Send` can use `plan_chunks` and `summarise_chunk`,
`condense` runs all of it.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import ceil

from agent.answering.time_spans import Span
from agent.llovi.clips import caption_line, in_time
from agent.models.chat_model import ContextOverflowError
from tools.errors import InputError
from tools.evidence import Evidence

TOOL = "llovi"  # the tool named in the summaries


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one prompt for a summary.

    Attributes:
        tokens: Token budget of the notes: the model's context less the reply and the rest of the
            prompt.
        count: Returns how many tokens a text has.
        depth: Maximum rounds of reduction; each at least halves the number of parts.
    """

    tokens: int
    count: Callable[[str], int]
    depth: int = 6


@dataclass(frozen=True, slots=True)
class Chunk:
    """Notes summarised together, in time order: captions at level 0, else summaries."""

    notes: tuple[Evidence, ...]
    level: int = 0

    @property
    def span(self) -> Span:
        """Span from the start of the first note to the end of the last."""
        return Span(self.notes[0].start_s, max(note.end_s for note in self.notes))

    def halves(self) -> tuple["Chunk", "Chunk"]:
        """Return its earlier and its later half."""
        middle = len(self.notes) // 2
        return Chunk(self.notes[:middle], self.level), Chunk(self.notes[middle:], self.level)


@dataclass(frozen=True, slots=True)
class Condensed:
    """The result of the map-reduce summary.

    Attributes:
        text: The summary; empty if the model wrote none.
        calls: Number of summaries; attempts that overflowed are not counted.
        levels: Rounds, 1 when all notes fitted into one prompt.
        missing: Parts for which the model wrote nothing.
    """

    text: str
    calls: int
    levels: int
    missing: tuple[Span, ...] = ()


Summarise = Callable[[Chunk], str]
Overflow = type[BaseException] | tuple[type[BaseException], ...]
Run = Callable[
    [Callable[[Chunk], tuple[Evidence, ...]], Iterable[Chunk]], Iterable[tuple[Evidence, ...]]
]


def condense(
    captions: Sequence[Evidence],
    summarise: Summarise,
    limits: Limits,
    *,
    overflow: Overflow = ContextOverflowError,
    run: Run = map,
) -> Condensed:
    """Summarise notes of any length.

    Args:
        captions: The notes, in any order.
        summarise: Writes the summary of one chunk.
        limits: The limits of one prompt.
        overflow: Raised by `summarise` when the prompt was too long after all.
        run: Applies a function to chunks like `map`, perhaps in parallel.

    Raises:
        InputError: There are no notes, or they cannot be made to fit.
    """
    parts: Sequence[Evidence] = captions
    calls, level, missing = 0, 0, list[Span]()
    while level == 0 or len(parts) > 1:
        chunks = next_chunks(parts, level, limits)
        made = run(lambda chunk: summarise_chunk(chunk, summarise, overflow), chunks)
        summaries = [part for found in made for part in found]
        calls, level = calls + len(summaries), level + 1
        missing += [Span(s.start_s, s.end_s) for s in summaries if not s.text]
        parts = [s for s in summaries if s.text]
    return Condensed(parts[0].text if parts else "", calls, level, tuple(missing))


def next_chunks(parts: Sequence[Evidence], level: int, limits: Limits) -> tuple[Chunk, ...]:
    """Return the chunks of a round: captions at level 0, afterwards the summaries so far.

    Raises:
        InputError: As `plan_chunks`, or another round would not reduce the number of parts.
    """
    chunks = plan_chunks(parts, limits, level)
    if level > limits.depth or (level and len(chunks) >= len(parts)):
        raise InputError(
            f"{len(parts)} summaries cannot be reduced to one with {limits.tokens} tokens a prompt "
            f"in {limits.depth} rounds; ask for fewer words or use a model with a longer context"
        )
    return chunks


def plan_chunks(notes: Sequence[Evidence], limits: Limits, level: int = 0) -> tuple[Chunk, ...]:
    """Split notes into as few contiguous chunks as fit, of about equal length.

    Every note is in exactly one chunk, whole.

    Raises:
        InputError: There are no notes, or one alone does not fit.
    """
    ordered = sorted(notes, key=in_time)
    costs = [limits.count(caption_line(note)) + 3 for note in ordered]  # "- " and the line break
    if not ordered:
        raise InputError("there are no notes to condense; caption or transcribe the video first")
    if max(costs) > limits.tokens:
        raise InputError(
            f"one note takes {max(costs)} tokens but a prompt has room for {limits.tokens}; ask "
            f"for shorter captions or use a model with a longer context"
        )
    fewest = len(_cuts(costs, limits.tokens))
    room = ceil(sum(costs) / fewest)
    step = max(1, limits.tokens // 50)
    while len(_cuts(costs, min(room, limits.tokens))) > fewest:
        room += step
    sizes = _cuts(costs, max(min(room, limits.tokens), max(costs)))
    ends = [sum(sizes[: n + 1]) for n in range(len(sizes))]
    return tuple(
        Chunk(tuple(ordered[end - size : end]), level)
        for end, size in zip(ends, sizes, strict=True)
    )


def _cuts(costs: Sequence[int], room: int) -> list[int]:
    """Return the number of notes in each chunk when chunks are filled greedily."""
    sizes, used = [0], 0
    for cost in costs:
        if sizes[-1] and used + cost > room:
            sizes.append(0)
            used = 0
        sizes[-1] += 1
        used += cost
    return sizes


def summarise_chunk(
    chunk: Chunk, summarise: Summarise, overflow: Overflow = ContextOverflowError
) -> tuple[Evidence, ...]:
    """Return the summary of a chunk, or of its halves where it exceeds the context.

    Notes are never truncated; a single note that is too long raises the overflow.
    """
    try:
        text = summarise(chunk)
    except overflow:
        if len(chunk.notes) == 1:
            raise
        early, late = chunk.halves()
        return (
            *summarise_chunk(early, summarise, overflow),
            *summarise_chunk(late, summarise, overflow),
        )
    span = chunk.span
    return (Evidence(TOOL, "summary", span.start_s, span.end_s, " ".join(text.split())),)
