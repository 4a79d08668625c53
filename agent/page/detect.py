"""The Detect tab: judge a clip, see verdict, views, measurements and costs, download the report."""

import secrets
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from threading import Lock
from typing import Any

import gradio as gr
from langgraph.runtime import RunControl
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
from agent.page.run_tab import RunTab
from agent.session import Event
from tools.errors import InputError
from tools.media.video import Video

KEPT = 50  # reports that can be downloaded, the latest ones


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


class DetectTab(RunTab):
    """The tab with a clip and its verdict."""

    name, action, result_kind = "detect", "Detect", "detection"
    result_id, takes, file_label, placeholder = "detection", ("video",), "Clip", "clip.mp4"
    wait, enter_starts = "Measuring the clip.", True

    def __init__(self, context: PageContext, reports: Reports) -> None:
        super().__init__(context)
        self.reports = reports

    def lay_out_fields(self) -> list[Any]:
        """Place the question and its extent."""
        tasks = [(load_task(name).question, name) for name in shipped_tasks()]
        task = gr.Dropdown(tasks, value=DEFAULT_TASK, label="Question", elem_id="detect-task")
        motion = gr.Checkbox(label="Judge once more with shuffled frames", elem_id="detect-motion")
        return [task, motion]

    def run(self, video: Video, values: Sequence[Any], control: RunControl) -> Iterator[Event]:
        """Judge the clip."""
        task, motion = values
        detector = detector_of(self.context, "", task)
        return detector.stream(video.path, detector.job(check_motion=motion), control)

    def result(self, video: Video | None, found: Any) -> str:
        """Return a detection with links to its reports."""
        return self._card(found) if found else render("detection", d=None)

    def _card(self, detection: Detection) -> str:
        token = self.reports.add(detection)
        views = {r.tool: data_uri(r.view.file) for r in detection.readings if r.view}
        placed = {r.tool: percentiles_of(detection, r.tool) for r in detection.readings}
        places = [place(claim) for claim in detection.claims]
        shown = {"views": views, "placed": placed, "places": places, "cost": cost_of(detection)}
        return render("detection", d=detection, token=token, **shown)
