import random
from typing import Any

import pytest

from agent.answering.published_parsers import parse_published_intervals
from agent.answering.time_spans import Intervals, Span, format_span, merge_spans, parse_intervals
from agent.evaluation.temporal import (
    GroundedAnswer,
    Overlap,
    first_overlap,
    score_grounding,
    union_overlap,
)
from tools.errors import InputError


def spans(*pairs: tuple[float, float]) -> tuple[Span, ...]:
    return tuple(Span(start, end) for start, end in pairs)


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("[5, 19]", [(5, 19)]),
        ("[5, 19].", [(5, 19)]),
        ("[5, 19] or so", [(5, 19)]),
        ("[1, 10] and [50, 60]", [(1, 10), (50, 60)]),
        ("[19, 5]", [(19, 5)]),
        ("The interval is [5, 19].", [(0, 1)]),
        ("[5-19]", [(0, 0)]),
        ("[1, 10], [50, 60]", []),
        ("[1, 10]\n[50, 60]", []),
        ("[5.5, 7.5]", []),
        ("5-19", []),
        ("None", []),
        ("", []),
    ],
)
def test_llovi_s_interval_parser_reverses_nothing_and_makes_up_0_to_1(
    reply: str, expected: list[tuple[int, int]]
) -> None:
    """Where the published code raises, which ends its whole run, there is no interval."""
    found = parse_published_intervals(reply)
    assert found.spans == spans(*expected)
    assert bool(found.reason) == (not expected)


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("[5, 19]", [(5, 19)]),
        ("The interval is [5, 19].", [(5, 19)]),
        ("[1, 10] and [50, 60]", [(1, 10), (50, 60)]),
        ("[1, 10], [50, 60]", [(1, 10), (50, 60)]),
        ("[1, 10]\n[50, 60]", [(1, 10), (50, 60)]),
        ("[[1, 10], [50, 60]]", [(1, 10), (50, 60)]),
        ("[50, 60] and [1, 10]", [(50, 60), (1, 10)]),
        ("[1, 10] and [1, 10]", [(1, 10)]),
        ("[5.5, 19.25]", [(5.5, 19.25)]),
        ("(5; 19)", [(5, 19)]),
        ("[5-19]", [(5, 19)]),
        ("5-19", [(5, 19)]),
        ("5 \N{EN DASH} 19 s", [(5, 19)]),
        ("From 5 to 19 seconds, when the dog barks.", [(5, 19)]),
        ("between 5 and 19 seconds", [(5, 19)]),
        ("5s to 19s and 30s to 40s", [(5, 19), (30, 40)]),
        ("[0:05, 1:19]", [(5, 79)]),
        ("00:05 - 01:19.5", [(5, 79.5)]),
        ("1:00:05 to 1:00:10", [(3605, 3610)]),
        ("1 to 2 minutes", [(60, 120)]),
        ("90 s to 2 min", [(90, 120)]),
        ("start: 5, end: 19", [(5, 19)]),
        ('{"start": 5.0, "end": 19}', [(5, 19)]),
        ('{"start_s": "0:05", "end_s": "0:19"}', [(5, 19)]),
        ("[19, 5]", [(5, 19)]),
        ("[-3, 8]", [(0, 8)]),
        ("[5, 99999]", [(5, 7200)]),
        ("[7, 7]", [(7, 7)]),
        ("In 2023 it was [5, 19], as line 3 says", [(5, 19)]),
        ("<think>[1, 2]</think>[5, 19]", [(5, 19)]),
        ("#Answer: [5, 19] and [8000, 9000]", [(5, 19)]),
    ],
)
def test_intervals_are_read_however_they_are_written(
    reply: str, expected: list[tuple[float, float]]
) -> None:
    assert parse_intervals(reply, duration_s=7200) == Intervals(spans(*expected))


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (None, "empty"),
        ("", "empty"),
        ("None", "no interval"),
        ("[None, None]", "no interval"),
        ("It happens at 12 seconds.", "no interval"),
        ("[5]", "no interval"),
        ("the whole video", "no interval"),
        ("[5, 19, 30, 60]", "no interval"),
        ("[8000, 9000]", "outside the video of 7200 s"),
    ],
)
def test_without_an_interval_the_reason_is_given(reply: str | None, reason: str) -> None:
    parsed = parse_intervals(reply, duration_s=7200)
    assert parsed.spans == ()
    assert reason in parsed.reason


def test_frame_numbers_become_seconds_but_clock_times_stay() -> None:
    assert parse_intervals("[10, 20]", index_s=0.5).spans == spans((5, 10))
    assert parse_intervals("[0:10, 0:20]", index_s=0.5).spans == spans((10, 20))
    assert parse_intervals("10 s to 20 s", index_s=0.5).spans == spans((10, 20))


