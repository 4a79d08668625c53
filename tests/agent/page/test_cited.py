from typing import Any

import pytest

from agent.answer import Answer
from agent.page.cited import Piece, in_words, pieces
from tools.evidence import Evidence


def said(text: str, start_s: float) -> Evidence:
    return Evidence("subtitles", "speech", start_s, start_s + 2, text)


def answer(text: str, *evidence: Evidence, **fields: Any) -> dict[str, Any]:
    return Answer(text, evidence=evidence, **fields).to_json()


def test_a_moment_stands_behind_the_sentence_it_supports() -> None:
    ferry, gate = said("The last ferry leaves at nine.", 65.0), said("The gate code is 7391.", 3.0)
    found = pieces(answer("The gate code is 7391. The ferry leaves at nine.", ferry, gate))
    assert [p.text if p.start_s is None else p.start_s for p in found] == [
        *("The gate code is 7391.", 3.0),
        *("The ferry leaves at nine.", 65.0),
    ]


def test_a_record_without_a_shared_word_stands_at_the_end_and_a_time_comes_once() -> None:
    found = pieces(answer("One. Two.", said("Else", 65.0), said("Other", 65.4)))
    assert found == [Piece("One."), Piece("Two."), Piece("Else", 65.0)]


def test_a_time_that_the_model_wrote_becomes_a_moment_and_a_clock_does_not() -> None:
    found = pieces(answer("At [1:05] she says 9:30. [1:00:01]", said("says 9:30", 65.0)))
    assert [p.start_s for p in found if p.start_s is not None] == [65.0, 3601.0]
    assert "9:30" in "".join(p.text for p in found if p.start_s is None)


@pytest.mark.parametrize(
    ("share", "word"), [(1.0, "All"), (0.7, "Most"), (0.3, "Some"), (0, "None")]
)
def test_support_is_told_in_plain_words(share: float, word: str) -> None:
    told = in_words(answer("It", confidence=share, measured_by="support"))
    assert told.startswith(f"{word} of its words")
    assert "likely" in in_words(answer("It", confidence=share, measured_by="likelihood"))
    calibrated = in_words(answer("It", confidence=share, measured_by="calibrated"))
    assert calibrated.endswith(f"right {share:.0%} of the time")
    assert in_words(answer("It")) == ""
