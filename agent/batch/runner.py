"""Run a batch: skip what is done, give the rest to an engine, write each result as it comes."""

from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from math import inf
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any, Literal

from agent.batch.changes import find_changes, refuse
from agent.batch.engine import Engine
from agent.batch.questions import group_rows
from agent.batch.records import Job, Result, Row, Status
from agent.batch.results import ResultsFile
from agent.batch.work import Progress, WorkSettings, failed
from tools.errors import InputError

Retry = Literal["failed", "abstained", "changed"]
RETRIES: tuple[Retry, ...] = ("failed", "abstained", "changed")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one run may use; rows at work when a limit is reached are asked again next time.

    Attributes:
        cost: In the currency of the configured prices.
        seconds: Wall time.
        tokens: Read and written by the chat model.
    """

    cost: float = inf
    seconds: float = inf
    tokens: float = inf


@dataclass
class Summary:
    """What a batch came to.

    Attributes:
        out: The results file; a fork has another name than was given.
        rows: Number of rows.
        before: Rows whose result was there before.
        counts: Rows with a result, by status; `before` included.
        seconds: Wall time of this run.
        tokens: Read and written by the chat model in this run.
        cost: Of this run.
        stopped: Why it stopped before the end; empty if it did not.
    """

    out: Path
    rows: int
    before: int = 0
    counts: dict[Status, int] = field(
        default_factory=lambda: {"answered": 0, "abstained": 0, "failed": 0}
    )
    seconds: float = 0.0
    tokens: float = 0.0
    cost: float = 0.0
    stopped: str = ""

    @property
    def left(self) -> int:
        """Rows without a result."""
        return self.rows - sum(self.counts.values())

    def to_json(self) -> dict[str, Any]:
        """Return the summary as a plain dictionary."""
        return {**asdict(self), "out": str(self.out), "left": self.left}

    @property
    def exit_code(self) -> int:
        """0: every row has an answer or was abstained from; 1: some failed; 130: stopped."""
        return 130 if self.left else int(self.counts["failed"] > 0)


def run_batch(
    rows: Sequence[Row],
    out: Path,
    work: WorkSettings,
    *,
    engine: Engine,
    limits: Limits = Limits(),
    retry: Collection[Retry] = (),
    fork: bool = False,
    on_begin: Callable[[Sequence[Row]], None] = lambda rows: None,
    on_event: Callable[[Result | Progress], None] = lambda event: None,
    stop: Event | None = None,
) -> Summary:
    """Answer rows and write their results; what the file holds already is not done again.

    Args:
        rows: The rows, whose ids differ.
        out: The results file, created or continued.
        work: How rows are answered.
        engine: Where.
        limits: What this run may use.
        retry: Results that are taken out of the file and asked for again; they are kept beside it.
        fork: Continue in `NAME-2`, `NAME-3`, ... where results were made otherwise than now.
        on_begin: Called once with the rows that will be asked.
        on_event: Called with each result after it is on disk, and with progress.
        stop: Once set, from any thread, the run ends soon; the next one goes on from there.

    Raises:
        InputError: The settings are wrong, another batch writes to the file, it holds something
            else, or its results were made otherwise than now.
        StorageError: The file or the library cannot be written.
    """
    with _open_results(rows, out, work, retry, fork) as file:
        counter = _Counter(file, rows, limits, stop or Event())
        for row in rows:
            if row.error and row.id not in file.results:
                counter.add(failed(row, row.error))
        ahead = [row for row in rows if row.id not in file.results]
        on_begin(ahead)
        jobs = (Job(video, tuple(group)) for video, group in group_rows(ahead).items())
        with closing(engine.run(jobs, work, counter.must_stop)) as events:
            for event in events:
                if isinstance(event, Result):
                    counter.add(event)
                on_event(event)
        return counter.summary()


def _open_results(
    rows: Sequence[Row], out: Path, work: WorkSettings, retry: Collection[Retry], fork: bool
) -> ResultsFile:
    """Open the results file, or the first fork, whose results were made as they would be now."""
    _require_different(rows)
    number, path = 1, out
    kept: list[Result] = []
    while True:
        file = ResultsFile(path)
        try:
            if kept and not file.results:
                file.replace(kept)
            changes = find_changes(rows, file.results, work, retry)
            if not changes or "changed" in retry:
                _take_out(file, retry, {change.id for change in changes})
                return file
            if not fork:
                refuse(path, changes, len(file.results))
            bad = {change.id for change in changes}
            kept = [result for result in file.results.values() if result.id not in bad]
        except BaseException:
            file.close()
            raise
        file.close()
        number += 1
        path = out.with_stem(f"{out.stem}-{number}")


def _take_out(file: ResultsFile, retry: Collection[Retry], changed: Collection[str]) -> None:
    file.take_out(lambda result: result.status in retry or result.id in changed)


def _require_different(rows: Sequence[Row]) -> None:
    seen: set[str] = set()
    for row in rows:
        if row.id in seen:
            raise InputError(f"two rows have the id {row.id!r}; give each its own")
        seen.add(row.id)


class _Counter:
    """Writes results and counts what they cost."""

    def __init__(self, file: ResultsFile, rows: Sequence[Row], limits: Limits, stop: Event) -> None:
        self._file, self._limits, self._stop = file, limits, stop
        self._ids = {row.id for row in rows}
        self._start = monotonic()
        before = sum(id in self._ids for id in file.results)
        self._sums = Summary(file.path, len(rows), before)

    def add(self, result: Result) -> None:
        """Write a result to the disk and count it."""
        self._file.append(result)
        self._sums.tokens += result.number("input_tokens") + result.number("output_tokens")
        self._sums.cost += result.number("cost")

    def must_stop(self) -> bool:
        """Whether Stop was pressed or a limit is reached."""
        self._sums.stopped = self._sums.stopped or self._why_stop()
        return bool(self._sums.stopped)

    def _why_stop(self) -> str:
        sums, limits = self._sums, self._limits
        if self._stop.is_set():
            return "it was stopped"
        if monotonic() - self._start >= limits.seconds:
            return f"the limit of {limits.seconds:g} seconds is reached"
        if sums.tokens >= limits.tokens:
            return f"the limit of {limits.tokens:g} tokens is reached"
        if sums.cost >= limits.cost:
            return f"the limit of {limits.cost:g} for the cost is reached"
        return ""

    def summary(self) -> Summary:
        """Return the summary at the end."""
        for id, result in self._file.results.items():
            if id in self._ids:
                self._sums.counts[result.status] += 1
        self._sums.seconds = round(monotonic() - self._start, 3)
        if not self._sums.left:
            self._sums.stopped = ""
        return self._sums
