"""The Ray engine on a real cluster of two nodes: whatever is lost, one result a row, as locally."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import psutil
import pytest
import ray
from ray.cluster_utils import Cluster

from agent.batch import actor
from agent.batch.cluster import needs_of, unnoticed
from agent.batch.engine import Engine, LocalEngine
from agent.batch.engine_ray import RayEngine
from agent.batch.records import Job, Result, Row
from agent.batch.work import Progress, WorkSettings
from agent.settings import resolve
from tools.errors import ReelgraphError

pytestmark = pytest.mark.slow
MakeRow = Callable[..., Row]
STORE_BYTES = 80 << 20


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A head without room for an actor, and a node with room for two."""
    with unnoticed(), pytest.MonkeyPatch.context() as environ:
        environ.setenv("OMP_NUM_THREADS", "1")  # CPUs of an actor
        found = Cluster(
            initialize_head=True,
            connect=True,
            head_node_args={"num_cpus": 0, "object_store_memory": STORE_BYTES},
        )
        found.add_node(num_cpus=2, object_store_memory=STORE_BYTES)
        yield found
        ray.shutdown()
        found.shutdown()


def run(
    engine: Engine,
    jobs: list[Job],
    work: WorkSettings,
    on_event: Callable[[Any], None] = lambda event: None,
) -> dict[str, Result]:
    found: dict[str, Result] = {}
    for event in engine.run(jobs, work):
        on_event(event)
        if isinstance(event, Result):
            assert event.id not in found, "a row has two results"
            found[event.id] = event
    return found


def comparable(results: dict[str, Result]) -> dict[str, Any]:
    return {id: result.comparable() for id, result in sorted(results.items())}


def jobs_of(films: dict[str, Path], row: MakeRow) -> list[Job]:
    """Two questions a film; those of one film crash, those of another fail."""
    texts = {"a": "please crash", "c": "please fail"}
    return [
        Job(film, (row(f"{n}1", film, texts.get(n, "What is it?")), row(f"{n}2", film)))
        for n, film in films.items()
    ]


def in_library(work: WorkSettings) -> dict[str, list[str]]:
    """The findings of every video in the library, by the video's name."""
    library = work.open().library
    return {
        entry.video.path.name: [item.text for item in library.findings(entry.video)]
        for entry in library.entries()
    }


def at_library(work: WorkSettings, folder: Path) -> WorkSettings:
    return WorkSettings(work.profile, {**work.overrides, "library": str(folder)}, work.deadline_s)


