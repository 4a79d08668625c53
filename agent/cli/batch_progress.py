"""Live progress of a batch on standard error, and its summary."""

import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any, Protocol

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from agent.batch import work
from agent.batch.records import Result, Row
from agent.batch.runner import Summary
from agent.cli.options import say

COLOURS = {"answered": "green", "abstained": "yellow", "failed": "red"}
RATE_S = 600  # of the last so many seconds the time left is reckoned


class Display(Protocol):
    """Shows a batch while it runs; `stop` is set by Ctrl-C."""

    stop: Event

    def begin(self, rows: Sequence[Row]) -> None:
        """Show how much there is to do."""
        ...

    def event(self, event: Result | work.Progress) -> None:
        """Show a result or progress."""
        ...


def watch_batch(rows: Sequence[Row], run: Callable[[Display], Summary]) -> Summary:
    """Run a batch with progress; the first Ctrl-C stops it cleanly, a second one at once."""
    console = Console(stderr=True, highlight=False)
    stop = Event()
    with _stop_on_signal(stop):
        if not console.is_terminal:
            return run(Lines(stop))
        with _progress(console) as progress:
            return run(Bars(stop, progress))


def print_summary(summary: Summary) -> None:
    """Print what a batch came to."""
    counts = ", ".join(f"{count} {status}" for status, count in summary.counts.items())
    left = f", {summary.left} not asked yet" if summary.left else ""
    before = f" ({summary.before} of them before)" if summary.before else ""
    out = Console(highlight=False, soft_wrap=True)
    out.print(f"{summary.rows} questions: {counts}{left}{before}")
    cost = f", cost {summary.cost:.4f}" if summary.cost else ""
    out.print(f"this run: {summary.seconds:.1f} s, {summary.tokens:,.0f} tokens{cost}")
    out.print(f"results: {escape(str(summary.out))}")
    if summary.stopped:
        say(f"{summary.stopped}; run the same command again to go on")
    if summary.counts["failed"]:
        say("some failed: their lines say why; --retry failed asks them again")


class Lines:
    """A line for each result, where there is no terminal."""

    def __init__(self, stop: Event) -> None:
        self.stop = stop
        self._count = self._total = 0

    def begin(self, rows: Sequence[Row]) -> None:
        """Remember how many rows there are."""
        self._total = len(rows)

    def event(self, event: Result | work.Progress) -> None:
        """Print a result."""
        if isinstance(event, Result):
            self._count += 1
            sys.stderr.write(f"{self._count}/{self._total} {_line(event)}\n")
            sys.stderr.flush()


class Bars:
    """Two bars with the time left, and one for each video at work."""

    def __init__(self, stop: Event, progress: Progress) -> None:
        self.stop = stop
        self._progress = progress
        self._open: dict[str, int] = {}  # rows without result, by video
        self._stages: dict[str, TaskID] = {}

    def begin(self, rows: Sequence[Row]) -> None:
        """Draw the two bars."""
        for row in rows:
            self._open[str(row.video)] = self._open.get(str(row.video), 0) + 1
        self._videos = self._progress.add_task("videos", total=len(self._open))
        self._rows = self._progress.add_task("questions", total=len(rows))

    def event(self, event: Result | work.Progress) -> None:
        """Advance the bars."""
        if isinstance(event, Result):
            if event.status == "failed":
                self._progress.console.print(_markup(event))
            self._progress.advance(self._rows)
            self._open[event.video] -= 1
            if not self._open[event.video]:
                self._progress.advance(self._videos)
                if event.video in self._stages:
                    self._progress.remove_task(self._stages.pop(event.video))
            return
        name = f"  {Path(event.video).name}: {event.stage or 'asked'}"
        if event.video not in self._stages:
            self._stages[event.video] = self._progress.add_task(name, total=None)
        values: dict[str, Any] = {"total": event.total_s or None, "completed": event.done_s}
        self._progress.update(self._stages[event.video], description=escape(name), **values)


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        speed_estimate_period=RATE_S,
    )


def _line(result: Result) -> str:
    told = result.error or result.answer.get("answer") or result.answer.get("reason", "")
    return f"{result.status}: {result.id}: {told:.200}"


def _markup(result: Result) -> str:
    return f"[{COLOURS[result.status]}]{escape(_line(result))}[/]"


@contextmanager
def _stop_on_signal(stop: Event) -> Iterator[None]:
    """Let the first Ctrl-C or SIGTERM stop the batch cleanly; the next one ends the program."""

    def on_signal(number: int, frame: object) -> None:
        stop.set()
        signal.signal(number, signal.SIG_DFL)

    caught = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, on_signal) for number in caught}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
