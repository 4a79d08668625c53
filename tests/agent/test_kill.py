"""A process that is killed at any point loses at most the piece of work at hand."""

import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.session import Session
from tools.base import Tool, ToolInput
from tools.evidence import Evidence

Start = Callable[..., subprocess.Popen[str]]
Open = Callable[..., Session]
PlugIn = Callable[..., type[Tool]]

INGEST = "[subtitles, shots, sensor]"
CUES = [(0.2, 1.2, "Welcome."), (1.4, 2.6, "The gate code is 7391.")]
PATIENCE_S = 120

# The tool that waits: it says where it is and then stays there.
STUCK = """
import time
from tools.base import Tool
from tools.evidence import Evidence

class Sensor(Tool):
    name, kind, version = "sensor", "measurement", "1"
    needs = frozenset({"audio"})

    def run(self, given):
        for second in range(4):
            yield Evidence("", "", second, second + 1, f"{second} degrees")
            if second == 2:
                print("stuck", flush=True)
                time.sleep(600)
"""


@pytest.fixture(scope="module")
def film(make_shared_clip: Callable[..., Path]) -> Path:
    """Five seconds in which every sampled picture differs from the one before."""

    def draw(time_s: float, width: int, height: int) -> Any:
        noise = np.random.default_rng(round(time_s * 1000)).integers(0, 255, (48, 64, 3), np.uint8)
        return np.repeat(np.repeat(noise, height // 48, axis=0), width // 64, axis=1)

    return make_shared_clip(
        "film.mp4", seconds=5, fps=25, size=(640, 480), subtitles=CUES, audio=True, draw=draw
    )


def measure(given: ToolInput) -> Iterator[Evidence]:
    """What the tool that waits finds when it does not."""
    for second in range(4):
        yield Evidence("", "", second, second + 1, f"{second} degrees")


def indexed(session: Session, film: Path) -> dict[str, bool]:
    """Index a film and return whether each tool's run was known."""
    return {report.tool: report.cached for report in session.index(film)}


def evidence(session: Session) -> list[Evidence]:
    runs = [run.id for entry in session.library.entries() for run in entry.runs]
    found = [passage.evidence for passage in session.library.passages(runs)]
    return sorted(found, key=lambda one: (one.tool, one.start_s))


def finished(library: Path) -> set[str]:
    """Return the tools with a finished run, read by a stranger to the program."""
    with closing(sqlite3.connect(library / "library.sqlite")) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
        there = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'runs'").fetchone()
        return {row[0] for row in db.execute("SELECT tool FROM runs")} if there else set()


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.001)


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate(timeout=PATIENCE_S)
    assert process.returncode == -9


def in_a_tool(process: subprocess.Popen[str], library: Path) -> None:
    """Between two findings of a tool, when the other tools have finished."""
    assert process.stdout is not None
    assert process.stdout.readline() == "stuck\n"
    wait_for(lambda: finished(library) == {"subtitles", "shots"}, process)


def after_a_report(process: subprocess.Popen[str], library: Path) -> None:
    """Right after the line about the first tool, while pictures are sampled."""
    assert process.stderr is not None
    assert process.stderr.readline() == "film.mp4\n"
    assert process.stderr.readline().startswith("subtitles: ok, 2, ")


def while_sampling(process: subprocess.Popen[str], library: Path) -> None:
    """When some pictures are written and others are not."""
    wait_for(lambda: len(list(library.glob("frames/*/.*.part/*.jpg"))) > 5, process)


def at_the_start(process: subprocess.Popen[str], library: Path) -> None:
    """As soon as there is a library."""
    wait_for((library / "library.sqlite").exists, process)


POINTS = {
    in_a_tool: {"subtitles": True, "shots": True, "sensor": False},
    after_a_report: {"subtitles": True, "sensor": False},
    while_sampling: {"shots": False, "sensor": False},
    at_the_start: {"shots": False, "sensor": False},
}


@pytest.mark.parametrize(("point", "known"), POINTS.items(), ids=[p.__name__ for p in POINTS])
def test_the_next_run_goes_on_where_the_killed_one_was(
    reelgraph_process: Start,
    install: Callable[..., Path],
    open_session: Open,
    plug_in: PlugIn,
    own_library: Path,
    tmp_path: Path,
    film: Path,
    point: Callable[[subprocess.Popen[str], Path], None],
    known: dict[str, bool],
) -> None:
    install(STUCK)
    settings = {"ingest": INGEST, "sampling.step_s": "0.04"}
    pairs = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    process = reelgraph_process("index", film, *pairs)
    point(process, own_library)
    kill(process)
    done = finished(own_library)
    assert "sensor" not in done

    plug_in(measure, needs=frozenset({"audio"}))
    session = open_session(**settings)
    again = indexed(session, film)
    assert again == {tool: tool in done for tool in ("subtitles", "shots", "sensor")}
    assert known.items() <= again.items()
    undisturbed = open_session(**settings, library=tmp_path / "undisturbed")
    indexed(undisturbed, film)
    assert evidence(session) == evidence(undisturbed)
    assert {one.tool for one in evidence(session)} == {"subtitles", "shots", "sensor"}
    assert finished(own_library) == {"subtitles", "shots", "sensor"}
    assert not list(own_library.glob("frames/*/.*"))


def test_a_killed_process_holds_up_nobody(
    reelgraph_process: Start,
    install: Callable[..., Path],
    plug_in: PlugIn,
    open_session: Open,
    own_library: Path,
    film: Path,
) -> None:
    install(STUCK)
    plug_in(measure, needs=frozenset({"audio"}))
    process = reelgraph_process("index", film, "--set", "ingest=[sensor]")
    assert process.stdout is not None
    assert process.stdout.readline() == "stuck\n"
    session = open_session(ingest="[sensor]")
    video = session.probe(film)
    locks = list((own_library / "locks").glob(f"{video.sha256[:16]}-sensor-*"))
    assert len(locks) == 1
    kill(process)
    assert indexed(session, film) == {"sensor": False}
