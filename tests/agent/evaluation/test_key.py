from pathlib import Path

import pytest

from agent.answering.time_spans import Span
from agent.evaluation.key import Key, read_key, same_questions, write_key
from tools.errors import InputError


def test_a_key_is_read_as_it_was_written(item, tmp_path: Path) -> None:
    items = (
        item("a", choice=1, spans=(Span(1.0, 2.5),), categories={"kind": ("x", "y")}),
        item("b", options=(), texts=(("one", "two"), ("three",))),
        item("c", options=(), abstain=True),
    )
    key = Key("mlvu", "choice", "tasks", True, items)

    write_key(tmp_path, key)

    assert read_key(tmp_path) == key


def test_results_of_another_benchmark_are_not_overwritten(item, tmp_path: Path) -> None:
    write_key(tmp_path, Key("mlvu", "choice", "tasks", False, (item(choice=1),)))

    with pytest.raises(InputError, match="mlvu without subtitles, not of mlvu with"):
        write_key(tmp_path, Key("mlvu", "choice", "tasks", True, (item(choice=1),)))


@pytest.mark.parametrize("text", ["", "{}", '{"items": 3}', "[1]"])
def test_what_is_no_key_is_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "key.json").write_text(text)

    with pytest.raises(InputError, match="no key of a benchmark"):
        read_key(tmp_path)


def test_a_missing_key_is_said_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--key"):
        read_key(tmp_path)


def test_runs_of_different_benchmarks_are_not_compared(item) -> None:
    one, other = (Key(name, "choice", "questions", False, ()) for name in ("mlvu", "lvbench"))

    with pytest.raises(InputError, match="mlvu without subtitles and lvbench"):
        same_questions([one, other])
