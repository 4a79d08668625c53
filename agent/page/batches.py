"""Batches that were started on the page: each goes on in the background, whoever looks."""

import logging
import secrets
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock, Thread
from time import monotonic

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route

from agent.batch.changes import ChangedError
from agent.batch.engine import Engine, LocalEngine
from agent.batch.records import Result, Row
from agent.batch.results import read_results
from agent.batch.runner import Retry, Summary, run_batch
from agent.batch.work import Progress, WorkSettings
from agent.evaluation.report import report_text
from agent.page.markup import STAGES
from agent.page.run_view import Bar
from agent.text import clock
from tools.errors import InputError, ReelgraphError

CHANGED = 'tick "changed" to ask these again, give another name, or take the method of before'
log = logging.getLogger(__name__)


@dataclass
class Batch:
    """A batch and how far it is.

    Attributes:
        out: Its results file.
        rows: Its rows by id; empty for one that was only read from its file.
        results: What is on disk, by id, the latest last.
        summary: What it came to; None before its end.
        error: Why it could not go on; empty if it could.
        stop: Once set, the run ends soon.
        ended: Set when nothing runs any more.
    """

    out: Path
    rows: Mapping[str, Row] = field(default_factory=dict)
    results: dict[str, Result] = field(default_factory=dict)
    summary: Summary | None = None
    error: str = ""
    stop: Event = field(default_factory=Event)
    ended: Event = field(default_factory=Event)
    at_work: dict[str, str] = field(default_factory=dict)  # row by video
    _videos: dict[str, Bar] = field(default_factory=dict)
    _bar: list[Bar] = field(default_factory=list)  # of the questions, once it has begun

    @property
    def waiting(self) -> list[Row]:
        """The rows without a result that are not at work, in order."""
        busy = {*self.at_work.copy().values()}
        return [r for id, r in self.rows.items() if id not in self.results and id not in busy]

    @property
    def bars(self) -> list[Bar]:
        """The progress of the questions, and of each video at work; none at the end."""
        return [] if self.ended.is_set() else [*self._bar, *self._videos.copy().values()]

    @property
    def told(self) -> str:
        """What there is of it in one line; "" for nothing."""
        found = self.summary
        if found is None:
            counted = Counter(result.status for result in list(self.results.values()))
            ahead = len(self.rows.keys() - self.results.keys())
            told = [f"{count} {status}" for status, count in counted.items()]
            return ", ".join([*told, *([f"{ahead} to ask"] if ahead else [])])
        counts = ", ".join(f"{count} {status}" for status, count in found.counts.items())
        left = f", {found.left} not asked yet" if found.left else ""
        before = f" ({found.before} of them before)" if found.before else ""
        cost = f", cost {found.cost:.4f}" if found.cost else ""
        took = f"this run took {clock(found.seconds)} and {found.tokens:,.0f} tokens{cost}"
        return f"{found.rows} questions: {counts}{left}{before}; {took}"

    def run(self, work: WorkSettings, engine: Engine, retry: Collection[Retry]) -> None:
        """Run to the end, or until it is stopped; errors are kept for whoever looks."""
        rows = list(self.rows.values())
        try:
            self.summary = run_batch(
                rows,
                self.out,
                work,
                engine=engine,
                retry=retry,
                on_begin=self._begin,
                on_event=self._take,
                stop=self.stop,
            )
        except ChangedError as error:
            self.error = f"{self._named(error.found)}; {CHANGED}"
        except ReelgraphError as error:
            self.error = self._named(str(error))
        except Exception as error:
            log.exception("the batch %s failed", self.out.name)
            self.error = f"{type(error).__name__}: {error}; this is a mistake in the program"
        finally:
            self.at_work.clear()
            self.ended.set()

    def _named(self, text: str) -> str:
        """Return a message that names the results without their folder."""
        return text.replace(str(self.out), self.out.stem)

    def _begin(self, ahead: Sequence[Row]) -> None:
        """Take over what the results file held before."""
        self.results = read_results(self.out)
        self._bar = [Bar(f"questions: 0 of {len(ahead)}", 0, len(ahead), monotonic())]

    def _take(self, event: Result | Progress) -> None:
        if isinstance(event, Result):
            self.results[event.id] = event
            self.at_work.pop(event.video, None)
            self._videos.pop(event.video, None)
            for bar in self._bar:
                bar.done_s += 1
                bar.stage = f"questions: {bar.done_s:.0f} of {bar.total_s:.0f}"
            return
        self.at_work[event.video] = event.row
        if event.done_s >= event.total_s:
            self._videos.pop(event.video, None)
        else:
            label = f"{Path(event.video).name}: {STAGES.get(event.stage, event.stage)}"
            known = self._videos.get(event.video)
            begun = known.begun if known and known.stage == label else monotonic()
            self._videos[event.video] = Bar(label, event.done_s, event.total_s, begun)


class Batches:
    """The batches of the page by results file, and the downloads of their results."""

    def __init__(self, engine: Callable[[], Engine] = LocalEngine) -> None:
        self._engine = engine
        self._batches: dict[Path, Batch] = {}
        self._tokens: dict[str, Path] = {}
        self._lock = Lock()

    def start(
        self, rows: Sequence[Row], out: Path, work: WorkSettings, retry: Collection[Retry] = ()
    ) -> Batch:
        """Start a batch, or go on with one that stopped; it ends with the page at the latest.

        Raises:
            InputError: It is running already, or the file holds something else.
        """
        before = read_results(out) if out.exists() else {}
        with self._lock:
            known = self._batches.get(out)
            if known and not known.ended.is_set():
                raise InputError(
                    f"{out.stem} is running already; wait for it, stop it, or give another name"
                )
            batch = self._batches[out] = Batch(out, {row.id: row for row in rows}, before)
        run = Thread(target=batch.run, args=(work, self._engine(), retry), daemon=True)
        run.start()
        return batch

    def find(self, out: Path) -> Batch:
        """Return the batch of a results file, running or as it was left.

        Raises:
            InputError: The file cannot be read.
        """
        with self._lock:
            known = self._batches.get(out)
        if known:
            return known
        batch = Batch(out, results=read_results(out) if out.exists() else {})
        batch.ended.set()
        return batch

    def running(self, folder: Path) -> Batch | None:
        """Return a batch that runs and whose results come into a folder."""
        with self._lock:
            batches = list(self._batches.values())
        return next((b for b in batches if b.out.parent == folder and not b.ended.is_set()), None)

    def token(self, out: Path) -> str:
        """Return the name under which a results file may be downloaded; "" if there is none."""
        if not out.is_file():
            return ""
        with self._lock:
            for token, path in self._tokens.items():
                if path == out:
                    return token
            token = secrets.token_urlsafe(16)
            self._tokens[token] = out
            return token

    def route(self) -> Route:
        """Return the route of the downloads: the results themselves, and a report of them."""
        return Route("/batch/{token}.{form}", self._download)

    def _download(self, request: Request) -> Response:
        out, form = self._tokens.get(request.path_params["token"]), request.path_params["form"]
        if out is None or form not in ("jsonl", "html") or not out.is_file():
            raise HTTPException(404, "there are no such results; open the batch again")
        if form == "jsonl":
            return FileResponse(out, filename=out.name, headers={"Cache-Control": "no-store"})
        try:
            return HTMLResponse(report_text([out], None))
        except ReelgraphError as error:
            raise HTTPException(404, str(error)) from error
