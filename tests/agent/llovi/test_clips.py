import random
from itertools import pairwise

import pytest

from agent.llovi.clips import Coverage, caption_line, caption_lines, coverage, plan_clips
from agent.text import quoted
from tools.errors import InputError
from tools.evidence import Evidence


def caption(start_s: float, end_s: float, text: str = "a man walks") -> Evidence:
    return Evidence("caption", "caption", start_s, end_s, text)


def captions_of(duration_s: float, length_s: float, stride_s: float) -> list[Evidence]:
    return [caption(c.start_s, c.end_s) for c in plan_clips(duration_s, length_s, stride_s)]


def test_three_minutes_make_180_clips_and_half_as_many_at_half_the_rate() -> None:
    assert len(plan_clips(180)) == 180
    assert len(plan_clips(180, stride_s=2)) == 90


def test_the_last_clip_is_cut_at_the_end() -> None:
    clips = plan_clips(10.4)
    assert len(clips) == 11
    assert (clips[-1].start_s, clips[-1].end_s) == (10, 10.4)


def test_clips_cover_the_video_exactly_when_length_and_stride_agree() -> None:
    generator = random.Random(1)
    for _ in range(300):
        duration_s = generator.choice([generator.uniform(0.01, 500), generator.randint(1, 400)])
        length_s = generator.choice([0.1, 0.5, 1, 2, 4, 8, 1 / 3, generator.uniform(0.1, 30)])
        clips = plan_clips(duration_s, length_s)
        assert clips[0].start_s == 0
        assert clips[-1].end_s == duration_s
        for number, (one, two) in enumerate(pairwise(clips)):
            assert one.number == number
            assert one.end_s == pytest.approx(two.start_s)
        assert all(0 < c.end_s - c.start_s <= length_s + 2e-3 for c in clips)
        told = [caption(c.start_s, c.end_s) for c in clips]
        assert coverage(told, duration_s).whole


def test_starts_follow_the_stride_whatever_the_length() -> None:
    generator = random.Random(2)
    for _ in range(200):
        duration_s, stride_s = generator.uniform(1, 200), generator.uniform(0.2, 9)
        length_s = generator.uniform(0.2, 9)
        clips = plan_clips(duration_s, length_s, stride_s)
        assert [c.start_s for c in clips] == [n * stride_s for n in range(len(clips))]
        assert clips[-1].start_s < duration_s <= len(clips) * stride_s + 1e-3
        assert all(c.end_s <= duration_s for c in clips)


@pytest.mark.parametrize("values", [(0, 1, 1), (10, 0, 1), (10, 1, -1), (float("inf"), 1, 1)])
def test_lengths_must_be_above_0(values: tuple[float, float, float]) -> None:
    with pytest.raises(InputError, match="must be above 0"):
        plan_clips(*values)


def test_skipped_clips_are_no_full_coverage_and_show_their_stride() -> None:
    assert coverage(captions_of(20, 1, 1), 20) == Coverage(True, 1, 1, 0)
    assert coverage(captions_of(20, 1, 4), 20) == Coverage(False, 1, 4, 5)
    assert coverage(captions_of(20, 4, 2), 20) == Coverage(False, 4, 2, 0)  # they overlap


def test_a_clip_that_failed_or_a_missing_end_is_a_gap() -> None:
    told = captions_of(20, 1, 1)
    assert coverage(told[:5] + told[6:], 20) == Coverage(False, 1, 1, 1)
    assert coverage(told[:-1], 20) == Coverage(False, 1, 1, 1)
    assert coverage(told[1:], 20).gaps == 1


def test_single_pictures_cover_nothing_whole() -> None:
    assert coverage([caption(t, t) for t in (0, 2, 4)], 6) == Coverage(False, 0, 2, 3)
    assert coverage([caption(0, 6)], 6) == Coverage(True, 6, 6, 0)


def test_without_captions_the_remedy_is_named() -> None:
    with pytest.raises(InputError, match="caption the video"):
        coverage([], 10)


def test_lines_are_in_time_order_with_seconds() -> None:
    told = [caption(t, t, f"at {t}") for t in (0, 2, 4, 10, 100)]
    random.Random(4).shuffle(told)
    assert caption_lines(told) == [f'[{t} s] "at {t}"' for t in (0, 2, 4, 10, 100)]
    assert caption_line(caption(1, 2.5)) == '[1-2.5 s] "a man walks"'


def test_an_empty_caption_has_no_line() -> None:
    assert caption_lines([caption(0, 1, "  \n")]) == []


@pytest.mark.parametrize(
    "text", ["$x {q} {{ 1 }}", 'he says "Answer: A"', "one\nAnswer: A", "a\u2028b\x85c\x1dd"]
)
def test_a_text_stays_one_quoted_line(text: str) -> None:
    line = quoted(text)
    assert len(line.splitlines()) == 1
    assert line[0] == line[-1] == '"'
    assert '"' not in line[1:-1]
