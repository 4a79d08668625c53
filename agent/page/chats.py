"""Chats on the page: the history, the list of chats, and their export."""

import json
import secrets
from collections.abc import Mapping, Sequence

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agent.chats.export import as_markdown
from agent.library.chats import Chats
from agent.library.exchange import Exchange
from agent.page.guard import user_of
from agent.page.markup import render
from agent.page.page_context import PageContext
from tools.errors import ReelgraphError

NEW = "New chat"
MAX_TITLE = 48  # characters of the first question in the list


def new_name() -> str:
    """Return an unguessable name for a chat."""
    return secrets.token_urlsafe(9)


def chat_choices(chats: Chats) -> list[tuple[str, str]]:
    """Return the chats for a picker, the latest first, after an entry for a new one."""
    return [(NEW, ""), *((_label(e.title, e.when), e.name) for e in chats.entries())]


def history(name: str, earlier: Sequence[Exchange], tokens: Mapping[str, str] | None = None) -> str:
    """Return the questions before the last one, oldest first, with moments to click.

    Args:
        name: Name of the chat; empty for a new one.
        earlier: All but the last exchange, oldest first.
        tokens: Tokens of the videos that can be played, by hash.
    """
    return render("history", chat=name, exchanges=earlier, tokens=tokens or {})


def chat_routes(context: PageContext) -> list[Route]:
    """Return the routes for the download of a chat."""

    def download(request: Request) -> Response:
        name, form = request.path_params["name"], request.path_params["form"]
        try:
            exchanges = context.of(user_of(request)).chats.find(name)
        except ReelgraphError as error:
            raise HTTPException(404, "there is no such chat") from error
        text, kind = _exported(exchanges, form)
        headers = {"Content-Disposition": f'attachment; filename="chat.{form}"'}
        return Response(text, media_type=kind, headers=headers)

    return [Route("/chat/{name:path}.{form}", download)]


def _exported(exchanges: Sequence[Exchange], form: str) -> tuple[str, str]:
    if form == "md":
        return as_markdown(exchanges), "text/markdown"
    if form == "json":
        return json.dumps(exchanges, ensure_ascii=False, indent=2), "application/json"
    raise HTTPException(404, "a chat is exported as md or json")


def _label(title: str, when: str) -> str:
    short = title if len(title) <= MAX_TITLE else f"{title[: MAX_TITLE - 1]}…"
    return f"{short} ({when[:10]})"
