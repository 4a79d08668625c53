"""Who may talk to the page: browsers that are on it, and with `--auth` people who have signed in.

A page on localhost can be reached by any site that a browser has open. Names that only resolve to
this machine (DNS rebinding) and posts from other sites are refused before anything is read.
"""

import asyncio
import base64
import binascii
from typing import Any
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from agent.page.users import Users

OWN_NAMES = ("127.0.0.1", "localhost", "::1")
READS = ("GET", "HEAD", "OPTIONS")
SIGNED_IN = "reelgraph.user"  # in the scope of a request
COOKIE = "reelgraph"
OPEN_PATH = "/gradio_api/startup-events"  # Gradio asks itself whether it has started
PAUSE_S = 1.0  # after a wrong password, so that nobody can try many


def user_of(request: Any) -> str:
    """Return who signed in, of a request of Gradio or Starlette; "" where nobody has to."""
    scope = getattr(getattr(request, "request", None) or request, "scope", None) or {}
    return str(scope.get(SIGNED_IN, ""))


class OwnSite:
    """ASGI middleware that refuses foreign host names, and posts that other sites send."""

    def __init__(self, app: ASGIApp, names: tuple[str, ...] = ()) -> None:
        """Wrap an application.

        Args:
            app: What is protected.
            names: Host names besides localhost under which the page may be reached.
        """
        self._app = app
        self._names = {*OWN_NAMES, *names}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] in ("http", "websocket") and (why := self._refusal(scope)):
            await PlainTextResponse(why, status_code=403)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> str:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if urlsplit(f"//{host}").hostname not in self._names:
            return "this page answers to localhost only; start it with --host-name for another name"
        if scope["type"] == "http" and scope["method"] in READS:
            return ""
        origin = headers.get("origin")
        foreign = urlsplit(origin).netloc != host if origin else False
        if foreign or headers.get("sec-fetch-site") in ("cross-site", "same-site"):
            return "this page takes nothing that another site sends"
        return ""


class SignIn:
    """ASGI middleware that asks for a name and a password, or for a token."""

    def __init__(self, app: ASGIApp, users: Users) -> None:
        self._app = app
        self._users = users

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with its user in the scope, or ask who it is."""
        if scope["type"] not in ("http", "websocket") or scope["path"] == OPEN_PATH:
            await self._app(scope, receive, send)
            return
        name, password = _given(HTTPConnection(scope))
        user = self._users.find(name, password)
        if user is None:
            if password:
                await asyncio.sleep(PAUSE_S)
            await _ask(self._users)(scope, receive, send)
        elif _in_address(scope) == password and scope["type"] == "http":
            await _keep(scope, password)(scope, receive, send)
        else:
            scope[SIGNED_IN] = user
            await self._app(scope, receive, send)


def _given(request: HTTPConnection) -> tuple[str, str]:
    """Return the name and the password or token of a request; "" for what is missing."""
    kind, _, value = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "basic":
        try:
            decoded = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return "", ""
        name, _, password = decoded.partition(":")
        return name, password
    if kind.lower() == "bearer":
        return "", value
    return "", _in_address(request.scope) or str(request.cookies.get(COOKIE, ""))


def _in_address(scope: Scope) -> str:
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
    return str(query.get("token", [""])[0])


def _ask(users: Users) -> Response:
    told = 'Basic realm="reelgraph", charset="UTF-8"'
    text = "sign in, or open the address with the token that was printed at the start"
    return PlainTextResponse(
        text if users.token else "sign in", status_code=401, headers={"WWW-Authenticate": told}
    )


def _keep(scope: Scope, token: str) -> Response:
    """Keep the token of an address in a cookie, so that it stands in no bookmark."""
    response = RedirectResponse(scope["path"], status_code=303)
    response.set_cookie(COOKIE, token, httponly=True, samesite="strict")
    return response