def test_no_reply_raises_and_every_span_lies_in_the_video() -> None:
    generator = random.Random(3)
    pieces = [*"[](),.:;-0123456789 \n", "and", "to", " s", "min", "start", "end", "None", "\x00"]
    for _ in range(5000):
        reply = "".join(generator.choices(pieces, k=generator.randint(0, 14)))
        for span in parse_intervals(reply, duration_s=60).spans:
            assert 0 <= span.start_s <= span.end_s <= 60, reply


def test_what_is_formatted_is_read_again() -> None:
    assert format_span(Span(12, 13)) == "12-13 s"
    assert format_span(Span(4, 4)) == "4 s"
    assert format_span(Span(10 / 3, 3600)) == "3.33-3600 s"
    for span in spans((0, 1), (1.5, 2.25), (100, 4000)):
        assert parse_intervals(format_span(span)).spans == (span,)


def test_the_first_span_counts_in_the_published_metric_all_in_the_union() -> None:
    predicted, truth = spans((0, 10), (50, 60)), spans((50, 60))
    assert first_overlap(predicted, truth) == Overlap(0, 0)
    assert union_overlap(predicted, truth) == Overlap(0.5, 0.5)


def test_a_span_without_length_scores_only_in_the_published_metric() -> None:
    moment, truth = spans((7, 7)), spans((5, 9))
    assert first_overlap(moment, truth) == Overlap(0, 1)
    assert first_overlap(moment, truth, strict=True) == Overlap(0, 0)
    assert union_overlap(moment, truth) == Overlap(0, 0)
    assert first_overlap(spans((4, 4)), truth) == Overlap(0, 0)


def test_the_best_true_span_counts() -> None:
    overlap = first_overlap(spans((10, 20)), spans((0, 15), (18, 20), (90, 95)))
    assert overlap.iop == 0.5
    assert overlap.iou == pytest.approx(0.25)
    assert first_overlap(spans((10, 20)), spans((0, 40), (12, 20))) == Overlap(0.8, 1)
    assert first_overlap((), spans((0, 1))) == Overlap(0, 0)


def test_union_counts_overlapping_predictions_once() -> None:
    assert merge_spans(spans((5, 9), (0, 6), (20, 21))) == spans((0, 9), (20, 21))
    assert union_overlap(spans((0, 10), (0, 10)), spans((0, 10))) == Overlap(1, 1)
    assert union_overlap((), ()) == Overlap(0, 0)


def test_overlaps_agree_with_counting_seconds() -> None:
    generator = random.Random(5)
    for _ in range(200):
        pairs = [sorted(generator.sample(range(40), 2)) for _ in range(4)]
        predicted, truth = spans(*pairs[:2]), spans(*pairs[2:])  # type: ignore[arg-type]
        said, true = (
            {t for s in some for t in range(int(s.start_s), int(s.end_s))}
            for some in (predicted, truth)
        )
        overlap = union_overlap(predicted, truth)
        assert overlap.iou == pytest.approx(len(said & true) / len(said | true))
        assert overlap.iop == pytest.approx(len(said & true) / len(said))


def answer(right: bool, *predicted: tuple[float, float]) -> GroundedAnswer:
    return GroundedAnswer(spans(*predicted), spans((50, 60)), right)


def test_a_grounded_answer_is_right_and_in_the_right_place() -> None:
    answers = [
        answer(True, (50, 60)),  # right and grounded
        answer(True, (40, 60)),  # half of it inside: just grounded
        answer(True, (0, 10)),  # right by luck
        answer(False, (50, 60)),  # grounded but wrong
        answer(True),  # abstained from grounding
    ]
    scores = score_grounding(answers)
    assert scores.questions == 5
    assert scores.acc_gqa == pytest.approx(0.4)
    assert scores.iop_5 == pytest.approx(0.6)
    assert scores.miop == pytest.approx(2.5 / 5)
    assert scores.miou == pytest.approx(2.5 / 5)
    assert (scores.iou_3, scores.iou_5) == pytest.approx((0.6, 0.6))


@pytest.mark.parametrize(("metric", "acc"), [("first", 0.5), ("first-strict", 0), ("union", 0.5)])
def test_the_metric_decides(metric: Any, acc: float) -> None:
    answers = [answer(True, (55, 55)), answer(True, (0, 5), (50, 60))]
    scores = score_grounding(answers, metric)
    assert scores.acc_gqa == pytest.approx(acc)


def test_nothing_to_score_is_said() -> None:
    with pytest.raises(InputError, match="no grounded answers"):
        score_grounding([])
