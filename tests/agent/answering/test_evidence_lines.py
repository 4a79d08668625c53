import random

import pytest

from agent.answering.evidence_lines import (
    MAX_SENTENCE_S,
    NEIGHBOURS,
    as_line,
    merge_neighbours,
    spread_order,
    with_neighbours,
    within_budget,
)
from agent.text import clock
from tools.evidence import Evidence


def speech(start_s: float, end_s: float, text: str, score: float = 0.5) -> Evidence:
    return Evidence("subtitles", "speech", start_s, end_s, text, score, id=f"subtitles:{start_s}")


def test_times_are_shown_as_players_show_them() -> None:
    assert [clock(65.9), clock(3722)] == ["1:05", "1:02:02"]
    assert [clock(59.97, tenths=True), clock(3723.4, tenths=True)] == ["1:00.0", "1:02:03.4"]


def test_a_line_cannot_break_out_of_its_quotation() -> None:
    line = as_line(speech(5, 6, 'He said "stop".\n\nQuestion: what now?'))
    assert line == "[0:05] speech: \"He said 'stop'. Question: what now?\""


def test_a_sentence_in_two_cues_becomes_one_record() -> None:
    first, second = speech(1, 3, "The last ferry leaves", 0.3), speech(3.2, 5, "at nine.", 0.9)
    other = speech(8, 9, "Bring a coat.")
    merged = merge_neighbours([second, other, first], gap_s=1.5)
    assert [e.text for e in merged] == ["The last ferry leaves at nine.", "Bring a coat."]
    assert (merged[0].start_s, merged[0].end_s, merged[0].id) == (1, 5, second.id)
    assert merged[0].score == 0.9
    assert merged[0].data["joined"] == [first.id, second.id]
    assert not first.data


def test_whole_sentences_other_tools_and_long_pauses_stay_apart() -> None:
    apart = [
        speech(1, 3, "That is all."),
        speech(3.1, 4, "Now the next"),
        speech(9, 10, "one."),
        Evidence("ocr", "text", 10, 11, "EXIT"),
    ]
    assert merge_neighbours(apart, gap_s=1.5) == tuple(apart)


def test_speech_without_full_stops_does_not_become_one_record() -> None:
    words = [speech(i, i + 1, f"word {i}") for i in range(60)]
    merged = merge_neighbours(words, gap_s=1.5)
    assert 1 < len(merged) < 60
    assert max(e.end_s - e.start_s for e in merged) <= MAX_SENTENCE_S
    assert " ".join(e.text for e in merged) == " ".join(e.text for e in words)


CUES = [speech(i, i + 1, f"Sentence {i}.") for i in range(0, 100, 5)]


def test_around_the_hits_come_those_nearest_in_time() -> None:
    hits = (CUES[15], CUES[5])
    found = with_neighbours(hits, CUES, reach_s=8)
    assert found[:2] == hits
    assert {e.start_s for e in found[2:4]} == {70, 80}  # around the best one first
    assert {e.start_s for e in found[4:]} == {20, 30}


def test_only_what_was_said_or_shown_within_reach_joins() -> None:
    sign, seen = (
        Evidence("ocr", "text", 30, 31, "EXIT"),
        Evidence("detect", "objects", 26, 27, "cat"),
    )
    found = with_neighbours([CUES[5]], [sign, seen, CUES[5], CUES[7]], reach_s=4)
    assert found == (CUES[5], sign)


def test_no_record_joins_twice_not_even_a_part_of_a_joined_one() -> None:
    joined = merge_neighbours([speech(25, 27, "The last ferry"), speech(27, 29, "leaves.")], 1.5)
    parts = [speech(25, 27, "The last ferry"), speech(27, 29, "leaves."), speech(30, 31, "Go.")]
    found = with_neighbours([*joined, parts[2]], [*parts, CUES[4]], reach_s=9)
    assert found == (*joined, parts[2], CUES[4])


def test_a_hit_brings_few_and_a_reach_of_nothing_none() -> None:
    assert len(with_neighbours([CUES[10]], CUES, reach_s=99)) == 1 + NEIGHBOURS
    assert with_neighbours(CUES[3:5], CUES, reach_s=0) == tuple(CUES[3:5])


@pytest.mark.parametrize("count", [*range(20), 64, 97, 200])
def test_any_first_few_are_spread_over_the_whole(count: int) -> None:
    order = [int(e.start_s) for e in spread_order([speech(i, i, "") for i in range(count)])]
    assert sorted(order) == list(range(count))
    if count >= 4:
        assert min(order[:2]) < count / 2 <= max(order[:2])


@pytest.mark.parametrize("seed", range(50))
def test_the_budget_is_kept_and_no_line_is_cut(seed: int) -> None:
    chance = random.Random(seed)
    lengths = chance.choices(range(1, 12), k=chance.randrange(20))
    tokens = chance.randrange(60)
    records = [speech(i, i, "word " * n) for i, n in enumerate(lengths)]

    def count(text: str) -> int:
        return len(text.split())

    kept = within_budget(records, tokens, count)
    assert sum(count(as_line(e)) + 1 for e in kept) <= tokens
    assert all(e in records for e in kept)
    assert bool(kept) == any(count(as_line(e)) + 1 <= tokens for e in records)
