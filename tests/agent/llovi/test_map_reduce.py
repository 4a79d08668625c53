import random
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from agent.answering.time_spans import Span
from agent.llovi.clips import caption_line
from agent.llovi.map_reduce import (
    Chunk,
    Limits,
    condense,
    next_chunks,
    plan_chunks,
    summarise_chunk,
)
from agent.llovi.prompts import Footage, joined, summary_parts
from agent.models.chat_model import ContextOverflowError
from agent.records import Question
from tools.errors import InputError
from tools.evidence import Evidence

QUESTION = Question("Why does the QUESTIONER run?", ("for FIRSTOPTION", "for SECONDOPTION"))


def count(text: str) -> int:
    return len(text.split())


def limits(tokens: int, depth: int = 6) -> Limits:
    return Limits(tokens, count, depth)


def captions(number: int, words: int = 7) -> list[Evidence]:
    return [
        Evidence("caption", "caption", t, t + 1, f"scene{t} " + "word " * (words - 1))
        for t in range(number)
    ]


class Writer:
    """Summarises with prompts as the method does, and keeps them."""

    def __init__(self, captions: list[Evidence], reply: Callable[[str], str]) -> None:
        self.footage = Footage(captions[-1].end_s)
        self.reply = reply
        self.prompts: list[str] = []
        self.chunks: list[Chunk] = []

    def __call__(self, chunk: Chunk) -> str:
        prompt = joined(summary_parts("cq", chunk, QUESTION, self.footage, words=50))
        self.prompts.append(prompt)
        self.chunks.append(chunk)
        return self.reply(prompt)


def short(prompt: str) -> str:
    return "They run about. " * 10


def test_what_fits_takes_one_call() -> None:
    notes = captions(180)
    writer = Writer(notes, short)
    done = condense(notes, writer, limits(3000))
    assert (done.calls, done.levels, len(writer.prompts)) == (1, 1, 1)
    assert done.text == " ".join(short("").split())


def test_an_hour_of_captions_fits_a_small_context_and_none_is_lost() -> None:
    window, reply, notes = 4000, 600, captions(3600, words=12)
    random.Random(6).shuffle(notes)
    writer = Writer(sorted(notes, key=lambda c: c.start_s), short)
    overhead = count(joined(summary_parts("cq", Chunk((notes[0],)), QUESTION, writer.footage)))
    done = condense(notes, writer, limits(window - reply - overhead))
    assert max(map(count, writer.prompts)) <= window - reply
    first = [chunk for chunk in writer.chunks if not chunk.level]
    told = [note for chunk in first for note in chunk.notes]
    assert Counter(note.text for note in told) == Counter(note.text for note in notes)
    assert [note.start_s for note in told] == list(range(3600))
    assert done.levels > 1
    assert all("QUESTIONER" in prompt for prompt in writer.prompts)


def test_every_map_prompt_holds_its_own_captions_and_times() -> None:
    notes = captions(400)
    writer = Writer(notes, short)
    condense(notes, writer, limits(1000))
    for chunk, prompt in zip(writer.chunks, writer.prompts, strict=True):
        if not chunk.level:
            assert f"from {chunk.span.start_s:g}-{chunk.span.end_s:g} s" in prompt
            assert [line[2:] for line in prompt.splitlines() if line.startswith("- ")] == [
                caption_line(note) for note in chunk.notes
            ]


def test_parts_are_reduced_in_time_order_over_several_rounds() -> None:
    notes = captions(2000)
    writer = Writer(notes, lambda prompt: "word " * 60)
    done = condense(notes, writer, limits(300))
    assert done.levels >= 3
    for level in range(1, done.levels):
        chunks = [chunk for chunk in writer.chunks if chunk.level == level]
        starts = [note.start_s for chunk in chunks for note in chunk.notes]
        assert starts == sorted(starts)
        assert chunks[0].span.start_s == 0
        assert chunks[-1].span.end_s == 2000


