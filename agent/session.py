"""The Python API: open a session, ask questions, index videos, stream events."""

import sqlite3
from collections.abc import Generator, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from string import ascii_uppercase
from time import perf_counter
from typing import Any, cast

from langchain_core.messages import AIMessageChunk
from langchain_core.runnables import RunnableConfig
from langgraph.errors import GraphDrained
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import RunControl
from langsmith import tracing_context

from agent.answer import Answer
from agent.answering.method import read_options
from agent.chats.conversation import Asked, build_conversation
from agent.frames.saved import VisualsFolder
from agent.graph import Graph, build_ask, build_index, find_video
from agent.library.chats import storage_error, thread
from agent.library.store import Library
from agent.methods import find_method
from agent.models.pool import ModelPool
from agent.plan import make_plan
from agent.plugins.isolate import isolated
from agent.plugins.load import load_settings
from agent.records import Plan, Question, Understood
from agent.settings import Settings
from agent.state import Context, Findings, State
from agent.text import is_text
from tools.errors import InputError, StoppedError
from tools.evidence import ChannelReport
from tools.media.video import Video
from tools.registry import make_tool

MAX_QUESTION = 4_000  # characters; more than any real question, far below a context window


@dataclass(frozen=True, slots=True)
class Event:
    """An event of a running graph.

    Attributes:
        kind: "progress" (data: stage, done_s, total_s), "channel" (a `ChannelReport`), "stage" (the
            name of a finished node), "token" (text of the answer as it is generated), "answer"
            (an `Answer`); in a chat also "understood" (an `Understood`, for a follow-up question)
            and at the end "exchange" (an `Exchange`); for several videos also "video" (the path of
            the one that is looked at) and "skipped" (an `agent.answer.SearchedVideo`); for several
            methods "method" (the name of the one at work) and "comparison" (a `Comparison`).
        data: Payload of the event.
    """

    kind: str
    data: Any


