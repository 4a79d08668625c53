"""The local engine: a hang, a crash or a mistake costs its own row and no other."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from time import monotonic

import psutil
import pytest

from agent.batch import cluster
from agent.batch.engine import LocalEngine
from agent.batch.records import Job, Result, Row
from agent.batch.work import Progress, WorkSettings
from tools.errors import MissingError, ReelgraphError

MakeRow = Callable[..., Row]


def run(engine: LocalEngine, jobs: Iterable[Job], work: WorkSettings) -> dict[str, Result]:
    found = [event for event in engine.run(jobs, work) if isinstance(event, Result)]
    assert len({result.id for result in found}) == len(found), "a row has two results"
    return {result.id: result for result in found}


def jobs_of(films: dict[str, Path], row: MakeRow) -> list[Job]:
    """Two questions a film; those of one film crash, those of another fail."""
    texts = {"a": "please crash", "c": "please fail"}
    return [
        Job(film, (row(f"{n}1", film, texts.get(n, "What is it?")), row(f"{n}2", film)))
        for n, film in films.items()
    ]


def test_a_crash_and_a_mistake_fail_their_own_row_whatever_the_number_of_workers(
    films: dict[str, Path], row: MakeRow, work: WorkSettings
) -> None:
    jobs = jobs_of(films, row)
    alone, together = (run(LocalEngine(n), jobs, work) for n in (1, 3))
    assert {id: r.comparable() for id, r in alone.items()} == {
        id: r.comparable() for id, r in together.items()
    }
    assert {id for id, r in alone.items() if r.status == "failed"} == {"a1", "c1"}
    assert "SIGSEGV" in alone["a1"].error
    assert "ValueError: no luck" in alone["c1"].error
    assert alone["b2"].answer["answer"] == "7392"
    assert alone["a2"].answer["answer"] == "7391"


def test_a_worker_that_crashes_once_costs_nothing(
    films: dict[str, Path], row: MakeRow, work: WorkSettings, plugin: Path
) -> None:
    jobs = [Job(films["a"], (row("a1", films["a"], "Code? Please crash once."),))]
    assert run(LocalEngine(), jobs, work)["a1"].answer["answer"] == "7391"
    assert (plugin.parent / "crashed").exists()


def test_a_hung_tool_fails_at_its_deadline_and_the_rest_goes_on(
    films: dict[str, Path], stuck: Path, row: MakeRow, work: WorkSettings
) -> None:
    jobs = [
        Job(stuck, (row("s1", stuck),)),
        Job(films["a"], (row("a1", films["a"]), row("a2", films["a"]))),
    ]
    found = run(LocalEngine(2, grace_s=0.5), jobs, replace(work, deadline_s=10))
    assert {id for id, r in found.items() if r.status == "failed"} == {"s1"}
    assert [found[id].answer["answer"] for id in ("a1", "a2")] == ["7391", "7391"]
    assert "longer than the deadline of 10 s" in found["s1"].error
    assert "its process was ended" in found["s1"].error


def test_stop_ends_the_worker_soon(
    films: dict[str, Path], row: MakeRow, work: WorkSettings
) -> None:
    job = Job(films["a"], (row("a1", films["a"]), row("a2", films["a"], "please hang")))
    stopped: list[float] = []
    events = []
    for event in LocalEngine(grace_s=1).run([job], work, lambda: bool(stopped)):
        events.append(event)
        if isinstance(event, Progress) and event.row == "a2" and not stopped:
            stopped.append(monotonic())
    assert monotonic() - stopped[0] < 5
    assert [event.id for event in events if isinstance(event, Result)] == ["a1"]
    assert not [p for p in psutil.Process().children(recursive=True) if "serve" in p.cmdline()]


def test_a_worker_that_cannot_begin_ends_the_batch_with_the_reason(
    films: dict[str, Path], row: MakeRow, work: WorkSettings
) -> None:
    broken = WorkSettings("embedded", {**work.overrides, "ingest": "[nothing]"})
    with pytest.raises(ReelgraphError, match="cannot begin: ingest: unknown tool 'nothing'"):
        run(LocalEngine(), [Job(films["a"], (row("a1", films["a"]),))], broken)


def test_the_ray_engine_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "find_spec", lambda name: None)
    with pytest.raises(MissingError, match=r"pip install 'reelgraph\[ray\]'"):
        cluster.require_ray()
