"""The Batch tab: many questions of many videos, a live table, Stop, resume and download."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr

from agent.batch.questions import read_questions
from agent.batch.records import Result, Row
from agent.batch.runner import RETRIES
from agent.batch.work import WorkSettings
from agent.page.batches import Batch, Batches
from agent.page.markup import render
from agent.page.page_context import PageContext
from agent.page.search import OPENS
from agent.page.tab import OWN, Tab
from tools.errors import InputError, ReelgraphError
from tools.media.folders import find_videos

MAX_SHOWN = 200  # rows of the table
LOOK_S = 0.5  # between two looks at a running batch
FIRST_NAME = "results"
ALL = "all"
STATES = ("answered", "abstained", "failed")
View = dict[Any, Any]  # new values, by widget


@dataclass
class Watched:
    """What one browser tab looks at.

    Attributes:
        batch: The batch in its table.
        status: Only lines with this state.
        text: Only lines that hold this, in lower case.
        follower: Whoever brings the table up to date; an earlier one stops.
    """

    batch: Batch | None = None
    status: str = ALL
    text: str = ""
    follower: object = None


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the table; a moment stands for the answer's first piece of evidence."""

    question: str
    video: str
    status: str
    told: str = ""
    sha256: str = ""
    start_s: float | None = None
    seconds: float | None = None


