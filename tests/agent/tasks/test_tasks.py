import pytest

from agent.evaluation.prepare import prepare_rows
from agent.tasks import benchmarks, find_benchmark
from agent.tasks.choices import choices_of, split_question
from tools.errors import InputError


def test_every_benchmark_is_found_by_its_own_name() -> None:
    for one in benchmarks():
        assert find_benchmark(one.name) is one
        assert one.about
        assert one.files


def test_an_unknown_benchmark_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(InputError, match="video-mme"):
        find_benchmark("videomme")


@pytest.mark.parametrize("name", [one.name for one in benchmarks()])
def test_files_that_are_not_there_are_said(name: str, read, tmp_path) -> None:
    with pytest.raises(InputError, match="nowhere"):
        read(name, tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("text", "question", "options"),
    [
        ("Who?\n(A) a man\n(B) a child", "Who?", ["a man", "a child"]),
        ("Who?\nA. a man\nB. a child", "Who?", ["a man", "a child"]),
        ("Who?\n(A) a man\n(C) a child", "Who?\n(A) a man\n(C) a child", []),
        ("List:\n(B) x\nWho?\n(A) y\n(B) z", "List:\n(B) x\nWho?", ["y", "z"]),
        ("Plan A. is it?", "Plan A. is it?", []),
    ],
)
def test_options_are_split_from_a_question(text: str, question: str, options: list[str]) -> None:
    assert split_question(text) == (question, options)


def test_letters_in_front_go_only_if_all_have_them_in_order() -> None:
    assert choices_of(["A. x", "B. y"]).texts == ("x", "y")
    assert choices_of(["A. Smith", "C. Jones"]).texts == ("A. Smith", "C. Jones")


@pytest.mark.parametrize(
    ("answer", "index"),
    [("B", 1), ("(B)", 1), ("b.", 1), (1, 1), ("two", 1), ("TWO", 1), ("C. two", 1), ("2", 2),
     ("4", None), ("E", None), ("five", None), ("", None), (None, None)],
)  # fmt: skip
def test_answers_in_every_form(answer: object, index: int | None) -> None:
    assert choices_of(["one", "two", "two boats", "9"]).find(answer) == index


def test_what_cannot_be_prepared_becomes_a_row_with_its_error(save, read, tmp_path) -> None:
    path = save("charades.json", [{"video": "a.mp4", "caption": "c.", "timestamp": [1, 2]}])
    items = read("charades-sta", path)

    (row,) = prepare_rows(items, tmp_path / "media")

    assert "no video 'a.mp4'" in row.error
