"""A batch: what is done is skipped, what has changed is refused, and one result a row."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from agent.batch.estimate import estimate_batch
from agent.batch.questions import read_questions
from agent.batch.records import Result, Row
from agent.batch.results import ResultsFile, read_results
from agent.batch.runner import Limits, Summary, run_batch
from agent.batch.work import WorkSettings
from tools.errors import InputError

MakeRow = Callable[..., Row]
Run = Callable[..., Summary]


@pytest.fixture
def run(inline: Any, work: WorkSettings, tmp_path: Path) -> Run:
    """`run(rows, **settings of run_batch)` into results.jsonl."""

    def batch(rows: list[Row], work: WorkSettings = work, **given: Any) -> Summary:
        given = {"engine": inline, **given}
        return run_batch(rows, tmp_path / "results.jsonl", work, **given)

    return batch


@pytest.fixture
def rows(films: dict[str, Path], row: MakeRow) -> list[Row]:
    """Two rows to each of two films; one of them fails."""
    return [
        row("a1", films["a"]),
        row("b1", films["b"], "please fail"),
        row("a2", films["a"], "Which code?"),
        row("b2", films["b"]),
    ]


def test_each_video_is_looked_at_once_and_each_row_answered_once(
    run: Run, rows: list[Row], tmp_path: Path, plugin: Path
) -> None:
    events: list[Result] = []
    found = run(rows, on_event=lambda e: events.append(e) if isinstance(e, Result) else None)
    assert (plugin.parent / "looked").read_text().split() == ["a.mp4", "b.mp4"]
    assert found.counts == {"answered": 3, "abstained": 0, "failed": 1}
    assert (found.exit_code, found.left, found.tokens) == (1, 0, 36)
    results = read_results(tmp_path / "results.jsonl")
    assert list(results) == [event.id for event in events] == ["a1", "a2", "b1", "b2"]
    assert results["a1"].answer["answer"] == "7391"
    assert results["a1"].fingerprint == results["a1"].answer["plan"]
    again = run(rows, on_begin=lambda ahead: events.clear() if not ahead else None)
    assert (again.before, again.tokens, events) == (4, 0, [])
    assert read_results(tmp_path / "results.jsonl") == results


def test_failed_rows_are_asked_again_only_on_request(
    run: Run, rows: list[Row], tmp_path: Path, plugin: Path
) -> None:
    run(rows)
    (plugin.parent / "mended").touch()
    assert run(rows, retry=["abstained"]).counts["failed"] == 1
    found = run(rows, retry=["failed"])
    assert (found.counts["answered"], found.before, found.exit_code) == (4, 3, 0)
    assert "no luck" in read_results(tmp_path / "results.retried.jsonl")["b1"].error


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"retrieval.token_budget": 90}, "3 of 4 results .* now: the settings"),
        ({"method": "blind"}, r"the method \(subtitles-only before, blind now\)"),
        ({"chat.model": "green"}, r"the chat model \(grey before, green now\)"),
    ],
)
def test_other_settings_are_refused_or_go_on_in_a_fork(
    run: Run,
    rows: list[Row],
    work: WorkSettings,
    tmp_path: Path,
    settings: dict[str, Any],
    says: str,
) -> None:
    run(rows)
    before = (tmp_path / "results.jsonl").read_bytes()
    other = replace(work, overrides={**work.overrides, **settings})
    with pytest.raises(InputError, match=says):
        run(rows, other)
    found = run(rows, other, fork=True)
    assert (found.out.name, found.before) == ("results-2.jsonl", 1)
    assert (tmp_path / "results.jsonl").read_bytes() == before
    assert run(rows, other, fork=True).before == 4
    assert run(rows, replace(work, deadline_s=77)).before == 4  # decides nothing but the time


def test_a_changed_question_or_video_is_asked_again_on_request(
    run: Run, rows: list[Row], row: MakeRow, films: dict[str, Path], tmp_path: Path
) -> None:
    run(rows)
    changed = [row("a1", films["a"], "What is the code now?"), *rows[1:]]
    with pytest.raises(InputError, match=r"1 of 4 results .*the question \(first: a1\)"):
        run(changed)
    assert run(changed, retry=["changed"]).before == 3
    films["b"].write_bytes(films["d"].read_bytes())
    with pytest.raises(InputError, match=r"the video \(first: b2\)"):
        run(changed)
    run(changed, retry=["changed"])
    assert read_results(tmp_path / "results.jsonl")["b2"].answer["answer"] == "7394"
    films["b"].unlink()  # what was answered stays answered
    assert run(changed).before == 4


def test_bad_rows_and_broken_videos_are_failed_lines(
    run: Run, films: dict[str, Path], questions: Callable[..., Path], tmp_path: Path
) -> None:
    films["c"].write_text("no video")
    file = questions({"id": "x", "video": "nope", "question": "Who?"}, "What is the gate code?")
    found = run(read_questions(file, list(films.values())))
    results = read_results(tmp_path / "results.jsonl")
    assert found.counts == {"answered": 3, "abstained": 0, "failed": 2}
    assert results["x"].error.startswith("questions.jsonl line 1: no video 'nope'")
    assert "not a video or sound file" in next(r for i, r in results.items() if "c.mp4" in i).error


@pytest.mark.parametrize(
    ("limits", "left", "says"),
    [
        (Limits(tokens=12), 3, "the limit of 12 tokens is reached"),
        (Limits(cost=0.0001), 3, "the limit of 0.0001 for the cost is reached"),
        (Limits(seconds=0), 4, "the limit of 0 seconds is reached"),
    ],
)
def test_limits_stop_cleanly_and_the_next_run_goes_on(
    run: Run, rows: list[Row], limits: Limits, left: int, says: str
) -> None:
    found = run(rows, limits=limits)
    assert found.stopped == says
    assert (found.exit_code, found.left) == (130, left)
    assert run(rows).counts == {"answered": 3, "abstained": 0, "failed": 1}


def test_stop_from_another_thread(run: Run, rows: list[Row]) -> None:
    stop = Event()
    found = run(rows, stop=stop, on_event=lambda e: stop.set() if isinstance(e, Result) else None)
    assert (found.stopped, found.left, found.exit_code) == ("it was stopped", 3, 130)


def test_two_rows_of_one_id_or_a_second_batch_are_refused(
    run: Run, rows: list[Row], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="two rows have the id 'a1'"):
        run([*rows, rows[0]])
    with (
        ResultsFile(tmp_path / "results.jsonl"),
        pytest.raises(InputError, match="another batch writes"),
    ):
        run(rows)


def test_the_results_do_not_depend_on_the_order_of_rows_or_on_what_is_known(
    run: Run, rows: list[Row], tmp_path: Path
) -> None:
    run(rows)
    first = read_results(tmp_path / "results.jsonl")
    (tmp_path / "results.jsonl").unlink()
    run(rows[::-1])  # now with all videos in the library
    second = read_results(tmp_path / "results.jsonl")
    assert list(first) != list(second)
    assert {i: r.comparable() for i, r in first.items()} == {
        i: r.comparable() for i, r in second.items()
    }


def test_an_estimate_says_what_is_known_and_what_is_not(
    run: Run, rows: list[Row], work: WorkSettings, tmp_path: Path
) -> None:
    out = tmp_path / "results.jsonl"
    before = estimate_batch(rows, out, work)
    assert (before.rows, before.videos, before.calls) == (4, 2, (0, 8))
    assert before.video_s == pytest.approx(4, abs=0.3)
    assert {name: share.seconds for name, share in before.tools.items()} == {
        "subtitles": None,
        "sensor": None,
    }
    assert any("sensor takes: it has not run here yet" in one for one in before.unknown)
    assert any("seconds, tokens and cost of a question" in one for one in before.unknown)
    run(rows[:2] + rows[2:3])
    after = estimate_batch(rows, out, work)
    assert (after.rows, after.tools, after.row_tokens) == (1, {}, 12)
    assert after.row_seconds is not None
    assert estimate_batch(rows, out, work, ["failed"]).rows == 2
