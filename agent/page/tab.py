"""What the tabs have in common: handlers that act for the person who called them."""

import inspect
from collections.abc import Callable, Iterator
from copy import copy
from typing import Any, Self

import gradio as gr

from agent.page.guard import user_of
from agent.page.page_context import PageContext

OWN: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}  # no endpoint


class Tab:
    """A tab: its widgets, its handlers, and the context that these work on.

    Attributes:
        context: Of the person who called, inside a handler that was attached by `own`.
        request: The browser's request, likewise.
    """

    request: gr.Request

    def __init__(self, context: PageContext) -> None:
        self.context = context

    @property
    def browser_tab(self) -> str:
        """Name of the browser tab that called."""
        return str(self.request.session_hash)

    def own(self, handler: Callable[..., Any]) -> Callable[..., Any]:
        """Return a handler (one of this tab's methods) for Gradio that acts for the caller."""
        name = handler.__name__

        def run(request: gr.Request, *values: Any) -> Any:
            return getattr(self._for(request), name)(*values)

        def stream(request: gr.Request, *values: Any) -> Iterator[Any]:
            yield from getattr(self._for(request), name)(*values)

        return stream if inspect.isgeneratorfunction(handler) else run

    def own_click(self, handler: Callable[..., Any]) -> Callable[..., Any]:
        """Like `own`, for a click inside of HTML; its data come first."""
        name = handler.__name__

        def run(request: gr.Request, event: gr.EventData, *values: Any) -> Any:
            return getattr(self._for(request), name)(event._data or {}, *values)

        return run

    def _for(self, request: gr.Request) -> Self:
        twin = copy(self)  # the same widgets
        twin.context, twin.request = self.context.of(user_of(request)), request
        return twin