def test_results_and_library_are_those_of_the_local_engine(
    cluster: Cluster,
    films: dict[str, Path],
    row: MakeRow,
    work: WorkSettings,
    tmp_path: Path,
    plugin: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    jobs = jobs_of(films, row)
    here, near, far = (at_library(work, tmp_path / name) for name in ("here", "near", "far"))
    local = run(LocalEngine(), jobs, here)
    assert {id for id, r in local.items() if r.status == "failed"} == {"a1", "c1"}
    assert comparable(run(RayEngine(2), jobs, near)) == comparable(local)
    assert in_library(near) == in_library(here)
    # now the actors find that they are not where the driver says it is
    monkeypatch.setattr(actor, "machine", lambda: "elsewhere")
    found = run(RayEngine(2), jobs, far)
    assert comparable(found) == comparable(local)
    assert "SIGSEGV" in found["a1"].error
    assert in_library(far) == in_library(here)
    (plugin.parent / "looked").unlink()
    assert run(RayEngine(1), jobs[1:2], far).keys() == {"b1", "b2"}
    assert not (plugin.parent / "looked").exists(), "a known video was looked at again"


def test_an_actor_that_is_killed_costs_no_result(
    cluster: Cluster,
    films: dict[str, Path],
    row: MakeRow,
    work: WorkSettings,
    plugin: Path,
    inline: Engine,
) -> None:
    jobs = jobs_of(films, row)[1:]
    (plugin.parent / "slow").write_text("0.3")
    killed: list[int] = []

    def kill(event: Any) -> None:
        if isinstance(event, Progress) and event.row in ("b2", "d1") and len(killed) < 2:
            busy = [p for p in actors() if p.pid not in killed]
            killed.append(busy[0].pid)
            os.kill(busy[0].pid, signal.SIGKILL)

    found = run(RayEngine(2), jobs, work, kill)
    assert len(killed) == 2
    assert comparable(found) == comparable(run(inline, jobs, work))


def test_a_row_that_always_kills_its_actor_fails_alone(
    cluster: Cluster, films: dict[str, Path], row: MakeRow, work: WorkSettings
) -> None:
    film = films["a"]
    job = Job(film, (row("a2", film, "please hang"), row("a3", film)))

    def kill(event: Any) -> None:
        if isinstance(event, Progress) and event.row == "a2" and not event.stage:
            os.kill(actors()[0].pid, signal.SIGKILL)

    found = run(RayEngine(1), [job], work, kill)
    assert [found[id].status for id in ("a2", "a3")] == ["failed", "answered"]
    assert "its actor was lost 3 times while it was asked" in found["a2"].error


def test_a_node_that_is_removed_costs_no_result(
    cluster: Cluster,
    films: dict[str, Path],
    row: MakeRow,
    work: WorkSettings,
    plugin: Path,
    inline: Engine,
) -> None:
    jobs = jobs_of(films, row)[1:]
    (plugin.parent / "slow").write_text("0.3")
    old = next(node for node in cluster.worker_nodes)
    gone: list[str] = []

    def remove(event: Any) -> None:
        if isinstance(event, Progress) and event.row == "b2" and not gone:
            cluster.add_node(num_cpus=2, object_store_memory=STORE_BYTES)
            cluster.remove_node(old, allow_graceful=False)
            gone.append(old.node_id)

    found = run(RayEngine(2), jobs, work, remove)
    assert gone
    assert comparable(found) == comparable(run(inline, jobs, work))


def test_deadline_and_stop_hold_on_a_node(
    cluster: Cluster, films: dict[str, Path], stuck: Path, row: MakeRow, work: WorkSettings
) -> None:
    short = WorkSettings(work.profile, work.overrides, deadline_s=10)
    jobs = [Job(stuck, (row("s1", stuck),)), Job(films["a"], (row("a1", films["a"]),))]
    found = run(RayEngine(2, grace_s=0.5), jobs, short)
    assert "longer than the deadline of 10 s" in found["s1"].error
    assert found.keys() == {"s1", "a1"}  # on a busy machine this one may be late as well

    stopped: list[float] = []
    job = Job(films["b"], (row("b1", films["b"]), row("b2", films["b"], "please hang")))
    results = []
    for event in RayEngine(grace_s=1).run([job], work, lambda: bool(stopped)):
        if isinstance(event, Progress) and event.row == "b2" and not stopped:
            stopped.append(monotonic())
        results += [event.id] if isinstance(event, Result) else []
    assert results == ["b1"]
    for _ in range(100):
        if not actors():
            break
        sleep(0.1)
    assert not actors()


def test_what_cannot_begin_ends_the_batch_with_the_reason(
    cluster: Cluster,
    films: dict[str, Path],
    row: MakeRow,
    work: WorkSettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job = Job(films["a"], (row("a1", films["a"]),))
    broken = WorkSettings(
        work.profile, {**work.overrides, "chat.engine": "parrot", "device": "cuda"}
    )
    with pytest.raises(ReelgraphError, match="no node of the Ray cluster has 1 CPU and 1 GPU"):
        run(RayEngine(), [job], broken)
    monkeypatch.setattr(Path, "cwd", lambda: Path("/nowhere"))
    with pytest.raises(ReelgraphError, match=r"no actor can begin .* has no folder /nowhere"):
        run(RayEngine(), [job], work)


def test_needs_come_from_the_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    needs = {name: needs_of(resolve(name), gpus=4) for name in ("embedded", "endpoint", "gpu")}
    assert {name: (n.cpus, n.gpus) for name, n in needs.items()} == {
        "embedded": (2, 0),
        "endpoint": (1, 0),
        "gpu": (1, 1),
    }


def actors() -> list[psutil.Process]:
    """The processes of actors on this machine, oldest first."""
    found = psutil.process_iter(["cmdline", "create_time"])
    mine = [p for p in found if (p.info["cmdline"] or [""])[0].startswith("ray::Actor")]
    return sorted(mine, key=lambda p: p.info["create_time"])
