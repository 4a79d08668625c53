"""The Tools tab: every tool with its options and status, the models, and the compiled graph."""

import inspect
from dataclasses import dataclass
from typing import Any

import docstring_parser
import gradio as gr

from agent import doctor
from agent.methods import DEFAULT, methods
from agent.page.markup import render
from agent.page.page_context import PageContext
from agent.settings import Settings
from tools.base import Availability
from tools.errors import ReelgraphError
from tools.model_files.ready import ready
from tools.registry import broken_tools, make_tool, tool_classes


@dataclass(frozen=True, slots=True)
class ToolOption:
    """An option of a tool with its current value."""

    name: str
    value: Any
    meaning: str


@dataclass(frozen=True, slots=True)
class ToolCard:
    """The description of a tool."""

    name: str
    kind: str
    version: str
    needs: str
    origin: str
    summary: str
    state: Availability
    used: bool
    options: tuple[ToolOption, ...]

    @property
    def told(self) -> bool:
        """Whether any option has a description."""
        return any(option.meaning for option in self.options)


class ToolsTab:
    """The tab's widgets and their content."""

    def __init__(self, context: PageContext) -> None:
        self.context = context

    def lay_out(self) -> None:
        """Place the widgets."""
        self.list = gr.HTML("", elem_id="tools-list")
        with gr.Accordion("The graph, drawn from the code that runs", open=True):
            self.method = gr.Dropdown(
                list(methods()), value=self._method(), label="Method", elem_id="graph-of"
            )
            self.graph = gr.Markdown("", elem_id="graph")
        self.method.input(
            self.draw, [self.method], [self.graph], api_visibility="private", show_progress="hidden"
        )

    def show(self, method: str) -> tuple[str, str]:
        """Return the tools and the graph of a method."""
        session = self.context.sessions.first
        try:
            tools = [tool_card(name, session.settings) for name in tool_classes()]
            checks = [c for c in doctor.checks(session.settings) if not c.name.startswith("tool ")]
        except ReelgraphError as error:
            return render("notice", kind="error", text=str(error)), ""
        shown = render(
            "tools",
            profile=session.settings.profile,
            tools=tools,
            broken=list(broken_tools().values()),
            checks=checks,
        )
        return shown, self.draw(method)

    def draw(self, method: str) -> str:
        """Return the graph of a method as Markdown, which the browser renders."""
        drawn = self.context.sessions.get(method=method).mermaid()
        # Readers must be able to widen the lines, which an inline style of LangGraph's forbids.
        return f"```mermaid\n{drawn.replace(',line-height:1.2', '')}\n```"

    def _method(self) -> str:
        named = self.context.sessions.method
        return DEFAULT if named == "auto" else named


def tool_card(name: str, settings: Settings) -> ToolCard:
    """Describe a tool with the options of a profile; loads no model."""
    tool = make_tool(name, settings.tools.get(name, {}))
    values = tool.options.model_dump(mode="json")
    fields = type(tool.options).model_fields
    documented = docstring_parser.parse(inspect.getdoc(type(tool.options)) or "").params
    meanings = {attribute.arg_name: attribute.description or "" for attribute in documented}
    options = (
        ToolOption(key, values[key], field.description or meanings.get(key, ""))
        for key, field in fields.items()
        if key in values
    )
    return ToolCard(
        name=name,
        kind=tool.kind,
        version=tool.version,
        needs=", ".join([*sorted(tool.needs), *(f"what {one} finds" for one in sorted(tool.uses))]),
        origin=type(tool).__module__,
        summary=(inspect.getdoc(type(tool)) or "").split("\n\n")[0],
        state=ready(tool, settings.models),
        used=name in settings.ingest,
        options=tuple(options),
    )