class BatchTab(Tab):
    """The tab's widgets and event handlers."""

    def __init__(self, context: PageContext, batches: Batches) -> None:
        super().__init__(context)
        self.batches = batches

    def lay_out(self) -> None:
        """Place the widgets and attach the event handlers."""
        self.watched = gr.State(Watched())
        with gr.Row(equal_height=False):
            with gr.Column(scale=2, min_width=320):
                fields = self._lay_out_fields()
            with gr.Column(scale=5, min_width=320):
                narrow = self._lay_out_table()
        self.name = fields[2]
        self.view = [self.name, self.start, self.stop, self.progress, self.told, self.table]
        follow: dict[str, Any] = {"concurrency_limit": None, **OWN}
        self.start.click(self.own(self.go), [self.watched, *fields], self.view, **follow)
        self.name.input(self.own(self.show), [self.watched, self.name], self.view, **follow)
        self.name.focus(self.own(self.list_names), None, [self.name], **OWN)
        self.stop.click(self.own(self.stop_run), [self.watched], [self.stop], queue=False, **OWN)
        gr.on(
            [widget.change for widget in narrow],
            self.own(self.narrow),
            [self.watched, *narrow],
            [self.table],
            trigger_mode="always_last",
            **OWN,
        )

    def _lay_out_fields(self) -> list[Any]:
        videos = gr.Textbox(
            label="Videos: paths on this computer, one a line; a folder stands for all below it",
            lines=2,
            placeholder="lectures",
            elem_id="batch-videos",
        )
        upload = gr.UploadButton(
            "Upload videos",
            file_count="multiple",
            file_types=["video", "audio"],
            size="sm",
            elem_id="batch-upload",
        )
        questions = gr.Textbox(
            label="Questions: path of a .jsonl, .csv or .parquet file",
            placeholder="questions.csv",
            elem_id="batch-questions",
        )
        question_file = gr.UploadButton(
            "Upload questions",
            file_types=[".jsonl", ".csv", ".parquet"],
            size="sm",
            elem_id="batch-question-upload",
        )
        name = gr.Dropdown(
            self._names() or [FIRST_NAME],
            value=FIRST_NAME,
            allow_custom_value=True,
            label="Results: a new name, or one to go on with",
            elem_id="batch-name",
        )
        methods = [(c.label, c.name) for c in self.context.sessions.method_choices()]
        method = gr.Dropdown(
            methods, value=self.context.sessions.method, label="Method", elem_id="batch-method"
        )
        retry = gr.CheckboxGroup(
            list(RETRIES), label="Ask again those that are", elem_id="batch-retry"
        )
        with gr.Row():
            self.start = gr.Button("Start", variant="primary", min_width=100, elem_id="batch")
            self.stop = gr.Button(
                *("Stop", "stop"), interactive=False, min_width=100, elem_id="batch-stop"
            )
        upload.upload(self.own(self.take_uploads), [upload], [videos], **OWN)
        question_file.upload(self.own(self.take_uploads), [question_file], [questions], **OWN)
        return [videos, questions, name, method, retry]

    def _lay_out_table(self) -> list[Any]:
        self.progress = gr.HTML("", elem_id="batch-progress")
        self.told = gr.HTML("", elem_id="batch-told")
        with gr.Row(equal_height=False):
            status = gr.Radio(
                [ALL, *STATES],
                value=ALL,
                label="Only lines with this state",
                show_label=False,
                container=False,
                min_width=340,
                elem_id="batch-status",
            )
            text = gr.Textbox(
                label="Only lines with these words",
                show_label=False,
                container=False,
                placeholder="Only lines with these words",
                min_width=200,
                elem_id="batch-text",
            )
        self.table = gr.HTML(self._table(Watched()), elem_id="batch-table", js_on_load=OPENS)
        return [status, text]

    def take_uploads(self, paths: Sequence[str] | str) -> str:
        """Return where uploaded files are kept, one a line."""
        files = [paths] if isinstance(paths, str) else paths
        return "\n".join(str(self.context.uploads.take_over(Path(file))) for file in files)

    def list_names(self) -> Any:
        """Bring the list of results up to date."""
        return gr.update(choices=self._names() or [FIRST_NAME])

    def go(
        self,
        watched: Watched,
        videos: str | None,
        questions: str | None,
        name: str | None,
        method: str,
        retry: list[Any],
    ) -> Iterator[View]:
        """Start a batch and stream its table; it goes on when the page is left."""
        yield {**self._buttons(busy=True), self.told: _notice("info", "Reading the questions.")}
        try:
            out, work = self._out(name), self._work(method)
            rows = self._rows(videos or "", questions or "")
            batch = self.batches.start(rows, out, work, retry)
        except ReelgraphError as error:
            yield {**self._buttons(busy=False), self.told: _notice("error", str(error))}
            return
        yield from self._follow(batch, watched)

    def open(self, watched: Watched, name: str | None) -> Iterator[View]:
        """On opening the tab, show the batch that runs, or the results of the name."""
        running = self.batches.running(self._folder)
        if running:
            yield {self.name: running.out.stem}
        yield from self.show(watched, running.out.stem if running else name)

    def show(self, watched: Watched, name: str | None) -> Iterator[View]:
        """Show the results of a name, and stream them while their batch runs."""
        try:
            batch = self.batches.find(self._out(name))
        except ReelgraphError as error:
            yield {**self._buttons(busy=False), self.told: _notice("error", str(error))}
            return
        yield from self._follow(batch, watched)

    def narrow(self, watched: Watched, status: str, text: str | None) -> str:
        """Narrow the table down, at once and for as long as a batch is followed."""
        watched.status, watched.text = status, (text or "").strip().lower()
        return self._table(watched)

    def stop_run(self, watched: Watched) -> Any:
        """Ask the batch in the table to stop; what is answered is kept."""
        if watched.batch is None or watched.batch.ended.is_set():
            return gr.skip()
        watched.batch.stop.set()
        return gr.update(value="Stopping", interactive=False)

    def _rows(self, videos: str, questions: str) -> list[Row]:
        """Return the rows; a person with a name may only ask about own uploads."""
        if not questions.strip():
            raise InputError("there are no questions: upload a file of them, or give its path")
        if not videos.strip():
            raise InputError("there are no videos: upload some, or give paths of files or folders")
        file = self.context.path(questions)
        places = [self.context.path(line) for line in videos.splitlines() if line.strip()]
        return read_questions(file, find_videos(places), only_given=bool(self.context.user))

    def _work(self, method: str) -> WorkSettings:
        sessions = self.context.sessions
        sessions.get(method=method)  # says if there is none
        return WorkSettings(sessions.given, {**sessions.overrides, "method": method})

    @property
    def _folder(self) -> Path:
        return self.context.library.folder / "batches"

    def _names(self) -> list[str]:
        files = sorted(self._folder.glob("[!.]*.jsonl"))
        return [file.stem for file in files if file.suffixes[-2:-1] != [".retried"]]

    def _out(self, name: str | None) -> Path:
        """Return the results file of a name: a page writes nowhere else."""
        name = (name or "").strip().removesuffix(".jsonl")
        if not re.fullmatch(r"\w[\w -]{0,99}", name):
            raise InputError(
                "the results need a name of up to 100 letters, digits, hyphens and spaces"
            )
        return self._folder / f"{name}.jsonl"

    def _follow(self, batch: Batch, watched: Watched) -> Iterator[View]:
        """Stream a batch until its end, or until the browser tab looks at another."""
        watched.batch, mine = batch, object()
        watched.follower = mine
        while not batch.ended.wait(LOOK_S) and watched.follower is mine:
            yield self._state(batch, watched)
        if watched.follower is mine:
            yield self._state(batch, watched)

    def _state(self, batch: Batch, watched: Watched) -> View:
        ended = batch.ended.is_set()
        told = render(
            "batch_told",
            told=batch.told,
            error=batch.error,
            stopped=batch.summary.stopped if batch.summary else "",
            token=self.batches.token(batch.out) if ended and batch.results else "",
            file=batch.out.name,
        )
        return {
            **self._buttons(busy=not ended, stopping=batch.stop.is_set()),
            self.progress: render("progress", bars=batch.bars, channels=[], answer=None),
            self.told: told,
            self.table: self._table(watched),
        }

    def _table(self, watched: Watched) -> str:
        batch = watched.batch
        lines = [line for line in _lines(batch) if _fits(line, watched)] if batch else []
        return render("batch", batch=batch, lines=lines[:MAX_SHOWN], count=len(lines))

    def _buttons(self, *, busy: bool, stopping: bool = False) -> View:
        return {
            self.start: gr.update(interactive=not busy),
            self.stop: gr.update(
                interactive=busy and not stopping, value="Stopping" if busy and stopping else "Stop"
            ),
        }


def _lines(batch: Batch) -> list[Line]:
    """Return the lines of a batch: what is at work, what is done, latest first, what waits."""
    busy = [batch.rows[id] for id in list(batch.at_work.values())]
    waits = [replace(_ahead(row), status="waiting") for row in batch.waiting]
    done = [_line(result) for result in reversed(list(batch.results.values()))]
    if batch.ended.is_set():
        return [*done, *waits]
    return [*map(_ahead, busy), *done, *waits]


def _ahead(row: Row) -> Line:
    return Line(row.question.text, row.video.name, "at work")


def _line(result: Result) -> Line:
    answer = result.answer
    told = result.error or answer.get("answer") or answer.get("reason", "")
    cited = [] if answer.get("abstained") else answer.get("evidence", [])
    start_s = float(cited[0]["start_s"]) if cited else None
    video, sha = Path(result.video).name, result.sha256
    return Line(result.question, video, result.status, told, sha, start_s, result.seconds)


def _fits(line: Line, watched: Watched) -> bool:
    said = f"{line.question} {line.video} {line.told}".lower()
    return watched.status in (ALL, line.status) and watched.text in said


def _notice(kind: str, text: str) -> str:
    return render("notice", kind=kind, text=text)
