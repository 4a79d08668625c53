"""The Python face of detection: judge a clip, streaming what happens, resuming what was killed."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.errors import GraphDrained
from langgraph.runtime import RunControl
from langsmith import tracing_context

from agent.answer import Usage
from agent.detection.detection import Detection, Percentile
from agent.detection.graph import Graph, build_detection, build_measuring
from agent.detection.jobs import make_job, work_key
from agent.detection.nodes import readings
from agent.detection.records import Claim, Picture, Removed, ShownFrames, ToolReading, Verdict
from agent.detection.state import DetectionState, Job, with_job
from agent.detection.task import Task, load_task
from agent.graph import find_video
from agent.library.chats import storage_error
from agent.records import PlannedFrame, Turn
from agent.session import Event
from agent.state import Context
from tools.errors import StoppedError
from tools.evidence import ChannelReport

STORED = (  # types that a checkpoint holds
    *(Usage, ChannelReport, PlannedFrame, Turn, Claim, Removed, ShownFrames, Verdict),
    *(Detection, Percentile, Picture, ToolReading),
)


class Detector:
    """Judges clips for one task with the settings, library and models of a session.

    Example:
        >>> session = Session(profile="gpu")
        >>> Detector(session.context).detect("clip.mp4").outcome
    """

    def __init__(self, context: Context, task: Task | None = None) -> None:
        """Take a session's context and a task; by default whether a clip is AI-generated."""
        self.context = context
        self.task = task or load_task()

    def job(self, tools: Sequence[str] = (), *, check_motion: bool = False) -> Job:
        """Return how clips are judged now: active prompt, calibrated or default kit.

        Args:
            tools: A kit of the caller's own.
            check_motion: Judge once more with shuffled frames.

        Raises:
            InputError: An unknown tool.
        """
        return make_job(self.context, self.task, tools, check_motion=check_motion)

    def detect(
        self, path: Path | str, job: Job | None = None, *, resumable: bool = True
    ) -> Detection:
        """Judge a clip; see `stream`."""
        events = self.stream(path, job, resumable=resumable)
        (found,) = [event.data for event in events if event.kind == "detection"]
        return cast("Detection", found)

    def measure(self, path: Path | str, tools: Sequence[str]) -> tuple[ToolReading, ...]:
        """Run tools on a clip without judging it, and return their readings."""
        measured = replace(self.job(), kit=tuple(tools))
        context = with_job(self.context, measured)
        state = build_measuring().invoke({"path": Path(path)}, context=context)
        return readings(cast("DetectionState", state), context)

    def stream(
        self,
        path: Path | str,
        job: Job | None = None,
        control: RunControl | None = None,
        *,
        resumable: bool = True,
    ) -> Iterator[Event]:
        """Yield "progress", "channel" and "stage" events, and the "detection" at the end.

        Args:
            path: The clip.
            job: How to judge it; by default `job()`.
            control: Its `request_drain` stops the run between pieces of work.
            resumable: Whether a killed or failed run of the same clip and job goes on after its
                last finished step; the tools' results are kept in any case.

        Raises:
            InputError: The file cannot be used.
            MissingError: A model's weights are missing or its server is away.
            StoppedError: `control` was asked to stop.
        """
        job = job or self.job()
        if not resumable:
            yield from self._run(_plain_graph(), Path(path), job, control)
            return
        video = find_video(Path(path), self.context.library)
        key = work_key(video.sha256, job, self.context.settings)
        with self.context.library.claim(video, "detection", key), self._saver() as saver:
            yield from self._run(build_detection(saver), Path(path), job, control, key)
            saver.delete_thread(key)

    def _run(
        self,
        graph: Graph,
        path: Path,
        job: Job,
        control: RunControl | None,
        key: str = "",
    ) -> Iterator[Event]:
        config: RunnableConfig = {"configurable": {"thread_id": key}} if key else {}
        unfinished = bool(key and graph.get_state(config).next)
        parts = graph.stream(
            None if unfinished else {"path": path},
            config,
            context=with_job(self.context, job),
            control=control,
            durability="sync" if key else None,
            stream_mode=["updates", "custom"],
            version="v2",
        )
        try:
            with tracing_context(enabled=False if self.context.settings.offline else None):
                for part in parts:
                    yield from _events(cast("dict[str, Any]", part))
        except GraphDrained as stop:
            raise StoppedError from stop

    @contextmanager
    def _saver(self) -> Iterator[SqliteSaver]:
        folder = self.context.library.folder
        try:
            with sqlite3.connect(
                folder / "detections.sqlite", timeout=60, check_same_thread=False
            ) as db:
                serde = JsonPlusSerializer(allowed_msgpack_modules=STORED)
                yield SqliteSaver(db, serde=serde)
        except sqlite3.Error as error:
            raise storage_error(folder, error) from error
        finally:
            db.close()


@cache
def _plain_graph() -> Graph:
    """Return the graph without checkpoints, built once."""
    return build_detection()


def _events(part: dict[str, Any]) -> Iterator[Event]:
    """Turn one part of a LangGraph stream into events."""
    if part["type"] == "custom":
        yield Event("progress", part["data"])
        return
    for node, update in part["data"].items():
        for channel in (update or {}).get("channels", {}).values():
            yield Event("channel", channel)
        yield Event("stage", node)
        if node == "report":
            yield Event("detection", update["detection"])
