"""The turns before the notes."""

import pytest

import prompts
from agent.answering.prompt import opening, opening_prompts, question_section
from agent.answering.support import NOT_KNOWN
from agent.records import Question


def test_it_begins_with_how_to_read_notes() -> None:
    (system,) = opening(examples=False)
    assert (system.role, system.text) == ("system", prompts.render("read_system"))


def test_every_question_of_the_examples_is_followed_by_its_answer() -> None:
    system, *turns = opening(examples=True)
    assert (system,) == opening(examples=False)
    assert [turn.role for turn in turns] == ["user", "assistant"] * (len(turns) // 2)
    answers = {
        asked.text.rpartition("\n\n")[2]: given.text
        for asked, given in zip(turns[::2], turns[1::2], strict=True)
    }
    lines = prompts.render("read_examples").split("\n\n")[-1].splitlines()
    told = {
        question_section(Question(q)).text: a for q, a in zip(lines[::2], lines[1::2], strict=True)
    }
    assert answers == told
    assert all(question.startswith("Question: ") for question in answers)
    assert NOT_KNOWN in answers.values()


def test_the_notes_of_the_examples_are_given_once() -> None:
    turns = opening(examples=True)
    assert [i for i, turn in enumerate(turns) if "Notes:" in turn.text] == [1]
    assert "Outline of the video:" in turns[1].text


@pytest.mark.parametrize("examples", [True, False])
def test_it_is_the_same_every_time_and_its_prompts_are_named(examples: bool) -> None:
    assert opening(examples) == opening(examples)
    assert set(opening_prompts(examples)) <= set(prompts.names())
    assert ("read_examples" in opening_prompts(examples)) == examples
