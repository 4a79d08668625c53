"""The Search tab: look for words in all videos of the library, and open the moments found."""

from typing import Any

import gradio as gr

from agent.page.cited import KINDS
from agent.page.markup import render
from agent.page.tab import OWN, Tab
from agent.search.moments import Moment
from tools.errors import ReelgraphError

TOP = 30  # moments on the page
# A click on a moment is an event with its data; the page opens it in the Ask tab.
OPENS = """element.addEventListener("click", (event) => {
  const moment = event.target.closest("[data-open]");
  if (moment) trigger("click", { video: moment.dataset.open, time: moment.dataset.time });
});"""


class SearchTab(Tab):
    """The tab's widgets and event handlers."""

    def lay_out(self) -> None:
        """Place the widgets and attach the event handlers."""
        with gr.Row(equal_height=True, elem_id="search-row"):
            query = gr.Textbox(
                label="What to look for in all videos",
                show_label=False,
                placeholder="Search what was said, shown or seen in all videos",
                container=False,
                scale=6,
                elem_id="search-query",
            )
            kinds = [("everything", ""), *((name, kind) for kind, name in KINDS.items())]
            kind = gr.Dropdown(
                kinds,
                value="",
                label="Among what",
                show_label=False,
                container=False,
                min_width=130,
                elem_id="search-kind",
            )
            start = gr.Button("Search", variant="primary", min_width=90, scale=0, elem_id="search")
        self.found = gr.HTML(render("search", found=None), elem_id="search-found", js_on_load=OPENS)
        gr.on(
            [start.click, query.submit, kind.input],
            self.own(self.search),
            [query, kind],
            [self.found],
            trigger_mode="always_last",
            **{**OWN, "show_progress": "minimal"},  # the first search loads a model
        )

    def search(self, query: str | None, kind: str) -> str:
        """Return the moments as cards, best first."""
        try:
            kinds = [kind] if kind else []
            found = self.context.search.search(query or "", kinds=kinds, top=TOP)
        except ReelgraphError as error:
            return render("notice", kind="error", text=str(error))
        pictures = [self._picture(moment) for moment in found.moments]
        return render("search", found=found, pictures=pictures)

    def _picture(self, moment: Moment) -> str:
        folder = self.context.library.folder
        return self.context.files.add_picture(folder, str(moment.thumbnail or ""))


def opens(found: gr.HTML, ask: Any, tabs: gr.Tabs) -> None:
    """Let the moments in some HTML (`OPENS`) be opened in the Ask tab.

    Args:
        found: Holds buttons with `data-open`, a video's hash, and `data-time` in seconds.
        ask: The Ask tab, whose id among the tabs is "ask".
        tabs: All tabs.
    """
    shown = found.click(ask.own_click(ask.show_moment), [ask.shown], ask.view, **OWN)
    shown.then(lambda: gr.Tabs(selected="ask"), None, tabs, **OWN)
