"""The command, killed at random moments, ends with the results of an undisturbed run."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agent.batch.results import read_results

KILLS, PATIENCE_S = 3, 120


def start(tmp_path: Path, name: str, workers: int, pairs: list[str]) -> subprocess.Popen[bytes]:
    """Start the command in a process group of its own, with a library of its own."""
    program = "from agent.cli.main import main; main()"
    files = ["films", "--questions", "questions.jsonl", "--out", f"{name}.jsonl"]
    given = ["batch", *files, "--workers", str(workers), *pairs]
    return subprocess.Popen(
        [sys.executable, "-c", program, *given, "--set", f"library={tmp_path / name}"],
        cwd=tmp_path,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_killed_runs_end_like_an_undisturbed_one(
    tmp_path: Path,
    films: dict[str, Path],
    questions: Callable[..., Path],
    overrides: dict[str, Any],
    plugin: Path,
) -> None:
    questions(*("What is the code?", "Which code is it?", "please fail"))
    pairs = [part for key, v in overrides.items() for part in ("--set", f"{key}={v}")]
    (plugin.parent / "slow").write_text("0.4")
    path, drawn = tmp_path / "killed.jsonl", random.Random(7)
    for kill in range(KILLS):
        process = start(tmp_path, "killed", 2, pairs)
        deadline = time.monotonic() + PATIENCE_S
        while (len(path.read_bytes().splitlines()) if path.exists() else 0) <= 2 * kill:
            assert process.poll() is None, process.stderr.read() if process.stderr else b""
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(drawn.uniform(0, 0.5))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=PATIENCE_S)
        assert process.returncode == -signal.SIGKILL
        assert len(read_results(path)) < 12
    for name, workers in (("killed", 2), ("whole", 1)):
        process = start(tmp_path, name, workers, pairs)
        out, _ = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 1
        assert b"12 questions: 8 answered, 0 abstained, 4 failed" in out
    found = [comparable(tmp_path / f"{name}.jsonl") for name in ("killed", "whole")]
    assert found[0] == found[1]
    assert [one["answer"].get("answer") for one in found[0]].count("7393") == 2


def comparable(path: Path) -> list[dict[str, Any]]:
    """Return the results by id without timings; each line must be whole."""
    lines = path.read_bytes().splitlines(keepends=True)
    assert all(json.loads(line) and line.endswith(b"\n") for line in lines)
    results = read_results(path)
    assert len(results) == len(lines) == 12
    return [results[id].comparable() for id in sorted(results)]
