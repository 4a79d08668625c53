"""A prompt that was too long is made of fewer excerpts, and nothing is ranked again."""

from typing import Any, cast

import pytest
from langgraph.runtime import Runtime

from agent.extractive.narrow import ask_small, read
from agent.records import Excerpt, Question
from agent.state import State
from tools.evidence import Evidence

NO_MODELS = cast("Runtime[Any]", Runtime(context=None))  # whoever asks one of it fails
QUESTION = Question("What is the gate code?")


def excerpts(count: int) -> tuple[Excerpt, ...]:
    lines = [
        Evidence("subtitles", "speech", i, i + 1, f"Line {i}.", id=f"line:{i}")
        for i in range(count)
    ]
    return tuple(Excerpt(line, line.text, 1.0 - line.start_s / 9) for line in lines)


@pytest.mark.parametrize(("given", "left"), [(5, 2), (3, 1), (2, 1)])
def test_the_better_half_is_asked_about(given: int, left: int) -> None:
    before = excerpts(given)
    asked = ask_small(QUESTION, before)
    assert asked.retry_node == "read"
    state: State = {"question": QUESTION, "excerpts": before, "ask": asked, "too_long": asked}
    done = read(state, NO_MODELS)
    update = cast("State", done.update)
    assert done.goto == "reason"
    assert update["excerpts"] == before[:left]
    assert [line.text for line in update["lines"]] == [f"Line {i}." for i in range(left)]
    text = update["ask"].turns[-1].text
    assert text.count("Line") == left
    assert len(text) < len(asked.turns[-1].text)


def test_one_excerpt_is_not_made_shorter() -> None:
    assert ask_small(QUESTION, excerpts(1)).retry_node == ""
