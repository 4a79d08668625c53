from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from agent.page.chats import chat_choices, chat_routes, history, new_name
from agent.page.page_context import PageContext
from agent.page.sessions import Sessions


@pytest.fixture
def context(
    open_session: Callable[..., Any], scripted: Callable[..., Any], harbour: Path
) -> PageContext:
    chat = scripted()
    sessions = Sessions(open_session=lambda _, values: open_session(chat, **values))
    question = "What is the gate code that I have to know to get into the harbour at night?"
    sessions.first.ask(harbour, question, chat="trip")
    return PageContext(sessions)


@pytest.fixture
def client(context: PageContext) -> TestClient:
    return TestClient(Starlette(routes=chat_routes(context)))


def test_a_chat_is_downloaded_in_two_forms(client: TestClient, harbour: Path) -> None:
    markdown, plain = client.get("/chat/trip.md"), client.get("/chat/trip.json")
    assert "7391" in markdown.text
    assert markdown.headers["content-disposition"] == 'attachment; filename="chat.md"'
    assert plain.json()[0]["answer"]["answer"] == "7391"
    assert str(harbour.parent) not in markdown.text + plain.text


@pytest.mark.parametrize(
    "path", ["nobody.md", "trip.sqlite", "trip", "..%2fchats.sqlite", "%00.md"]
)
def test_nothing_else_is_downloaded(client: TestClient, path: str) -> None:
    assert client.get(f"/chat/{path}").status_code == 404


def test_a_picker_begins_with_a_new_chat(context: PageContext) -> None:
    (new, none), (label, name) = chat_choices(context.chats)
    assert (new, none, name) == ("New chat", "", "trip")
    assert label.startswith("What is the gate code")
    assert len(label) < 70
    assert new_name() != new_name()


def test_a_video_that_has_gone_is_none(context: PageContext, harbour: Path) -> None:
    (exchange,) = context.chats.exchanges("trip")
    video = context.video_of(exchange)
    assert video is not None
    assert video.path == harbour
    harbour.unlink()
    assert context.video_of(exchange) is None


def test_a_chat_may_have_any_name(context: PageContext, client: TestClient, harbour: Path) -> None:
    context.sessions.first.ask(harbour, "What is the gate code?", chat='a/b "c"?')
    assert 'href="chat/a/b%20%22c%22%3F.md"' in history('a/b "c"?', [])
    assert client.get("/chat/a/b%20%22c%22%3F.md").status_code == 200
