"""The Detect tab: judge a clip, see verdict, views, measurements and costs, download the report."""

import secrets
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from typing import Any

import gradio as gr
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agent.detection.detection import Detection
from agent.detection.detector import Detector
from agent.detection.report import cost_of, data_uri, percentiles_of, place, report_text
from agent.detection.task import DEFAULT_TASK, load_task, shipped_tasks
from agent.page.markup import render
from agent.page.page_context import PageContext
from agent.page.run_tab import run_name
from agent.page.run_view import RunView
from agent.page.running import follow
from agent.page.tab import OWN, Tab
from tools.errors import InputError, ReelgraphError, StoppedError

KEPT = 50  # reports that can be downloaded, the latest ones
View = dict[Any, Any]  # new values, by widget


class Reports:
    """The latest detections, for download under a token that only the page knows."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Detection] = OrderedDict()
        self._lock = Lock()

    def add(self, detection: Detection) -> str:
        """Keep a detection and return its token."""
        token = secrets.token_urlsafe(16)
        with self._lock:
            self._kept[token] = detection
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return token

    def route(self) -> Route:
        """Return the route of the downloads."""

        def download(request: Request) -> Response:
            token, form = request.path_params["token"], request.path_params["form"]
            found = self._kept.get(token)
            if found is None or form not in ("html", "md"):
                raise HTTPException(404, "there is no such report; judge the clip again")
            headers = {"Content-Disposition": f'attachment; filename="detection.{form}"'}
            kind = "text/html" if form == "html" else "text/markdown"
            return Response(report_text([found], f".{form}"), media_type=kind, headers=headers)

        return Route("/detection/{token}.{form}", download)


def detector_of(context: PageContext, profile: str, task: str) -> Detector:
    """Return a detector; only shipped tasks, for a remote user must not name files here.

    Raises:
        InputError: There is no such profile or task.
    """
    if task not in shipped_tasks():
        known = ", ".join(shipped_tasks())
        raise InputError(f"a page takes tasks by name and has no {task!r}; take {known}")
    return Detector(context.sessions.get(profile).context, load_task(task))


class DetectTab(Tab):
    """The tab's widgets and event handlers."""

    name = "detect"

    def __init__(self, context: PageContext, reports: Reports) -> None:
        super().__init__(context)
        self.reports = reports

    def lay_out(self) -> None:
        """Place the widgets and attach the event handlers."""
        with gr.Row(equal_height=False):
            with gr.Column(scale=2, min_width=320):
                self.upload = gr.File(
                    label="Clip", file_types=["video"], height=120, elem_id="detect-upload"
                )
                self.path = gr.Textbox(
                    label="or its path on this computer",
                    placeholder="clip.mp4",
                    elem_id="detect-path",
                )
                tasks = [(load_task(name).question, name) for name in shipped_tasks()]
                self.task = gr.Dropdown(
                    tasks, value=DEFAULT_TASK, label="Question", elem_id="detect-task"
                )
                self.motion = gr.Checkbox(
                    label="Judge once more with shuffled frames", elem_id="detect-motion"
                )
                with gr.Row():
                    self.start = gr.Button(
                        "Detect", variant="primary", min_width=100, elem_id="detect"
                    )
                    self.stop = gr.Button(
                        *("Stop", "stop"), interactive=False, min_width=100, elem_id="detect-stop"
                    )
                self.progress = gr.HTML("", elem_id="detect-progress")
            with gr.Column(scale=3, min_width=320):
                self.result = gr.HTML(render("detection", d=None), elem_id="detection")
        self._wire()

    def _wire(self) -> None:
        self.upload.upload(self.own(self.take_upload), [self.upload], [self.path], **OWN)
        gr.on(
            [self.start.click, self.path.submit],
            self.own(self.judge_clip),
            [self.path, self.task, self.motion],
            [self.start, self.stop, self.progress, self.result],
            concurrency_limit=None,
            **OWN,
        )
        self.stop.click(self.own(self.stop_run), None, [self.stop], queue=False, **OWN)

    def take_upload(self, path: str) -> str:
        """Return where an uploaded clip is kept."""
        return str(self.context.uploads.take_over(Path(path)))

    def judge_clip(self, path: str | None, task: str, motion: bool) -> Iterator[View]:
        """Stream updates while a clip is judged."""
        view, shown = RunView(), render("notice", kind="info", text="Measuring the clip.")
        yield {**self._buttons(busy=True), self.result: shown, self.progress: ""}
        try:
            detector = detector_of(self.context, "", task)
            video = self.context.open(self.context.sessions.first, path or "")
            job = detector.job(check_motion=motion)
            with self.context.running.run(run_name(self.request, self.name)) as control:
                for event in follow(detector.stream(video.path, job, control), control):
                    if event.kind == "detection":
                        shown = self.card(event.data)
                    if view.take(event):
                        yield {self.progress: view.progress_html()}
        except ReelgraphError as error:
            kind = "info" if isinstance(error, StoppedError) else "error"
            shown = render("notice", kind=kind, text=_without_path(str(error), path))
        yield {
            **self._buttons(busy=False),
            self.result: shown,
            self.progress: view.progress_html(),
        }

    def card(self, detection: Detection) -> str:
        """Return a detection as HTML with links to its reports."""
        token = self.reports.add(detection)
        views = {r.tool: data_uri(r.view.file) for r in detection.readings if r.view}
        placed = {r.tool: percentiles_of(detection, r.tool) for r in detection.readings}
        places = [place(claim) for claim in detection.claims]
        shown = {"views": views, "placed": placed, "places": places, "cost": cost_of(detection)}
        return render("detection", d=detection, token=token, **shown)

    def stop_run(self) -> Any:
        """Ask this tab's run to stop; it stops between two pieces of work."""
        count = self.context.running.stop(run_name(self.request, self.name))
        return gr.update(value="Stopping", interactive=False) if count else gr.skip()

    def _buttons(self, *, busy: bool) -> View:
        return {
            self.start: gr.update(interactive=not busy),
            self.stop: gr.update(interactive=busy, value="Stop"),
        }


def _without_path(text: str, path: str | None) -> str:
    return text.replace(path, Path(path).name) if path and path.strip() else text