class Session:
    """Settings, a library and loaded models, reused for any number of questions.

    Example:
        >>> session = Session(profile="embedded")
        >>> session.ask("lecture.mp4", "When is the exam?").answer
    """

    def __init__(
        self, profile: str | None = None, settings: Mapping[str, Any] | None = None
    ) -> None:
        """Open a session.

        Args:
            profile: A shipped profile's name or a YAML file.
            settings: Dotted keys that override the profile, as in `{"ocr.min_confidence": 0.6}`.

        Raises:
            InputError: Unknown profile, key, value or method.
            StorageError: The library's folder cannot be used.
        """
        self._given = load_settings(profile, settings)
        self.settings: Settings = _adapted(self._given)
        for name, options in self.settings.tools.items():
            make_tool(name, options)
        for name in self.settings.methods:
            read_options(name, find_method(name).options, self.settings)
        self.library = Library(self.settings.library)
        self.context = Context(self.settings, self.library, ModelPool(self.settings, isolated))

    def ask(
        self, video: Path | str, question: str, options: Sequence[str] = (), chat: str = ""
    ) -> Answer:
        """Answer a question about a video; see `stream` for arguments and errors."""
        events = self.stream(video, question, options, chat=chat)
        (answer,) = [event.data for event in events if event.kind == "answer"]
        return cast("Answer", answer)

    def stream(
        self,
        video: Path | str,
        question: str,
        options: Sequence[str] = (),
        control: RunControl | None = None,
        save_visuals: Path | str | None = None,
        chat: str = "",
    ) -> Iterator[Event]:
        """Yield events while a question is answered, the answer near the end.

        Args:
            video: A video or audio file.
            question: At most 4,000 characters.
            options: Two or more for a multiple-choice question.
            control: Its `request_drain` stops the run between pieces of work.
            save_visuals: Folder for the pictures given to the model.
            chat: Name of the chat that the question belongs to, so that it may be a follow-up;
                empty for a question by itself.

        Raises:
            InputError: The file, the question or the options cannot be used.
            MissingError: A model's weights are missing.
            StorageError: The library cannot be written.
            StoppedError: `control` was asked to stop; finished work is stored.
        """
        start, asked = perf_counter(), make_question(question, options)
        folder = VisualsFolder(Path(save_visuals)) if save_visuals else None
        if chat:
            events = self._converse(chat, Path(video), asked, control, folder)
        else:
            state: State = {"path": Path(video), "question": asked}
            events = self.run(self._ask_graph, state, control, folder)
        for event in events:
            if event.kind == "answer":
                event = Event("answer", replace(event.data, seconds=perf_counter() - start))
            yield event

    def index(self, video: Path | str) -> tuple[ChannelReport, ...]:
        """Run every tool of the profile on a video, so that later questions are fast."""
        events = self.stream_index(video)
        return tuple(e.data for e in events if e.kind == "channel")

    def stream_index(
        self, video: Path | str, control: RunControl | None = None
    ) -> Generator[Event, None, Findings]:
        """Yield events while a video is indexed; return what was found."""
        return (yield from self.run(self._index_graph, {"path": Path(video)}, control))

    def plan(self, video: Path | str, question: str, options: Sequence[str] = ()) -> Plan:
        """Return the plan that `ask` would execute, without calling a model."""
        asked = make_question(question, options)
        return make_plan(self.probe(video), asked, self.context)

    def draw(
        self, video: Path | str, question: str, options: Sequence[str], folder: Path | str
    ) -> Plan:
        """Return the plan and save the pictures that a model would be shown, without calling one.

        Raises:
            InputError: The method knows no pictures before it runs.
            StorageError: The folder cannot be written.
        """
        plan = self.plan(video, question, options)
        draw = find_method(plan.method).draw
        if draw is None:
            raise InputError(
                f"{plan.method} knows no pictures for the model before it runs; leave out "
                f"--save-visuals or --dry-run, or take --method direct, ig-vlm or ts-llava"
            )
        asked = make_question(question, options)
        drawn = draw(self.probe(video), asked, plan, self.context)
        VisualsFolder(Path(folder)).save(drawn)
        return plan

    def probe(self, video: Path | str) -> Video:
        """Return a file's probe. `InputError` when it has neither pictures nor sound."""
        return find_video(Path(video), self.library, self.settings.tracks)

    def with_method(self, method: str) -> "Session":
        """Return this session with another method; library, models and settings are shared.

        Models are loaded anew where the method was published with others (`Method.adapt`).

        Raises:
            InputError: There is no such method.
        """
        other = copy(self)
        other.__dict__.pop("_ask_graph", None)
        other.settings = _adapted(self._given.model_copy(update={"method": method}))
        shared = other.settings.chat == self.settings.chat
        pool = self.context.pool if shared else ModelPool(other.settings, isolated)
        other.context = replace(self.context, settings=other.settings, pool=pool)
        return other

    def mermaid(self) -> str:
        """Return the `ask` graph as Mermaid text, drawn from the compiled graph."""
        return self._ask_graph.get_graph(xray=True).draw_mermaid()

    @cached_property
    def _ask_graph(self) -> Graph:
        return build_ask(self.settings)

    @cached_property
    def _index_graph(self) -> Graph:
        return build_index(self.settings)

    def _converse(
        self,
        chat: str,
        path: Path,
        question: Question,
        control: RunControl | None,
        visuals: VisualsFolder | None,
    ) -> Iterator[Event]:
        chats = self.library.chats
        graph = build_conversation(self._ask_graph, chats.saver)
        asked: Asked = {
            "path": str(path),
            "question": question.text,
            "options": list(question.options),
        }
        try:
            yield from self.run(graph, asked, control, visuals, thread(chat))
        except sqlite3.Error as error:
            raise storage_error(self.library.folder, error) from error

    def run(
        self,
        graph: CompiledStateGraph[Any, Context, Any, Any],
        state: Mapping[str, Any],
        control: RunControl | None,
        visuals: VisualsFolder | None = None,
        config: RunnableConfig | None = None,
    ) -> Generator[Event, None, Findings]:
        """Yield the events of a graph; return what the tools found in it.

        Args:
            graph: A compiled graph with `Context` as its context.
            state: Its input.
            control: Its `request_drain` stops the run between pieces of work.
            visuals: Where the pictures given to the model are saved.
            config: LangGraph's, for a thread of a checkpointer.

        Raises:
            StoppedError: `control` was asked to stop; finished work is stored.
        """
        parts = graph.stream(
            cast("Any", state),
            config,
            context=self.context,
            durability="exit" if config else None,
            control=control,
            stream_mode=["updates", "custom", "messages"],
            subgraphs=True,
            version="v2",
        )
        if self.settings.offline:
            parts = _untraced(parts)
        told: set[str] = set()  # an enclosing graph repeats what its subgraphs reported
        found: Findings = {}
        try:
            for part in parts:
                if part["type"] == "updates":
                    for update in part["data"].values():
                        if visuals:
                            visuals.take(update or {})
                        found = _joined(found, update or {})
                for event in _events(cast("dict[str, Any]", part)):
                    if event.kind == "channel" and event.data.tool in told:
                        continue
                    if event.kind == "channel":
                        told.add(event.data.tool)
                    yield event
        except GraphDrained as stop:
            raise StoppedError("stopped by the user") from stop
        return found


