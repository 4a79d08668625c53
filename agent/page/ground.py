"""The Moments tab: say what to look for, see and play the intervals in which it is."""

from collections.abc import Iterator, Sequence
from typing import Any

import gradio as gr
from langgraph.runtime import RunControl

from agent.page.markup import render
from agent.page.run_tab import RunTab
from agent.session import Event
from tools.media.video import Video


class GroundTab(RunTab):
    """Temporal grounding."""

    name, action, result_kind = "ground", "Find", "answer"
    result_id = "ground-result"

    def lay_out_fields(self) -> list[Any]:
        """Place the description."""
        what = gr.Textbox(
            label="What to look for", placeholder="a door opens", elem_id="ground-what"
        )
        return [what]

    def run(self, video: Video, values: Sequence[Any], control: RunControl) -> Iterator[Event]:
        """Ground the description."""
        session = self.context.sessions.get(method="ground")
        return session.stream(video.path, values[0] or "", control=control)

    def result(self, video: Video | None, found: Any) -> str:
        """Return the intervals, each with a player of its own that plays nothing else."""
        token = self.context.files.add(video) if video else ""
        return render("ground", answer=found, token=token, video=video)
