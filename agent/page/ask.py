"""The Ask tab: choose a video, ask, watch the tools, read the answer and evidence, follow up."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from agent.library.exchange import Exchange
from agent.page import timeline
from agent.page.chats import chat_choices, history, new_name
from agent.page.markup import render
from agent.page.page_context import PageContext
from agent.page.run_view import RunView
from agent.page.running import follow
from agent.page.sessions import Choice
from tools.errors import ReelgraphError, StoppedError
from tools.evidence import Evidence
from tools.media.video import Video

View = dict[Any, Any]  # new values, by widget


@dataclass(frozen=True, slots=True)
class Example:
    """A question that can be asked with one click."""

    video: Path
    question: str
    options: tuple[str, ...] = ()


class AskTab:
    """The tab's widgets and event handlers."""

    def __init__(self, context: PageContext) -> None:
        self.context = context

    def lay_out(self, examples: Sequence[Example]) -> None:
        """Place the widgets."""
        # Path of the video in the player; the video of the question is in `path`.
        self.shown, self.chat = gr.State(""), gr.State("")
        with gr.Row(equal_height=False):
            with gr.Column(scale=3, min_width=320):
                self.player = gr.HTML(_player(), elem_id="player")
                self._lay_out_sources()
            with gr.Column(scale=2, min_width=320):
                self._lay_out_chat()
                self._lay_out_question(examples)
                self.answer = gr.HTML(RunView().answer_html(), elem_id="answer")
                self.history = gr.HTML("", elem_id="history")
        self.progress = gr.HTML("", elem_id="progress")
        self.evidence = gr.HTML("", elem_id="evidence")
        with gr.Accordion("Timeline of the video", open=True, visible=False) as self.time_box:
            self.plot = gr.Plot(show_label=False, elem_id="timeline")
        with gr.Accordion("What the model was given", open=False, elem_id="given"):
            self.details = gr.HTML(RunView().details_html(), elem_id="details")

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
                    _known(self.context), label="A video that is known", value=None, elem_id="known"
                )

    def _lay_out_chat(self) -> None:
        with gr.Row(elem_id="chat-bar"):
            self.chats = gr.Dropdown(
                chat_choices(self.context.chats), value="", label="Chat", scale=3, elem_id="chats"
            )
            self.fresh = gr.Button("New chat", size="sm", min_width=90, elem_id="new-chat")

    def _lay_out_question(self, examples: Sequence[Example]) -> None:
        self.question = gr.Textbox(
            label="Question",
            placeholder="When is the exam?",
            lines=1,  # so that Enter asks, and Shift+Enter begins a new line
            max_lines=6,
            submit_btn=False,
            elem_id="question",
        )
        with gr.Accordion("Options, method and models", open=False, elem_id="more"):
            self.options = gr.Textbox(
                label="Options, one a line (for a multiple-choice question)",
                lines=3,
                elem_id="options",
            )
            sessions = self.context.sessions
            self.profile = gr.Dropdown(
                [sessions.profile], value=sessions.profile, label="Profile", elem_id="profile"
            )
            self.method = gr.Dropdown(
                _choices(sessions.method_choices()),
                value=sessions.method,
                label="Method",
                elem_id="method",
            )
            self.choices = gr.HTML("")
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
        """Attach the event handlers."""
        own: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        self.view: list[Any] = [
            *(self.shown, self.path, self.player, self.answer, self.progress, self.evidence),
            *(self.time_box, self.plot, self.details, self.history, self.chat, self.chats),
            *(self.question, self.options, self.method, self.ask, self.stop, self.fresh),
        ]
        self.upload.upload(self.choose_upload, [self.upload], self.view, **own)
        self.path.submit(self.choose, [self.path], self.view, **own)
        self.known.input(self.choose, [self.known], self.view, **own)
        self.known.focus(lambda: gr.update(choices=_known(self.context)), None, self.known, **own)
        self.profile.input(self.choose_profile, [self.profile], [self.method, self.choices], **own)
        self.chats.focus(
            lambda: gr.update(choices=chat_choices(self.context.chats)), None, self.chats, **own
        )
        self.chats.input(self.open_chat, [self.chats], self.view, **own)
        self.fresh.click(self.begin_chat, [self.shown], self.view, **own)
        settings = [self.question, self.options, self.profile, self.method]
        asked: dict[str, Any] = {
            "fn": self.answer_question,
            "inputs": [self.chat, self.shown, self.path, *settings],
            "outputs": self.view,
            "concurrency_limit": None,
            **own,
        }
        gr.on([self.ask.click, self.question.submit], **asked)
        for button, example in zip(self.buttons, examples, strict=True):
            button.click(partial(self.choose_example, example), None, self.view, **own).then(
                **asked
            )
        self.stop.click(self.stop_run, None, [self.stop], queue=False, **own)

    def loaded(self, request: gr.Request) -> View:
        """On page load, show what works, and the chat that the URL names."""
        choices = self.context.sessions.profile_choices()
        shown = {
            self.profile: gr.update(choices=_choices(choices)),
            self.choices: render("choices", choices=choices),
        }
        return {**shown, **self.open_chat(request.query_params.get("chat", ""))}

    def choose_profile(self, profile: str) -> Any:
        """Show the capabilities that methods need and the profile's model lacks."""
        try:
            methods = self.context.sessions.method_choices(profile)
        except ReelgraphError as error:
            return gr.skip(), render("notice", kind="error", text=str(error))
        choices = [p for p in self.context.sessions.profile_choices() if p.name == profile]
        return gr.update(choices=_choices(methods), value="auto"), render(
            "choices", choices=choices
        )

    def choose_upload(self, path: str) -> View:
        """Accept an uploaded file; one that cannot be used is deleted."""
        view = self.choose(path)
        if not view[self.shown]:
            self.context.uploads.drop(Path(path))
        return view

    def choose_example(self, example: Example) -> View:
        """Choose the video of an example and fill in its question."""
        filled = {
            self.question: example.question,
            self.options: "\n".join(example.options),
            self.method: "auto",
        }
        return {**self.choose(str(example.video)), **filled}

    def choose(self, path: str | None) -> View:
        """Show a chosen video and its evidence in the library."""
        try:
            video = self.context.open(self.context.sessions.first, path or "")
            return {**self._play(video), **self._run_view(RunView()), **self._timeline(video)}
        except ReelgraphError as error:
            view = RunView()
            view.fail(error)
            return {**self._no_video(), **self._run_view(view)}

    def begin_chat(self, shown: str) -> View:
        """Begin a new chat about the video in the player."""
        return {**self.open_chat(""), **(self.choose(shown) if shown else {})}

    def open_chat(self, name: str) -> View:
        """Resume a chat; an empty or unknown name begins a new one."""
        view, exchanges, played = RunView(), [], {}
        try:
            exchanges = self.context.chats.exchanges(name) if name else []
            if exchanges:
                played = self._recall(view, exchanges[-1])
        except ReelgraphError as error:
            view.fail(error)
        shown = self._chat(name if exchanges else "", exchanges[:-1])
        return {**played, **self._run_view(view), **shown, self.details: self._details(view)}

    def answer_question(
        self,
        chat: str,
        shown: str,
        path: str | None,
        question: str | None,
        options: str | None,
        profile: str,
        method: str,
        request: gr.Request,
    ) -> Iterator[View]:
        """Stream updates while a question is answered."""
        view, video = RunView(question=question or "", busy="Looking at the video"), None
        lines = [line for line in (options or "").splitlines() if line.strip()]
        name = chat or new_name()
        yield {**self._run_view(view), **self._buttons(busy=True)}
        try:
            session = self.context.sessions.get(profile, method)
            video = self.context.open(session, path or "")
            view.watch(self.context.files.add(video), video)
            if shown != str(video.path):
                yield self._play(video)
            with self.context.running.run(str(request.session_hash)) as control:
                events = session.stream(video.path, question or "", lines, control, chat=name)
                for event in follow(events, control):
                    if view.take(event):
                        yield self._run_view(view)
        except StoppedError as stop:
            view.fail(stop, kind="info")
        except ReelgraphError as error:
            view.fail(error)
        yield self._run_view(view)
        try:
            ended = self._ended(view, video, name)
        except ReelgraphError as error:
            view.fail(error)
            ended = self._run_view(view)
        yield {**self._buttons(busy=False), **ended}

    def stop_run(self, request: gr.Request) -> Any:
        """Ask this tab's run to stop; it stops between two pieces of work."""
        count = self.context.running.stop(str(request.session_hash))
        return gr.update(value="Stopping", interactive=False) if count else gr.skip()

    def _ended(self, view: RunView, video: Video | None, name: str) -> View:
        """Return the updates of the other widgets after a run."""
        known = self._timeline(video, view.exchange) if video else {}
        if not view.exchange:
            return known
        earlier = self.context.chats.exchanges(name)[:-1]
        answered = {self.question: "", self.options: "", self.details: self._details(view)}
        return {**known, **answered, **self._chat(name, earlier)}

    def _recall(self, view: RunView, exchange: Exchange) -> View:
        """Show an exchange and its video, or none if the file is gone."""
        view.recall(exchange)
        if (video := self.context.video_of(exchange)) is None:
            return self._no_video()
        view.watch(self.context.files.add(video), video)
        return {**self._play(video), **self._timeline(video, exchange)}

    def _no_video(self) -> View:
        return {self.shown: "", self.path: "", self.player: _player(), **self._timeline(None)}

    def _play(self, video: Video) -> View:
        path = str(video.path)
        player = _player(self.context.files.add(video), video)
        return {self.shown: path, self.path: path, self.player: player}

    def _run_view(self, view: RunView) -> View:
        return {
            self.answer: view.answer_html(),
            self.progress: view.progress_html(),
            self.evidence: view.evidence_html(),
        }

    def _details(self, view: RunView) -> str:
        return view.details_html(
            self.context.pictures_of(view.exchange["seen"] if view.exchange else ())
        )

    def _chat(self, name: str, earlier: Sequence[Exchange]) -> View:
        shown = history(name, earlier)
        picker = gr.update(choices=chat_choices(self.context.chats), value=name, interactive=True)
        return {self.chat: name, self.history: shown, self.chats: picker}

    def _timeline(self, video: Video | None, exchange: Exchange | None = None) -> View:
        found = self.context.library.findings(video) if video else ()
        cited = [Evidence(**item) for item in exchange["answer"]["evidence"]] if exchange else []
        figure = timeline.draw(video, found, cited) if video and found else None
        return {self.time_box: gr.update(visible=figure is not None), self.plot: figure}

    def _buttons(self, *, busy: bool) -> View:
        return {
            self.ask: gr.update(interactive=not busy),
            self.stop: gr.update(interactive=busy, value="Stop"),
            self.chats: gr.update(interactive=not busy),
            self.fresh: gr.update(interactive=not busy),
        }


def _player(token: str = "", video: Video | None = None) -> str:
    return render("player", token=token, video=video, title=video.path.name if video else "")


def _choices(choices: Sequence[Choice]) -> list[tuple[str, str]]:
    return [(choice.label, choice.name) for choice in choices]


def _known(context: PageContext) -> list[tuple[str, str]]:
    """Return the videos of the library whose files still exist, newest first."""
    entries = reversed(context.library.entries())
    return [(e.video.path.name, str(e.video.path)) for e in entries if e.video.path.is_file()]