def _adapted(settings: Settings) -> Settings:
    """Return the settings with what their method was published with.

    Raises:
        InputError: There is no such method.
    """
    return settings if settings.method == "auto" else find_method(settings.method).adapt(settings)


def make_question(text: str, options: Sequence[str] = ()) -> Question:
    """Validate a question and its options. `InputError` says what is wrong with them."""
    text, options = text.strip(), tuple(option.strip() for option in options)
    if not text:
        raise InputError("the question is empty; say what you want to know of the video")
    if not all(map(is_text, (text, *options))):
        raise InputError("the question or an option is not valid UTF-8; check the terminal")
    if len(text) > MAX_QUESTION:
        raise InputError(
            f"the question has {len(text):,} characters, at most {MAX_QUESTION:,} are read; "
            f"shorten it"
        )
    if len(options) == 1 or len(set(options)) != len(options) or "" in options:
        raise InputError("options must be two or more different texts; give --option once for each")
    if len(options) > len(ascii_uppercase):
        raise InputError(
            f"{len(options)} options were given, at most {len(ascii_uppercase)} can be told apart "
            f"by letters; ask with fewer, or without options"
        )
    return Question(text, options)


def _untraced(parts: Iterator[Any]) -> Iterator[Any]:
    """Iterate over a run with LangSmith tracing off, even if the environment turns it on."""
    while True:
        with tracing_context(enabled=False):  # not around the yield: the caller may be traced
            part = next(parts, None)
        if part is None:
            return
        yield part


def _joined(found: Findings, update: Mapping[str, Any]) -> Findings:
    """Return what the tools found so far with the update of a node."""
    return {
        "channels": {**found.get("channels", {}), **update.get("channels", {})},
        "runs": {**found.get("runs", {}), **update.get("runs", {})},
        "usage": {**found.get("usage", {}), **update.get("usage", {})},
    }


def _events(part: dict[str, Any]) -> Iterator[Event]:
    """Turn one part of a LangGraph stream into events."""
    if part["type"] == "custom":
        yield Event("progress", part["data"])
        return
    if part["type"] == "messages":
        chunk, about = part["data"]
        if about["langgraph_node"] == "reason" and isinstance(chunk, AIMessageChunk):
            yield Event("token", chunk.text)
        return
    for node, update in part["data"].items():
        for report in (update or {}).get("channels", {}).values():
            yield Event("channel", report)
        yield Event("stage", node)
        if node == "finish":
            yield Event("answer", update["answer"])
        if node == "understand" and update["how"]:
            yield Event("understood", Understood(update["understood"], update["how"]))
        if "exchange" in (update or {}):
            yield Event("exchange", update["exchange"])
