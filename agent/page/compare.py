"""The Compare tab: one question by several methods, their answers and costs side by side."""

from collections.abc import Iterator, Sequence
from typing import Any

import gradio as gr
from langgraph.runtime import RunControl

from agent.comparison.compare import DEFAULT, compare
from agent.comparison.rows import told_in_common
from agent.page.markup import render
from agent.page.run_tab import RunTab
from agent.session import Event
from tools.media.video import Video


class CompareTab(RunTab):
    """The comparison of methods."""

    name, action, result_kind = "compare", "Compare", "comparison"
    result_id = "compare-result"

    def lay_out_fields(self) -> list[Any]:
        """Place the question, its options and the methods."""
        question = gr.Textbox(label="Question", elem_id="compare-question")
        options = gr.Textbox(
            label="Options, one a line (for a multiple choice)", lines=2, elem_id="compare-options"
        )
        choices = [(c.label, c.name) for c in self.context.sessions.method_choices()]
        methods = gr.CheckboxGroup(
            choices, value=list(DEFAULT), label="Methods", elem_id="compare-methods"
        )
        return [question, options, methods]

    def run(self, video: Video, values: Sequence[Any], control: RunControl) -> Iterator[Event]:
        """Ask by each method."""
        question, options, methods = values
        lines = [line for line in (options or "").splitlines() if line.strip()]
        session = self.context.sessions.first
        return compare(session, video.path, question or "", methods or [], lines, control)

    def result(self, video: Video | None, found: Any) -> str:
        """Return a column a method."""
        common = told_in_common(found) if found else ()
        return render("compare", comparison=found, common=common)
