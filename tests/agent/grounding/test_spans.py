from itertools import pairwise

import pytest

from agent.answering.time_spans import Span
from agent.grounding.description import ask_when, described
from agent.grounding.options import Options
from agent.grounding.seconds import stretches
from agent.grounding.spans import (
    Second,
    evidence_intervals,
    read_intervals,
    second_intervals,
    similar,
)
from tools.evidence import Evidence


def told(start_s: float, end_s: float, score: float, text: str = "said") -> Evidence:
    return Evidence("subtitles", "speech", start_s, end_s, text, score=score, id=f"s:{start_s}")


def replies(*chances: float | None) -> list[Second]:
    return [Second(float(n), n + 1.0, chance) for n, chance in enumerate(chances)]


def spans_of(intervals: tuple[Evidence, ...]) -> list[tuple[float, float, float]]:
    return [(one.start_s, one.end_s, one.score) for one in intervals]


@pytest.mark.parametrize("text", ["a person sits", 'says "hello" twice', "a? b", ""])
def test_a_description_comes_back_out_of_its_question(text: str) -> None:
    assert described(ask_when(text)) == text
    assert described(f"Where is {text}?") == f"Where is {text}?"


def test_only_records_nearly_as_similar_as_the_best_are_kept() -> None:
    records = [told(0, 1, 0.5), told(2, 3, 0.41), told(4, 5, 0.39), told(6, 7, 0.1)]
    assert similar(records, least=0.15, share=0.8) == (records[0], records[1])
    assert similar(records, least=0.6, share=0.8) == ()
    assert similar([], least=0.15, share=0.8) == ()


@pytest.mark.parametrize(
    ("gap_s", "expected"),
    [
        (2.0, [(0, 6, 0.7), (20, 21, 0.6)]),  # 4 to 5 lies within 0 to 6
        (0.5, [(3, 6, 0.7), (20, 21, 0.6), (0, 2, 0.5)]),
        (30.0, [(0, 21, 0.7)]),
    ],
)
def test_records_near_each_other_are_one_interval_as_sure_as_the_best(
    gap_s: float, expected: list[tuple[float, float, float]]
) -> None:
    records = [told(20, 21, 0.6), told(3, 6, 0.4), told(0, 2, 0.5), told(4, 5, 0.7)]
    assert spans_of(evidence_intervals(records, gap_s)) == expected


def test_an_interval_quotes_each_text_once_and_names_its_records() -> None:
    (one,) = evidence_intervals([told(0, 1, 0.5, "a"), told(1, 2, 0.4, "a")], 1.0)
    assert one.text == "a"
    assert one.data["records"] == ["s:0", "s:1"]


@pytest.mark.parametrize(
    ("chances", "gap_s", "expected"),
    [
        ((0.1, 0.9, 0.7, 0.2, 0.1), 0.0, [(1, 3, 0.8)]),
        ((0.9, 0.2, 0.7, 0.1, 0.6), 0.0, [(0, 1, 0.9), (2, 3, 0.7), (4, 5, 0.6)]),
        ((0.9, 0.2, 0.7, 0.1, 0.6), 1.0, [(0, 5, 0.5)]),  # the noes between count
        ((1.0, None, 1.0), 1.0, [(0, 3, 0.6667)]),
        ((0.49, None, 0.0), 1.0, []),
        ((), 1.0, []),
    ],
)
def test_yeses_are_joined_and_the_mean_over_all_pictures_is_the_confidence(
    chances: tuple[float | None, ...], gap_s: float, expected: list[tuple[float, float, float]]
) -> None:
    assert spans_of(second_intervals(replies(*chances), gap_s)) == expected


def test_what_was_found_inside_stands_with_the_pictures() -> None:
    notes = [told(0.5, 1.5, 0.4, "a light"), told(9, 10, 0.4, "a door")]
    (one,) = second_intervals(replies(0.9, 0.8, 0.1), 1.0, notes)
    assert one.text == "the model says yes to 2 of 2 pictures | a light"
    assert one.data["yes"] == [0.9, 0.8]


def test_what_a_model_read_has_the_confidence_of_the_pictures_or_notes_inside() -> None:
    notes = [told(0, 1, 0.4), told(5, 6, 0.3)]
    spans = [Span(5.5, 8), Span(20, 21)]
    assert spans_of(read_intervals(spans, notes, ())) == [(5.5, 8, 0.3), (20, 21, 0.0)]
    assert spans_of(read_intervals([Span(0.5, 2)], notes, replies(0.8, 0.4))) == [(0.5, 2, 0.6)]


@pytest.mark.parametrize(
    ("duration_s", "fields", "count", "length_s"),
    [
        (4.0, {}, 4, 1.0),
        (4.0, {"fps": 2.0}, 8, 0.5),
        (600.0, {"pictures": 100}, 100, 6.0),
        (0.2, {}, 1, 0.2),
    ],
)
def test_a_video_is_cut_into_equal_stretches(
    duration_s: float, fields: dict[str, float], count: int, length_s: float
) -> None:
    cut = stretches(duration_s, Options(**fields))
    assert len(cut) == count
    assert (cut[0].start_s, cut[-1].end_s) == (0.0, duration_s)
    assert {round(one.length_s, 6) for one in cut} == {length_s}
    assert all(a.end_s == b.start_s for a, b in pairwise(cut))
