"""How much known speech is enough to skip speech recognition."""

import pytest

from agent.ingest.spoken import covered_s, enough_s
from tools.evidence import Evidence


@pytest.mark.parametrize(
    ("duration_s", "needed_s"),
    [(4, 2), (20, 10), (60, 10), (100, 10), (600, 60), (7200, 720)],
)
def test_a_tenth_of_a_long_video_and_half_of_a_short_one(duration_s: int, needed_s: int) -> None:
    assert enough_s(duration_s) == needed_s


def test_no_second_counts_twice() -> None:
    spans = [(5.0, 6.0), (0.0, 2.0), (1.0, 3.0), (1.5, 2.5), (5.0, 6.0)]
    assert covered_s([Evidence("a", "speech", *span, "x") for span in spans]) == 4.0
    assert covered_s([]) == 0
