"""A tab with one video, one action and one result: widgets, progress, Stop."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from langgraph.runtime import RunControl

from agent.page.markup import render
from agent.page.run_view import RunView
from agent.page.running import follow
from agent.page.tab import OWN, Tab
from agent.session import Event
from tools.errors import ReelgraphError, StoppedError
from tools.media.video import Video

View = dict[Any, Any]  # new values, by widget


class RunTab(Tab, ABC):
    """The tab's widgets and event handlers.

    Attributes:
        name: Begins the ids of its widgets.
        action: Label of its button.
        result_kind: Kind of the event with the result.
        result_id: Id of the widget with the result.
        takes: Kinds of files that can be uploaded.
        file_label: Label of the upload.
        placeholder: Example of a path.
        wait: What stands there until the result.
        enter_starts: Whether Enter behind the path starts the run: where nothing else must be told.
    """

    name: str
    action: str
    result_kind: str
    result_id: str
    takes: tuple[str, ...] = ("video", "audio")
    file_label = "Video or sound file"
    placeholder = "lecture.mp4"
    wait = "Looking at the video."
    enter_starts = False

    @abstractmethod
    def lay_out_fields(self) -> list[Any]:
        """Place the widgets of the question and return them."""

    @abstractmethod
    def run(self, video: Video, values: Sequence[Any], control: RunControl) -> Iterator[Event]:
        """Yield the events of a run; `values` are those of the fields."""

    @abstractmethod
    def result(self, video: Video | None, found: Any) -> str:
        """Return a result as HTML; without a video, what stands there before the first."""

    def lay_out(self) -> None:
        """Place the widgets and attach the event handlers."""
        with gr.Row(equal_height=False):
            with gr.Column(scale=2, min_width=320):
                upload = gr.File(
                    label=self.file_label,
                    file_types=list(self.takes),
                    height=120,
                    elem_id=f"{self.name}-upload",
                )
                path = gr.Textbox(
                    label="or its path on this computer",
                    placeholder=self.placeholder,
                    elem_id=f"{self.name}-path",
                )
                fields = self.lay_out_fields()
                with gr.Row():
                    self.start = gr.Button(
                        self.action, variant="primary", min_width=100, elem_id=self.name
                    )
                    self.stop = gr.Button(
                        *("Stop", "stop"),
                        interactive=False,
                        min_width=100,
                        elem_id=f"{self.name}-stop",
                    )
                self.progress = gr.HTML("", elem_id=f"{self.name}-progress")
            with gr.Column(scale=3, min_width=320):
                self.shown = gr.HTML(self.result(None, None), elem_id=self.result_id)
        upload.upload(self.own(self.take_upload), [upload], [path], **OWN)
        changed = [self.start, self.stop, self.progress, self.shown]
        starts = [self.start.click, *([path.submit] if self.enter_starts else [])]
        go = self.own(self.go)
        gr.on(starts, go, [path, *fields], changed, concurrency_limit=None, **OWN)
        self.stop.click(self.own(self.stop_run), None, [self.stop], queue=False, **OWN)

    def take_upload(self, path: str) -> str:
        """Return where an uploaded file is kept."""
        return str(self.context.uploads.take_over(Path(path)))

    def go(self, path: str | None, *values: Any) -> Iterator[View]:
        """Stream updates during a run."""
        view, shown = RunView(), render("notice", kind="info", text=self.wait)
        yield {**self._buttons(busy=True), self.shown: shown, self.progress: ""}
        try:
            video = self.context.open(self.context.sessions.first, path or "")
            with self.context.running.run(run_name(self.request, self.name)) as control:
                for event in follow(self.run(video, values, control), control):
                    if event.kind == self.result_kind:
                        shown = self.result(video, event.data)
                    if view.take(event):
                        yield {self.progress: view.progress_html()}
        except ReelgraphError as error:
            kind = "info" if isinstance(error, StoppedError) else "error"
            shown = render("notice", kind=kind, text=_without_path(str(error), path))
        last = {self.shown: shown, self.progress: view.progress_html()}
        yield {**self._buttons(busy=False), **last}

    def stop_run(self) -> Any:
        """Ask this tab's run to stop; it stops between two pieces of work."""
        count = self.context.running.stop(run_name(self.request, self.name))
        return gr.update(value="Stopping", interactive=False) if count else gr.skip()

    def _buttons(self, *, busy: bool) -> View:
        return {
            self.start: gr.update(interactive=not busy),
            self.stop: gr.update(interactive=busy, value="Stop"),
        }


def run_name(request: gr.Request, tab: str) -> str:
    """Return the name of the run of one tab of the page in one browser tab."""
    return f"{request.session_hash} {tab}"


def _without_path(text: str, path: str | None) -> str:
    return text.replace(path, Path(path).name) if path and path.strip() else text
