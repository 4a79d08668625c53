"""The command of batches: exit codes, and one line for each mistake."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]


@pytest.fixture
def folder(tmp_path: Path, make_clip: Callable[..., Path]) -> Path:
    make_clip("films/a.mp4", seconds=2, fps=5, size=(64, 48))
    (tmp_path / "q.csv").write_text("video,question\na,What is shown?\n")
    return tmp_path


def test_bad_input_ends_with_one_line(reelgraph: Command, folder: Path) -> None:
    films, questions, out = folder / "films", folder / "q.csv", folder / "r.jsonl"
    given = [films, "--questions", questions, "--out", out]
    for more, says in (
        (["--engine", "cloud"], "there is no engine 'cloud'"),
        (["--retry", "all"], "--retry 'all': expected one of failed, abstained, changed"),
        (["--method", "guess"], "unknown method 'guess'"),
        (["--set", "nothing=1"], "unknown setting 'nothing'"),
    ):
        done = reelgraph("batch", *given, *more)
        assert done.code == 2
        assert says in done.err
    assert reelgraph("batch", folder / "gone", "--questions", questions).code == 2
    out.write_text("my notes\n")
    done = reelgraph("batch", *given)
    assert (done.code, "is no result of a batch" in done.err) == (2, True)


def test_an_estimate_asks_nothing(reelgraph: Command, folder: Path) -> None:
    given = [
        "batch",
        folder / "films",
        "--questions",
        folder / "q.csv",
        "--out",
        folder / "r.jsonl",
    ]
    done = reelgraph(*given, "--estimate", "--set", "ingest=[subtitles]")
    assert done.code == 0
    assert "1 questions to ask, 1 videos, 0:02 long" in done.out
    assert "not known: how long subtitles takes: it has not run here yet" in done.out
    done = reelgraph(*given, "--estimate", "--set", "ingest=[subtitles]", "--json")
    assert json.loads(done.out)["rows"] == 1
    assert not (folder / "r.jsonl").exists()


def test_a_limit_of_no_seconds_stops_before_the_first_question(
    reelgraph: Command, folder: Path
) -> None:
    given = [
        "batch",
        folder / "films",
        "--questions",
        folder / "q.csv",
        "--out",
        folder / "r.jsonl",
    ]
    done = reelgraph(*given, "--max-seconds", "0")
    assert done.code == 130
    assert "1 questions: 0 answered, 0 abstained, 0 failed, 1 not asked yet" in done.out
    assert "the limit of 0 seconds is reached; run the same command again" in done.err
