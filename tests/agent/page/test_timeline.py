from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from agent.page import timeline
from tools.evidence import Evidence
from tools.media.video import Video

VIDEO = Video(Path("a.mp4"), "00", 100.0, 320, 240, 0, Fraction(25), True, ())
SAID = Evidence("subtitles", "speech", 10.0, 12.0, "Hello <b>there</b>")


def test_each_kind_has_a_lane_and_citations_are_marked() -> None:
    found = [SAID, Evidence("shots", "shots", 0, 50, "1"), replace(SAID, kind="smoke", tool="x")]
    figure = timeline.draw(VIDEO, found, [SAID])
    assert list(figure.layout.yaxis.categoryarray) == ["cited", "smoke", "speech", "shots"]
    assert list(figure.data[-1].customdata) == [10.0]
    assert "<b>" not in figure.data[-1].hovertext[0]


def test_a_moment_is_wide_enough_to_be_seen() -> None:
    figure = timeline.draw(VIDEO, [replace(SAID, end_s=10.0)])
    assert figure.data[0].x[0] == 100.0 * timeline.MIN_SHARE
    assert figure.data[0].base[0] == 10.0


def test_ticks_are_round_and_few() -> None:
    for duration_s, last in ((9.0, 9), (650.0, 600), (7_000.0, 6_000), (40_000.0, 39_600)):
        ticks = timeline.draw(replace(VIDEO, duration_s=duration_s), [SAID]).layout.xaxis.tickvals
        assert ticks[0] == 0
        assert ticks[-1] == last
        assert len(ticks) <= 12