def test_chunks_are_as_few_as_can_be_and_about_equal() -> None:
    generator = random.Random(8)
    for _ in range(100):
        notes = captions(generator.randint(1, 300), generator.randint(1, 20))
        room = generator.randint(60, 900)
        chunks = plan_chunks(notes, limits(room))
        sizes = [sum(count(caption_line(n)) + 3 for n in chunk.notes) for chunk in chunks]
        assert [note for chunk in chunks for note in chunk.notes] == notes
        assert max(sizes) <= room
        greedy = -(-len(notes) // (room // (sizes[0] // len(chunks[0].notes))))
        assert len(chunks) == greedy
        assert len(chunks[0].notes) - len(chunks[-1].notes) <= 3 * len(chunks)  # rounding


def test_a_model_that_writes_too_much_ends_with_a_remedy() -> None:
    notes = captions(400)
    with pytest.raises(InputError, match="fewer words"):
        condense(notes, Writer(notes, lambda prompt: "word " * 250), limits(300))


def test_the_depth_is_limited() -> None:
    notes = captions(2000)
    with pytest.raises(InputError, match="in 1 rounds"):
        condense(notes, Writer(notes, lambda prompt: "word " * 60), limits(300, depth=1))
    with pytest.raises(InputError, match="cannot be reduced"):
        next_chunks(notes[:5], level=7, limits=limits(300))


def test_a_note_that_fits_nowhere_is_named() -> None:
    with pytest.raises(InputError, match=r"one note takes 5\d\d tokens.*room for 300"):
        plan_chunks([*captions(3), Evidence("ocr", "text", 3, 4, "x " * 500)], limits(300))


def test_nothing_to_condense_is_said() -> None:
    with pytest.raises(InputError, match="no notes"):
        condense([], lambda chunk: "", limits(300))


def test_overflow_halves_and_never_changes_the_prompt() -> None:
    notes = captions(200)

    def strict(prompt: str) -> str:
        if count(prompt) > 500:
            raise ContextOverflowError("scripted", count(prompt), 500)
        return "They run."

    writer = Writer(notes, strict)
    done = condense(notes, writer, limits(3000))
    assert done.text == "They run."
    assert all("QUESTIONER" in prompt for prompt in writer.prompts)
    held = [c for c, p in zip(writer.chunks, writer.prompts, strict=True) if count(p) <= 500]
    told = [note for chunk in held if not chunk.level for note in chunk.notes]
    assert told == notes  # every caption in one prompt that was read, in time order
    assert done.calls == len(held)


def test_overflow_of_a_single_note_is_raised_as_it_is() -> None:
    def refuse(chunk: Chunk) -> str:
        raise ContextOverflowError("scripted", 9, 1)

    with pytest.raises(ContextOverflowError, match="needs 9 tokens"):
        summarise_chunk(Chunk(tuple(captions(4))), refuse)


def test_other_errors_are_not_taken_for_an_overflow() -> None:
    calls = []

    def fail(chunk: Chunk) -> str:
        calls.append(chunk)
        raise TimeoutError

    with pytest.raises(TimeoutError):
        summarise_chunk(Chunk(tuple(captions(4))), fail)
    assert len(calls) == 1


def test_in_parallel_the_reduction_reads_the_same() -> None:
    notes = captions(300)

    def reduced(seed: int) -> list[str]:
        generator = random.Random(seed)

        def slowly(prompt: str) -> str:
            time.sleep(generator.random() / 500)
            return next(line for line in prompt.splitlines() if line.startswith("- "))[-30:]

        writer = Writer(notes, slowly)
        with ThreadPoolExecutor(8) as pool:
            condense(notes, writer, limits(500), run=pool.map)
        return [p for c, p in zip(writer.chunks, writer.prompts, strict=True) if c.level]

    assert len({tuple(reduced(seed)) for seed in range(20)}) == 1
    assert len(reduced(0)) == 1


def test_parts_in_any_order_make_the_same_chunks() -> None:
    parts = captions(30)
    expected = next_chunks(parts, 1, limits(200))
    for seed in range(20):
        random.Random(seed).shuffle(parts)
        assert next_chunks(parts, 1, limits(200)) == expected


def test_a_part_without_summary_is_reported_and_left_out() -> None:
    notes = captions(40)
    writer = Writer(notes, lambda prompt: "" if "scene0 " in prompt else "They run.")
    done = condense(notes, writer, limits(250))
    assert done.missing == (Span(0, writer.chunks[0].span.end_s),)
    assert done.text == "They run."
    assert condense(notes, Writer(notes, lambda prompt: " \n"), limits(250)).text == ""
