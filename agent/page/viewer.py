"""The chosen video: player, what is said and shown in it as searchable text, and timeline."""

from collections.abc import Sequence
from typing import Any

import gradio as gr

from agent.library.exchange import Exchange
from agent.page import timeline
from agent.page.markup import render
from agent.page.page_context import PageContext
from tools.evidence import Evidence
from tools.media.video import Video

CHANGES = """element.addEventListener("click", (event) => {
  if (event.target.closest("[data-change]")) trigger("click", {});
});"""
MAX_LINES = 5000  # of the transcript; more make a browser slow
READ = ("speech", "text")  # kinds of evidence in it


class Viewer:
    """The widgets beside the conversation."""

    def lay_out(self) -> None:
        """Place the widgets."""
        self.player = gr.HTML("", elem_id="player", js_on_load=CHANGES)
        with gr.Accordion(
            "Timeline", open=True, visible="hidden", elem_id="timeline-box"
        ) as self.time_box:
            self.plot = gr.Plot(show_label=False, elem_id="timeline")
        self.transcript = gr.HTML("", elem_id="transcript")
        self.widgets: list[Any] = [self.player, self.time_box, self.plot, self.transcript]

    def play(self, context: PageContext, video: Video | None, start_s: float = 0.0) -> Any:
        """Return the player of a video, at a time in seconds."""
        token = context.files.add(video) if video else ""
        title = video.path.name if video else ""
        shown = render("player", token=token, video=video, title=title, start_s=start_s)
        return {self.player: shown}

    def tell(
        self, video: Video | None, found: Sequence[Evidence], exchange: Exchange | None = None
    ) -> Any:
        """Return transcript and timeline of a video, with the moments that an answer cites."""
        cited = [Evidence(**item) for item in exchange["answer"]["evidence"]] if exchange else []
        figure = timeline.draw(video, found, cited) if video and found else None
        lines = [record for record in found if record.kind in READ]
        kinds = sorted({record.kind for record in lines})
        return {
            self.time_box: gr.update(visible=True if figure else "hidden"),
            self.plot: figure,
            self.transcript: render(
                "transcript", lines=lines[:MAX_LINES], count=len(lines), kinds=kinds
            ),
        }
