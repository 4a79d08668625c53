"""The Ask tab: choose a video, ask, watch the tools, read the answer, click its evidence."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from agent.page import timeline
from agent.page.board import Board
from agent.page.files import ChosenFiles
from agent.page.markup import render
from agent.page.running import Running
from agent.page.sessions import Pick, Sessions
from agent.report import costs
from agent.session import Session
from tools.errors import InputError, ReelgraphError, StoppedError
from tools.video import Video

MAX_HOURS = 12.0  # of a video on the page; the command line takes any length
STOPPED = "Stopped. What was found is kept: ask again to go on from there."


@dataclass(frozen=True, slots=True)
class Example:
    """A question that can be asked with one click."""

    video: Path
    question: str
    options: tuple[str, ...] = ()


@dataclass
class Desk:
    """What all tabs of the page work with."""

    sessions: Sessions
    files: ChosenFiles = field(default_factory=ChosenFiles)
    running: Running = field(default_factory=Running)

    @property
    def uploads(self) -> Path:
        """Where uploaded videos are kept, so that the library still finds them another day."""
        return self.sessions.first.library.folder / "uploads"

    def open(self, session: Session, path: str) -> Video:
        """Probe a chosen video and allow it to be watched.

        Raises:
            InputError: There is nothing to see or hear in it, or it is too long.
        """
        if not path.strip():
            raise InputError("no video is chosen: upload one, give its path or take a known one")
        try:
            video = session.probe(Path(path.strip()).expanduser())
        except InputError as error:
            raise InputError(str(error).replace(path, Path(path).name)) from error
        if video.duration_s > MAX_HOURS * 3600:
            raise InputError(
                f"{video.path.name} is {video.duration_s / 3600:.1f} hours long, the page takes "
                f"{MAX_HOURS:.0f}; use the command line, or cut it"
            )
        self.files.add(video)
        return video


class AskTab:
    """The tab's widgets and what they do."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def lay_out(self, examples: Sequence[Example]) -> None:
        """Place the widgets."""
        self.shown = gr.State(
            ""
        )  # path of the video in the player; what is asked about is in `path`
        with gr.Row(equal_height=False):
            with gr.Column(scale=3, min_width=320):
                self.player = gr.HTML(_player(), elem_id="player")
                self._lay_out_sources()
            with gr.Column(scale=2, min_width=320):
                self._lay_out_question(examples)
                self.answer = gr.HTML(Board(busy="").answer_html(), elem_id="answer")
        self.progress = gr.HTML("", elem_id="progress")
        self.evidence = gr.HTML("", elem_id="evidence")
        with gr.Accordion("Timeline of the video", open=True, visible=False) as self.time_box:
            self.plot = gr.Plot(show_label=False, elem_id="timeline")
        with gr.Accordion("What the model was given", open=False):
            self.details = gr.HTML(_details(Board()), elem_id="details")

    def _lay_out_sources(self) -> None:
        with gr.Tabs(elem_id="sources"):
            with gr.Tab("Upload"):
                self.upload = gr.File(
                    label="Video or sound file",
                    file_types=["video", "audio"],
                    height=120,
                    elem_id="upload",
                )
            with gr.Tab("Path"):
                self.path = gr.Textbox(
                    label="Path on this computer, then Enter",
                    placeholder="lecture.mp4",
                    elem_id="path",
                )
            with gr.Tab("Known videos"):
                self.known = gr.Dropdown(
                    _known(self.desk), label="A video that is known", value=None, elem_id="known"
                )

    def _lay_out_question(self, examples: Sequence[Example]) -> None:
        self.question = gr.Textbox(
            label="Question",
            placeholder="When is the exam?",
            lines=2,
            submit_btn=False,
            elem_id="question",
        )
        with gr.Accordion("Options, method and models", open=False, elem_id="more"):
            self.options = gr.Textbox(
                label="Options, one a line (for a multiple-choice question)",
                lines=3,
                elem_id="options",
            )
            sessions = self.desk.sessions
            self.profile = gr.Dropdown(
                [sessions.profile], value=sessions.profile, label="Profile", elem_id="profile"
            )
            self.method = gr.Dropdown(
                _choices(sessions.method_picks()),
                value=sessions.method,
                label="Method",
                elem_id="method",
            )
            self.picks = gr.HTML("")
        with gr.Row():
            self.ask = gr.Button("Ask", variant="primary", min_width=100, elem_id="ask")
            self.stop = gr.Button(
                "Stop", variant="stop", interactive=False, min_width=100, elem_id="stop"
            )
        if examples:
            gr.HTML("<span class='rg-quiet'>Try one of the demo video:</span>")
        with gr.Row(elem_id="examples"):
            self.buttons = [gr.Button(e.question, size="sm", min_width=140) for e in examples]

    def wire(self, examples: Sequence[Example]) -> None:
        """Say what happens on clicks."""
        view: list[Any] = [self.shown, self.path, self.player, self.answer, self.progress]
        view += [self.evidence, self.time_box, self.plot]
        own: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        self.upload.upload(self.choose_upload, [self.upload], view, **own)
        self.path.submit(self.choose, [self.path], view, **own)
        self.known.input(self.choose, [self.known], view, **own)
        self.known.focus(lambda: gr.update(choices=_known(self.desk)), None, self.known, **own)
        self.profile.input(self.pick_profile, [self.profile], [self.method, self.picks], **own)
        settings = [self.question, self.options, self.profile, self.method]
        asked: dict[str, Any] = {
            "fn": self.answer_question,
            "inputs": [self.shown, self.path, *settings],
            "outputs": [*view, self.details, self.ask, self.stop],
            "concurrency_limit": None,
            **own,
        }
        gr.on([self.ask.click, self.question.submit], **asked)
        for button, example in zip(self.buttons, examples, strict=True):
            filled = button.click(
                partial(self.choose_example, example), None, [*view, *settings], **own
            )
            filled.then(**asked)
        self.stop.click(self.stop_run, None, [self.stop], queue=False, **own)

    def loaded(self) -> Any:
        """Say when the page is opened what works on this machine."""
        picks = self.desk.sessions.profile_picks()
        return gr.update(choices=_choices(picks)), render("picks", picks=picks)

    def pick_profile(self, profile: str) -> Any:
        """Show what the methods need that the profile's model has not."""
        try:
            methods = self.desk.sessions.method_picks(profile)
        except ReelgraphError as error:
            return gr.skip(), render("notice", kind="error", text=str(error))
        picks = [p for p in self.desk.sessions.profile_picks() if p.name == profile]
        return gr.update(choices=_choices(methods), value="auto"), render("picks", picks=picks)

    def choose_upload(self, path: str) -> tuple[Any, ...]:
        """Take an uploaded file; one that cannot be used is not kept."""
        view = self.choose(path)
        if not view[0]:
            with suppress(OSError):
                Path(path).unlink()
        return view

    def choose_example(self, example: Example) -> tuple[Any, ...]:
        """Take the video of an example and fill in its question."""
        filled = (example.question, "\n".join(example.options), gr.skip(), "auto")
        return (*self.choose(str(example.video)), *filled)

    def choose(self, path: str | None) -> tuple[Any, ...]:
        """Show a chosen video and what is known about it."""
        try:
            video = self.desk.open(self.desk.sessions.first, path or "")
            known = self._known_of(video)
        except ReelgraphError as error:
            board = Board()
            board.fail(error)
            return ("", "", _player(), *_board(board), *_timeline(None))
        shown = str(video.path)
        return (shown, shown, self._play(video), *_board(Board(busy="")), *known)

    def answer_question(
        self,
        shown: str,
        path: str | None,
        question: str | None,
        options: str | None,
        profile: str,
        method: str,
        request: gr.Request,
    ) -> Iterator[tuple[Any, ...]]:
        """Stream what happens while a question is answered."""
        board, video, still = Board(), None, (gr.skip(),) * 3
        lines = [line for line in (options or "").splitlines() if line.strip()]
        yield (*still, *_board(board), *still, *_buttons(busy=True))
        try:
            session = self.desk.sessions.get(profile, method)
            video = self.desk.open(session, path or "")
            board.token, board.pictures = self.desk.files.add(video), video.has_picture
            if shown != str(video.path):
                player = (str(video.path), str(video.path), self._play(video))
                yield (*player, *_board(board), *still, *still[:2])
            with self.desk.running.run(str(request.session_hash)) as control:
                for event in session.stream(video.path, question or "", lines, control):
                    if board.take(event):
                        yield (*still, *_board(board), *still, *still[:2])
        except StoppedError:
            board.fail(StoppedError(STOPPED), kind="info")
        except ReelgraphError as error:
            board.fail(error)
        ended = (*self._known_of(video, board), _details(board), *_buttons(busy=False))
        yield (*still, *_board(board), *ended)

    def stop_run(self, request: gr.Request) -> Any:
        """Ask this tab's run to stop; it does so between two pieces of work."""
        count = self.desk.running.stop(str(request.session_hash))
        return gr.update(value="Stopping", interactive=False) if count else gr.skip()

    def _play(self, video: Video) -> str:
        return _player(self.desk.files.add(video), video)

    def _known_of(self, video: Video | None, board: Board | None = None) -> tuple[Any, Any]:
        if video is None:
            return gr.skip(), gr.skip()
        found = timeline.found_in(self.desk.sessions.first.library, video)
        cited = board.answer.evidence if board and board.answer else ()
        return _timeline(timeline.draw(video, found, cited) if found else None)


def _timeline(figure: Any) -> tuple[Any, Any]:
    return gr.update(visible=figure is not None), figure


def _buttons(*, busy: bool) -> tuple[Any, Any]:
    return gr.update(interactive=not busy), gr.update(interactive=busy, value="Stop")


def _player(token: str = "", video: Video | None = None) -> str:
    return render("player", token=token, video=video, title=video.path.name if video else "")


def _board(board: Board) -> tuple[str, str, str]:
    return board.answer_html(), board.progress_html(), board.evidence_html()


def _details(board: Board) -> str:
    told = costs(board.answer) if board.answer else ""
    return render("details", answer=board.answer, costs=told)


def _choices(picks: Sequence[Pick]) -> list[tuple[str, str]]:
    return [(pick.label, pick.name) for pick in picks]


def _known(desk: Desk) -> list[tuple[str, str]]:
    """Return the videos of the library whose files are still there, newest first."""
    entries = reversed(desk.sessions.first.library.entries())
    return [(e.video.path.name, str(e.video.path)) for e in entries if e.video.path.is_file()]
