"""A batch that is killed again and again, what more workers bring and take, and what Ray costs.

    python benchmarks/batch.py kill --videos 30 --kills 10
    python benchmarks/batch.py workers --videos 8 --rounds 3
    python benchmarks/batch.py ray --videos 8 --rounds 3

kill: the command is ended at random moments with SIGKILL, its process group as a whole, and started
again; its results must be those of an undisturbed run with one worker, though it has two. workers:
questions a minute, and the largest memory (PSS of all processes), each on a new library. ray: the
same with the local engine and with Ray on this machine. All take turns in each round, so that what
else the machine does falls on all alike; told are medians, also of the ratios to the first.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from threading import Event, Thread
from time import monotonic
from typing import Any

import av
import cv2
import numpy as np
import psutil

from agent.batch.results import read_results

RATE, SECONDS, SIZE = 5, 6, (640, 360)
PLACES = ("harbour", "museum", "station", "theatre", "library", "market")
QUESTIONS = (
    {"id": "code", "question": "What is the gate code?"},
    {"id": "time", "question": "When does the tour begin?"},
    {"id": "place", "question": "Where are we?", "options": list(PLACES)},
    {"id": "sign", "question": "Which number is written on the screen?"},
    {"id": "colour", "question": "Which colour has the guide's umbrella?"},
)


def main() -> None:
    """Make videos and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=("kill", "workers", "ray"))
    parser.add_argument("--videos", type=int, default=8)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--longest", type=float, default=90, help="seconds before a kill, at most")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="pairs")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for number in range(args.videos):
            make_video(folder / "videos", number)
        lines = "".join(json.dumps(question) + "\n" for question in QUESTIONS)
        (folder / "questions.jsonl").write_text(lines)
        if args.part == "kill":
            measure_kills(folder, args)
        elif args.part == "workers":
            compare(folder, args, [("local", workers) for workers in args.workers])
        else:
            ways = [(engine, n) for n in args.workers for engine in ("local", "ray")]
            compare(folder, args, ways)


def make_video(folder: Path, number: int) -> None:
    """Write a video with a number on the screen, and subtitles beside it."""
    folder.mkdir(exist_ok=True)
    place = PLACES[number % len(PLACES)]
    with av.open(str(folder / f"tour{number:02}.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=RATE)
        stream.width, stream.height = SIZE
        for _ in range(RATE * SECONDS):
            image = np.full((SIZE[1], SIZE[0], 3), 40 + number, np.uint8)
            cv2.putText(image, f"Gate {200 + number}", (60, 200), 0, 3, (250, 250, 250), 6)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    cues = (
        f"Welcome to the {place}.",
        f"The gate code is {7000 + 13 * number}.",
        f"The tour begins at {1 + number % 11} o'clock.",
    )
    times = ((0, 2), (2, 4), (4, 6))
    text = "\n".join(
        f"{n}\n00:00:0{a},000 --> 00:00:0{b},000\n{cue}\n"
        for n, ((a, b), cue) in enumerate(zip(times, cues, strict=True), 1)
    )
    (folder / f"tour{number:02}.srt").write_text(text)


def start(
    folder: Path, name: str, workers: int, more: Sequence[str] = ()
) -> subprocess.Popen[bytes]:
    """Start a batch with results and library of its own, in a process group of its own."""
    program = "from agent.cli.main import main; main()"
    where = ["--out", f"{name}.jsonl", "--set", f"library={folder / name}", *more]
    given = ["batch", "videos", "--questions", "questions.jsonl", "--workers", str(workers)]
    return subprocess.Popen(
        [sys.executable, "-c", program, *given, *where],
        cwd=folder,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def measure_kills(folder: Path, args: argparse.Namespace) -> None:
    """Compare the results of a run killed at random moments with those of an undisturbed one."""
    drawn, total = random.Random(args.seed), args.videos * len(QUESTIONS)
    counts = []
    process = start(folder, "killed", 2)
    while len(counts) < args.kills:
        wait_s = drawn.uniform(2, args.longest)
        try:
            process.wait(wait_s)
            break
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        path = folder / "killed.jsonl"
        counts.append(len(read_results(path)) if path.exists() else 0)
        say(f"killed after {wait_s:.0f} s: {counts[-1]} of {total} results")
        process = start(folder, "killed", 2)
    code = process.wait()
    begun = monotonic()
    assert start(folder, "whole", 1).wait() == code
    say(f"undisturbed, 1 worker: {monotonic() - begun:.0f} s for {total} questions, exit {code}")
    killed, whole = (lines(folder / f"{name}.jsonl") for name in ("killed", "whole"))
    for one, other in zip(killed, whole, strict=False):
        for field, value in differences(one, other).items():
            say(f"  {one['id']}: {field} {value}")
    same = killed == whole and len(whole) == total
    say(f"{len(counts)} kills; {len(killed)} results, equal to the undisturbed run: {same}")
    sys.exit(not same)


def compare(folder: Path, args: argparse.Namespace, ways: Sequence[tuple[str, int]]) -> None:
    """Print speed and memory by engine and workers, and whether the results are the same."""
    seconds: dict[tuple[str, int], list[float]] = {way: [] for way in ways}
    peaks: dict[tuple[str, int], list[float]] = {way: [] for way in ways}
    pairs = [part for pair in args.pairs for part in ("--set", pair)]
    first: list[dict[str, object]] = []
    for number in range(args.rounds):
        for way in ways:
            name, (engine, workers) = f"{number}-{way[0]}-{way[1]}", way
            process = start(folder, name, workers, ["--engine", engine, *pairs])
            ended, peak, begun = Event(), [0.0], monotonic()
            watcher = Thread(target=watch, args=(process.pid, ended, peak))
            watcher.start()
            process.wait()
            seconds[way].append(monotonic() - begun)
            ended.set()
            watcher.join()
            peaks[way].append(peak[0])
            found = lines(folder / f"{name}.jsonl")
            first = first or found
            say(f"  {name}: {seconds[way][-1]:.0f} s, {peak[0]:.2f} GB, same: {found == first}")
    for way in ways:
        ratio = median(a / b for a, b in zip(seconds[way], seconds[ways[0]], strict=True))
        rate = 60 * len(first) / median(seconds[way])
        say(
            f"{way[0]}, {way[1]} workers: {rate:.1f} questions a minute, {ratio:.2f} times the "
            f"seconds of the first, {max(peaks[way]):.2f} GB"
        )


def watch(pid: int, ended: Event, peak: list[float]) -> None:
    """Keep the largest memory of a process and its children, shared pages counted once (PSS)."""
    while not ended.wait(0.5):
        try:
            parent = psutil.Process(pid)
            family = [parent, *parent.children(recursive=True)]
            used = sum(process.memory_full_info().pss for process in family)
        except psutil.NoSuchProcess:
            continue
        peak[0] = max(peak[0], used / 1e9)


def lines(path: Path) -> list[dict[str, Any]]:
    """Return the comparable results of a file, ordered by id; each line must be whole."""
    assert path.read_bytes().endswith(b"\n")
    found = read_results(path)
    return [found[id].comparable() for id in sorted(found)]


def differences(one: dict[str, Any], other: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return what differs between two results, by field of the answer or of the row."""
    flat, others = ({**each, **each["answer"]} for each in (one, other))
    fields = [name for name in flat if name != "answer" or isinstance(flat[name], str)]
    return {n: (flat[n], others.get(n)) for n in fields if flat[n] != others.get(n)}


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
