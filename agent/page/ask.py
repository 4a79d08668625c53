"""The Ask tab: choose a video, ask, watch the tools, read the answer and evidence, follow up."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from agent.library.exchange import Exchange
from agent.page.chats import chat_choices, history, new_name
from agent.page.markup import render
from agent.page.page_context import PageContext
from agent.page.picker import Picker
from agent.page.run_view import RunView
from agent.page.running import Ticket, follow
from agent.page.sessions import Choice
from agent.page.suggestions import suggest
from agent.page.tab import OWN, Tab
from agent.page.viewer import Viewer
from tools.errors import ReelgraphError, StoppedError
from tools.media.video import Video

View = dict[Any, Any]  # new values, by widget
LOOK = "Look at the video"  # what waits in the queue in place of a question
DROPS = """element.addEventListener("click", (event) => {
  const waiting = event.target.closest("[data-drop]");
  if (waiting) trigger("click", { drop: waiting.dataset.drop });
});"""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the widgets held when a question was asked."""

    video: str
    question: str
    options: tuple[str, ...]
    profile: str
    method: str


class AskTab(Tab):
    """The tab's widgets and event handlers."""

    def __init__(self, context: PageContext, demo: Path) -> None:
        super().__init__(context)
        self.picker, self.viewer = Picker(demo), Viewer()

    def lay_out(self) -> None:
        """Place the widgets and attach the event handlers."""
        self.shown, self.chat = gr.State(""), gr.State("")  # path of the video; name of the chat
        with gr.Row(equal_height=False, elem_id="bench"):
            with gr.Column(scale=6, min_width=320, elem_id="talk"):
                self._lay_out_talk()
            with gr.Column(scale=5, min_width=320, elem_id="watch"):
                self.picker.lay_out()
                self.viewer.lay_out()
        self._wire()

    def _lay_out_talk(self) -> None:
        with gr.Row(elem_id="chat-bar"):
            self.chats = gr.Dropdown(
                chat_choices(self.context.chats),
                value="",
                label="Chat",
                show_label=False,
                container=False,
                scale=3,
                elem_id="chats",
            )
            self.fresh = gr.Button("New chat", size="sm", min_width=90, elem_id="new-chat")
        self.history = gr.HTML("", elem_id="history")
        welcome = render("welcome", title="", questions=[], known=False)
        self.answer = gr.HTML(welcome, elem_id="answer")
        self.look = gr.Button("Look at it now", visible=False, size="sm", elem_id="look")
        self.queued = gr.HTML("", elem_id="queued", js_on_load=DROPS)
        with gr.Accordion("What the model was given", open=False, elem_id="given"):
            self.details = gr.HTML(RunView().details_html(), elem_id="details")
        with gr.Column(elem_id="composer"):
            self._lay_out_question()

    def _lay_out_question(self) -> None:
        with gr.Row(elem_id="ask-row"):
            self.question = gr.Textbox(
                label="Question",
                show_label=False,
                placeholder="Ask about the video",
                lines=1,  # so that Enter asks, and Shift+Enter begins a new line
                max_lines=6,
                submit_btn=False,
                container=False,
                scale=5,
                elem_id="question",
            )
            self.ask = gr.Button("Ask", variant="primary", min_width=70, scale=0, elem_id="ask")
            self.stop = gr.Button(
                "Stop", variant="stop", interactive=False, min_width=70, scale=0, elem_id="stop"
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

    def _wire(self) -> None:
        self.view: list[Any] = [
            *(self.shown, self.chat, self.answer, self.look, self.queued, self.history),
            *(self.details, self.chats, self.fresh, self.question, self.options),
            *(self.ask, self.stop, *self.picker.widgets, *self.viewer.widgets),
        ]
        pick = self.picker
        pick.upload.upload(self.own(self.choose_upload), [pick.upload], self.view, **OWN)
        pick.path.submit(self.own(self.choose), [pick.path], self.view, **OWN)
        pick.shelf.click(self.own_click(self.choose_card), None, self.view, **OWN)
        self.viewer.player.click(self.own(self.change_video), None, pick.widgets, **OWN)
        self.profile.input(
            self.own(self.choose_profile), [self.profile], [self.method, self.choices], **OWN
        )
        self.chats.focus(self.own(self.list_chats), None, self.chats, **OWN)
        self.chats.input(self.own(self.open_chat), [self.chats], self.view, **OWN)
        self.fresh.click(self.own(self.begin_chat), [self.shown], self.view, **OWN)
        several: dict[str, Any] = {"concurrency_limit": None, "trigger_mode": "multiple", **OWN}
        settings = [self.question, self.options, self.profile, self.method]
        gr.on(
            [self.ask.click, self.question.submit],
            self.own(self.answer_question),
            [self.chat, self.shown, pick.path, *settings],
            self.view,
            **several,
        )
        self.look.click(self.own(self.look_at), [self.chat, self.shown], self.view, **several)
        self.stop.click(self.own(self.stop_run), None, [self.stop], queue=False, **OWN)
        self.queued.click(self.own_click(self.drop), None, [self.queued], queue=False, **OWN)

    def load(self) -> View:
        """On page load, show what works, and the chat or the moment that the address names."""
        choices, asked = self.context.sessions.profile_choices(), self.request.query_params
        shown = {
            self.profile: gr.update(choices=_choices(choices)),
            self.choices: render("choices", choices=choices),
            self.picker.shelf: self.picker.cards(self.context),
        }
        if asked.get("chat"):
            shown |= self.open_chat(asked["chat"])
        if asked.get("video"):
            chat = str(shown.get(self.chat, ""))
            shown |= self._open_moment(asked["video"], asked.get("t", ""), chat)
        return shown

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

    def list_chats(self) -> Any:
        """Bring the list of chats up to date."""
        return gr.update(choices=chat_choices(self.context.chats))

    def choose_upload(self, path: str) -> View:
        """Accept an uploaded file; one that cannot be used is deleted."""
        file = self.context.uploads.take_over(Path(path))
        view = self.choose(str(file))
        if not view[self.shown]:
            self.context.uploads.drop(file)
            view[self.picker.upload] = None
        return view

    def choose_card(self, clicked: Mapping[str, str]) -> View:
        """Choose the video of a card."""
        return self.choose(self.picker.path_of(self.context, clicked.get("pick", "")))

    def choose(self, path: str | None) -> View:
        """Show a chosen video and what is known of it."""
        try:
            video = self.context.open(self.context.sessions.first, path or "")
            return {**self._play(video), **self._welcome(video), **self._tell(video)}
        except ReelgraphError as error:
            view = RunView()
            view.fail(error)
            return {**self._no_video(), self.answer: view.turn_html()}

    def show_moment(self, clicked: Mapping[str, str], shown: str) -> View:
        """Play a moment that another tab found; one of another video begins a new chat."""
        video = self.context.library.video(clicked.get("video", ""))
        if video and str(video.path) == shown:
            return {}  # the page has moved the player there
        if self.context.running.busy(self.browser_tab):
            gr.Info("Wait for the answer, or stop it, first.")
            return {}
        sha256, time_s = clicked.get("video", ""), clicked.get("time", "")
        return {**self.open_chat(""), **self._open_moment(sha256, time_s, "")}

    def change_video(self) -> View:
        """Offer the other videos; the present one stays until another is chosen."""
        return dict(self.picker.opened(self.context))

    def begin_chat(self, shown: str) -> View:
        """Begin a new chat about the video in the player."""
        return {**self.open_chat(""), **(self.choose(shown) if shown else {})}

    def open_chat(self, name: str) -> View:
        """Resume a chat; an empty or unknown name begins a new one."""
        view, exchanges, played = RunView(), [], self._no_video()
        try:
            exchanges = self.context.chats.exchanges(name) if name else []
            if exchanges:
                played = self._recall(view, exchanges[-1])
        except ReelgraphError as error:
            view.fail(error)
        begun = exchanges or view.notice
        shown = {self.answer: view.turn_html(), self.look: gr.update(visible=False)}
        return {
            **played,
            **(shown if begun else self._welcome(None)),
            **self._chat(name if exchanges else "", exchanges[:-1]),
            self.details: self._details(view),
        }

    def answer_question(
        self,
        chat: str,
        shown: str,
        path: str | None,
        question: str | None,
        options: str | None,
        profile: str,
        method: str,
    ) -> Iterator[View]:
        """Stream updates while a question waits for its turn and is answered."""
        lines = tuple(line for line in (options or "").splitlines() if line.strip())
        asked = Asked(shown or path or "", question or "", lines, profile, method)
        with self.context.running.turn(self.browser_tab, asked.question, chat or new_name()) as own:
            yield {self.question: "", self.options: "", **self._waiting()}
            if (yield from self._until_first(own)):
                yield self._buttons(busy=True)
                yield from self._answer(asked, own)
        yield self._waiting()

    def look_at(self, chat: str, shown: str) -> Iterator[View]:
        """Stream updates while all tools look at the chosen video ahead of any question."""
        with self.context.running.turn(self.browser_tab, LOOK, chat) as own:
            yield {self.look: gr.update(visible=False), **self._waiting()}
            if (yield from self._until_first(own)):
                yield self._buttons(busy=True)
                yield from self._look(shown)
        yield self._waiting()

    def stop_run(self) -> Any:
        """Ask this tab's run to stop between two pieces of work; the next in the queue begins."""
        count = self.context.running.stop(self.browser_tab)
        return gr.update(value="Stopping", interactive=False) if count else gr.skip()

    def drop(self, clicked: Mapping[str, str]) -> str:
        """Take back a question that waits."""
        place = str(clicked.get("drop", ""))
        if place.isdecimal():
            self.context.running.drop(self.browser_tab, int(place))
        return str(self._waiting()[self.queued])

    def _until_first(self, own: Ticket) -> Generator[View, None, bool]:
        """Wait for a ticket's turn; return whether it came, and the ticket was not dropped."""
        while not self.context.running.comes_first(self.browser_tab, own):
            yield self._waiting()
        return not own.dropped

    def _answer(self, asked: Asked, own: Ticket) -> Iterator[View]:
        view, video = RunView(question=asked.question, busy="Looking at the video"), None
        earlier = self.context.chats.exchanges(own.chat)
        yield {**self._chat(own.chat, earlier, busy=True), self.answer: view.turn_html()}
        try:
            session = self.context.sessions.get(asked.profile, asked.method)
            video = self.context.open(session, asked.video)
            view.watch(self.context.files.add(video), video)
            yield self._play(video)
            with self.context.running.run(self.browser_tab) as control:
                events = session.stream(
                    video.path, asked.question, asked.options, control, chat=own.chat
                )
                for event in follow(events, control):
                    if view.take(event):
                        yield {self.answer: view.turn_html()}
        except StoppedError as stop:
            view.fail(stop, kind="info")
        except ReelgraphError as error:
            view.fail(error)
        yield {self.answer: view.turn_html()}
        yield {**self._buttons(busy=False), **self._ended(view, video, own.chat)}

    def _look(self, path: str) -> Iterator[View]:
        view = RunView(question=LOOK, busy="Looking at the video", asked=False)
        try:
            video = self.context.open(self.context.sessions.first, path)
            with self.context.running.run(self.browser_tab) as control:
                events = self.context.sessions.first.stream_index(video.path, control)
                for event in follow(events, control):
                    if view.take(event):
                        yield {self.answer: view.turn_html()}
            yield {**self._buttons(busy=False), **self._welcome(video), **self._tell(video)}
        except ReelgraphError as error:
            view.fail(error, kind="info" if isinstance(error, StoppedError) else "error")
            again = {self.look: gr.update(visible=True)}
            yield {**self._buttons(busy=False), **again, self.answer: view.turn_html()}

    def _ended(self, view: RunView, video: Video | None, name: str) -> View:
        """Return the updates of the other widgets after a run."""
        try:
            known = self._tell(video, view.exchange) if video else {}
            if not view.exchange:
                return known
            earlier = self.context.chats.exchanges(name)[:-1]
            return {**known, self.details: self._details(view), **self._chat(name, earlier)}
        except ReelgraphError as error:
            view.fail(error)
            return {self.answer: view.turn_html()}

    def _recall(self, view: RunView, exchange: Exchange) -> View:
        """Show an exchange and its video, or none if the file is gone."""
        view.recall(exchange)
        if (video := self.context.video_of(exchange)) is None:
            return self._no_video()
        view.watch(self.context.files.add(video), video)
        return {**self._play(video), **self._tell(video, exchange)}

    def _open_moment(self, sha256: str, time_s: str, chat: str) -> View:
        """Play a known video from a time, as an address names them."""
        video = self.context.library.video(sha256)
        if video is None or not video.path.is_file():
            view = RunView()
            view.fail(ReelgraphError("The video of this address is not in this library."))
            return {self.answer: view.turn_html()}
        start_s = float(time_s) if time_s.replace(".", "", 1).isdecimal() else 0.0
        self.context.files.add(video)
        shown = {**self._play(video, min(start_s, video.duration_s)), **self._tell(video)}
        return shown if chat else {**shown, **self._welcome(video)}

    def _no_video(self) -> View:
        return {
            self.shown: "",
            self.look: gr.update(visible=False),
            **self.picker.opened(self.context),
            **self.viewer.play(self.context, None),
            **self.viewer.tell(None, ()),
        }

    def _play(self, video: Video, start_s: float = 0.0) -> View:
        played = self.viewer.play(self.context, video, start_s)
        return {self.shown: str(video.path), **self.picker.folded(), **played}

    def _tell(self, video: Video, exchange: Exchange | None = None) -> View:
        found = self.context.library.findings(video)
        return dict(self.viewer.tell(video, found, exchange))

    def _welcome(self, video: Video | None) -> View:
        """Return what stands in place of an answer before the first question."""
        found = self.context.library.findings(video) if video else ()
        asks = suggest(found, video.duration_s) if video else []
        title = video.path.name if video else ""
        shown = render("welcome", title=title, questions=asks, known=bool(found))
        return {self.answer: shown, self.look: gr.update(visible=bool(video) and not found)}

    def _waiting(self) -> View:
        return {
            self.queued: render("queued", questions=self.context.running.waiting(self.browser_tab))
        }

    def _details(self, view: RunView) -> str:
        return view.details_html(
            self.context.pictures_of(view.exchange["seen"] if view.exchange else ())
        )

    def _chat(self, name: str, earlier: Sequence[Exchange], *, busy: bool = False) -> View:
        videos = {exchange["sha256"]: self.context.video_of(exchange) for exchange in earlier}
        tokens = {sha: self.context.files.add(video) for sha, video in videos.items() if video}
        picker = gr.update(choices=chat_choices(self.context.chats), value=name, interactive=True)
        return {
            self.chat: name,
            self.history: history(name, earlier, tokens),
            **({} if busy else {self.chats: picker}),
        }

    def _buttons(self, *, busy: bool) -> View:
        return {
            self.stop: gr.update(interactive=busy, value="Stop"),
            self.look: gr.update(visible=False),
            self.chats: gr.update(interactive=not busy),
            self.fresh: gr.update(interactive=not busy),
        }


def _choices(choices: Sequence[Choice]) -> list[tuple[str, str]]:
    return [(choice.label, choice.name) for choice in choices]
