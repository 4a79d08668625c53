"""Stress test: whether concurrent use ever corrupts a library.

    python benchmarks/stress.py --minutes 10 CLIP CLIP ...

Two processes share one library, each with one session and two threads. Every thread asks, indexes,
stops and deletes at random. Afterwards each session repeats the work alone in a new library, and
every stored run and answer must equal the one computed alone.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random
from threading import Thread, Timer
from time import monotonic
from typing import Any

from langgraph.runtime import RunControl

from agent import Session
from tools.errors import DeletedError, InputError, StoppedError

SETTINGS: tuple[dict[str, Any], ...] = (
    {"sampling.step_s": 2.0},
    {"sampling.step_s": 3.0, "ocr.min_confidence": 0.7},
)
THREADS = 2
ACTIONS = {"ask": 10, "index": 3, "stop": 4, "delete": 2}  # how often each is drawn
QUESTIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("What is written on the screen?", ()),
    ("What does the speaker say first?", ()),
    ("How many people are there?", ()),
    ("What happens at the end?", ()),
    ("Is there a person in the picture?", ("yes", "no")),
    ("Where does it take place?", ("in a kitchen", "in a living room", "outdoors")),
)


def main() -> None:
    """Run both processes, then compare; exit with 1 when something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--session", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--library", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.session is not None:
        sys.stdout.write(json.dumps(press(args)) + "\n")
        return
    with tempfile.TemporaryDirectory() as library:
        done = [json.loads(text) for text in _both(library)]
        wrong = [line for each in done for line in each["errors"]]
        for number, each in enumerate(done):
            sys.stdout.write(f"session {number}: {each['count']}\n")
            wrong += compare(number, library, args.clips, each["answers"])
    sys.stdout.write("\n".join([*wrong, f"{len(wrong)} things wrong"]) + "\n")
    sys.exit(bool(wrong))


def _both(library: str) -> Iterator[str]:
    """Run this file once per session, concurrently, and yield the output of each."""
    started = [
        subprocess.Popen(
            [sys.executable, *sys.argv, "--session", str(number), "--library", library],
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(len(SETTINGS))
    ]
    for process in started:
        yield process.communicate()[0]


def press(args: argparse.Namespace) -> dict[str, Any]:
    """Run random actions in the threads of one session until the time is up."""
    session = open_session(args.session, args.library)
    end = monotonic() + args.minutes * 60
    done: dict[str, Any] = {"count": dict.fromkeys([*ACTIONS, "refused"], 0)}
    done |= {"errors": [], "answers": []}
    threads = [
        Thread(target=_act, args=(session, args.clips, Random(f"{args.seed}{n}"), end, done))
        for n in range(args.session * THREADS, (args.session + 1) * THREADS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return done


def _act(
    session: Session, clips: list[Path], random: Random, end: float, done: dict[str, Any]
) -> None:
    while monotonic() < end:
        clip, (action,) = random.choice(clips), random.choices(list(ACTIONS), ACTIONS.values())
        asked = random.randrange(len(QUESTIONS))
        try:
            if said := _do(session, clip, action, asked, random):
                done["answers"].append([str(clip), asked, said])
            done["count"][action] += 1
        except DeletedError:
            done["count"]["refused"] += 1
        except InputError as error:
            done["count"]["refused"] += 1
            if action != "delete":  # which finds nothing if another was quicker
                done["errors"].append(f"{action} {clip.name}: {error}")
        except Exception as error:  # noqa: BLE001  (any error at all is what this looks for)
            done["errors"].append(f"{action} {clip.name}: {type(error).__name__}: {error}")


def _do(session: Session, clip: Path, action: str, asked: int, random: Random) -> str:
    """Do one action; return the answer, if any."""
    if action == "ask":
        return answer_of(session, clip, asked)
    if action == "index":
        session.index(clip)
    elif action == "delete":
        session.library.delete(session.library.find(str(clip.absolute())).video)
    else:
        control = RunControl()
        timer = Timer(random.uniform(0, 4), control.request_drain)
        timer.start()
        try:
            for _ in session.stream(clip, *QUESTIONS[asked], control=control):
                pass
        except StoppedError:
            pass
        finally:
            timer.cancel()
    return ""


def answer_of(session: Session, clip: Path, asked: int) -> str:
    """Ask one of the questions; return the parts of the answer that must be deterministic."""
    answer = session.ask(clip, *QUESTIONS[asked])
    cited = [[e.kind, e.start_s, e.text] for e in answer.evidence]
    return json.dumps([answer.answer, answer.choice, answer.abstained, cited])


def compare(number: int, library: str, clips: list[Path], answers: list[list[Any]]) -> list[str]:
    """Return which stored runs and answers of one session differ when computed alone."""
    shared, wrong = open_session(number, library), []
    with tempfile.TemporaryDirectory() as folder:
        alone = open_session(number, folder)
        for clip in clips:
            alone.index(clip)
        given = {(Path(clip), asked): said for clip, asked, said in answers}
        expected = {key: answer_of(alone, *key) for key in given}
        wrong += [
            f"{clip.name}, question {asked}: {said} instead of {expected[clip, asked]}"
            for clip, asked, said in ((Path(c), a, s) for c, a, s in answers)
            if said != expected[clip, asked]
        ]
        runs = 0
        for clip in clips:
            kept, fresh = stored(shared, clip), stored(alone, clip)
            runs += len(kept.keys() & fresh.keys())
            wrong += [
                f"{clip.name}, {tool}: the stored run differs"
                for tool, key in kept.keys() & fresh.keys()
                if kept[tool, key] != fresh[tool, key]
            ]
    sys.stdout.write(f"session {number}: {runs} runs, {len(answers)} answers compared\n")
    return wrong


def stored(session: Session, clip: Path) -> dict[tuple[str, str], Any]:
    """Return the stored runs of a clip, by tool and settings, without fields that may differ."""
    found = {}
    for run in session.library.runs(session.probe(clip).sha256):
        records = [passage.evidence for passage in session.library.passages([run.id])]
        values = [[e.kind, e.start_s, e.end_s, e.text, e.score, e.data] for e in records]
        found[run.tool, json.dumps(run.settings)] = [run.report.status, values]
    return found


def open_session(number: int, library: str) -> Session:
    """Open one of the sessions on a library."""
    return Session("embedded", {**SETTINGS[number], "library": library})


if __name__ == "__main__":
    main()
