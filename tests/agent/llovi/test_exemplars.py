import json
from pathlib import Path
from typing import Any

import pytest

from agent.llovi.exemplars import choose_exemplars, read_exemplars
from agent.llovi.prompts import exemplar_text
from agent.records import Question
from tools.errors import InputError

DOG: dict[str, Any] = {
    "video": "dog",
    "duration_s": 4,
    "question": "Who runs?",
    "options": ["a cat", "a dog"],
    "choice": 1,
    "captions": ["a dog sits", "a dog runs"],
}
OPEN: dict[str, Any] = {
    "video": "open",
    "duration_s": 4,
    "question": "Who?",
    "answer": "a fox",
    "captions": {"1": "a fox", "0": "snow"},
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "examples.json"


@pytest.mark.parametrize("lines", [True, False])
def test_examples_are_read_in_either_shape(file: Path, lines: bool) -> None:
    rows = [DOG, OPEN]
    file.write_text("\n".join(map(json.dumps, rows)) if lines else json.dumps(rows))
    dog, fox = read_exemplars(file)
    assert dog.question == Question("Who runs?", ("a cat", "a dog"))
    assert [(n.start_s, n.end_s, n.text) for n in dog.notes] == [
        (0, 1, "a dog sits"),
        (1, 2, "a dog runs"),
    ]
    assert exemplar_text(dog).endswith("Answer: B")
    assert [n.text for n in fox.notes] == ["snow", "a fox"]
    assert exemplar_text(fox).endswith("Answer: a fox")


def test_captions_of_examples_are_thinned_like_those_of_the_question(file: Path) -> None:
    file.write_text(json.dumps([DOG]))
    (dog,) = read_exemplars(file, every=2)
    assert [n.text for n in dog.notes] == ["a dog sits"]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"choice": None}, "'dog' has no answer"),
        ({"choice": 2}, "no option number 2"),
        ({"captions": {"one": "x"}}, "example 1: 'one' is no number"),
        ({"captions": [1]}, "captions"),
        ({"duration_s": 0}, "duration_s"),
        ({"truth": 1}, "unknown key 'truth'"),
    ],
)
def test_a_faulty_example_is_named(file: Path, changes: dict[str, Any], complaint: str) -> None:
    file.write_text(json.dumps([DOG | changes]))
    with pytest.raises(InputError, match=complaint):
        read_exemplars(file)


def test_a_file_that_cannot_be_read_is_named(file: Path) -> None:
    with pytest.raises(InputError, match=r"examples\.json cannot be read"):
        read_exemplars(file)
    file.write_text("{")
    with pytest.raises(InputError, match="not JSON"):
        read_exemplars(file)


def test_no_example_shows_the_video_that_is_asked_about(file: Path) -> None:
    file.write_text(json.dumps([DOG, OPEN]))
    both = read_exemplars(file)
    assert [e.video for e in choose_exemplars(both, 2, "mine")] == ["dog", "open"]
    assert [e.video for e in choose_exemplars(both, 1, "dog")] == ["open"]
    assert choose_exemplars(both, 0, "dog") == ()
    with pytest.raises(InputError, match="2 exemplars are wanted but there are 1"):
        choose_exemplars(both, 2, "dog")
