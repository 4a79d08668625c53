"""The page, served for one test, and a browser that looks at it."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from agent.page.page_context import PageContext
from agent.page.sessions import Sessions
from agent.page.uploads import MAX_SUM
from agent.page.users import Users
from app import launch

WAIT_MS = 30_000  # only a failure waits so long
expect.set_options(timeout=WAIT_MS)

OpenSession = Callable[..., Any]


@pytest.fixture
def serve(
    open_session: OpenSession, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., str]]:
    """Serve the page for this test: `serve(chat, mcp_server=True, **settings)` -> its address."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", "")  # `launch` sets it; put back after the test
    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    with ExitStack() as stack:

        def served(
            chat: object,
            *,
            mcp_server: bool = False,
            max_hours: float = 12.0,
            max_uploads: int = MAX_SUM,
            users: Users | None = None,
            **settings: Any,
        ) -> str:
            sessions = Sessions(
                settings=settings, open_session=lambda _, values: open_session(chat, **values)
            )
            context = PageContext(
                sessions, max_hours=max_hours, max_uploads=max_uploads, named=users is not None
            )
            page = launch(
                context, users, prevent_thread_lock=True, quiet=True, mcp_server=mcp_server
            )
            stack.callback(page.close, verbose=False)
            return str(page.local_url)

        yield served


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium; skips where none is installed."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("no Chromium is installed: apt-get install chromium")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open an address in a tab of its own; fails if the tab talked to any other machine."""
    with ExitStack() as stack:
        strangers: list[str] = []

        def opened(address: str, **options: Any) -> Page:
            context = browser.new_context(viewport={"width": 1280, "height": 900}, **options)
            stack.callback(context.close)
            page = context.new_page()
            page.set_default_timeout(WAIT_MS)
            home = address.partition("?")[0]
            inside = (home, home.replace("http", "ws"), "data:", "blob:")
            page.on(
                "request", lambda r: None if r.url.startswith(inside) else strangers.append(r.url)
            )
            page.goto(address)
            page.locator("#ask").wait_for()
            return page

        yield opened
    assert not strangers
