"""Choosing a video in one step: drop it, type its path, or take one that is known."""

from pathlib import Path
from typing import Any

import gradio as gr

from agent.page.markup import render
from agent.page.page_context import PageContext
from agent.text import clock
from tools.errors import ReelgraphError
from tools.media.video import Video

DEMO = "demo"
# A click on a card is an event with its data; "input" filters the cards as one types.
CLICKS = """element.addEventListener("click", (event) => {
  const card = event.target.closest("[data-pick]");
  if (card) trigger("click", { pick: card.dataset.pick });
});"""


class Picker:
    """The widgets that choose a video; they fold away when one is chosen."""

    def __init__(self, demo: Path) -> None:
        self.demo = demo

    def lay_out(self) -> None:
        """Place the widgets."""
        with gr.Column(elem_id="picker") as self.box:
            self.upload = gr.File(
                label="Drop a video or sound file here",
                show_label=False,
                file_types=["video", "audio"],
                height=110,
                elem_id="upload",
            )
            self.path = gr.Textbox(
                label="Search your videos, or give a path on this computer and press Enter",
                show_label=False,
                container=False,
                placeholder="Search your videos, or type a path and press Enter",
                elem_id="path",
            )
            self.shelf = gr.HTML("", elem_id="shelf", js_on_load=CLICKS)
        self.widgets: list[Any] = [self.box, self.upload, self.path, self.shelf]

    def opened(self, context: PageContext) -> Any:
        """Return the open picker with the videos that are known."""
        return {self.box: gr.update(visible=True), self.shelf: self.cards(context)}

    def folded(self) -> Any:
        """Return the picker folded away."""
        return {self.box: gr.update(visible=False), self.upload: None, self.path: ""}

    def path_of(self, context: PageContext, pick: str) -> str:
        """Return the path of a card; "" if its video is gone."""
        if pick == DEMO:
            return str(self.demo)
        video = context.library.video(pick)
        return str(video.path) if video else ""

    def cards(self, context: PageContext) -> str:
        """Return the videos that are known as cards, newest first."""
        try:
            entries = context.library.entries()
        except ReelgraphError as error:
            return render("notice", kind="error", text=str(error))
        known = [e.video for e in reversed(entries) if e.video.path.is_file()]
        seen = {e.video.sha256 for e in entries if e.runs}
        offers = self.demo.is_file() and all(v.path != self.demo for v in known)
        cards = [_card(context, video, video.sha256 in seen) for video in known]
        return render("shelf", cards=cards, demo=DEMO if offers else "")


def _card(context: PageContext, video: Video, looked_at: bool) -> dict[str, Any]:
    token = context.files.add(video)
    picture = f"picture/{token}/{int(video.duration_s * 500)}" if video.has_picture else ""
    return {
        "pick": video.sha256,
        "name": video.path.name,
        "length": clock(video.duration_s),
        "picture": picture,
        "looked_at": looked_at,
    }
