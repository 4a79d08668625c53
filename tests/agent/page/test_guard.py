"""What the page refuses: foreign names and sites, and people who have not signed in."""

from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from agent.page import guard
from agent.page.guard import OwnSite, SignIn, user_of
from agent.page.users import Users
from tools.errors import InputError

HOME = "http://localhost:7860"


def client_of(*middleware: Middleware, home: str = HOME) -> TestClient:
    def who(request: Request) -> PlainTextResponse:
        return PlainTextResponse(f"hello {user_of(request)}")

    routes = [Route("/{path:path}", who, methods=["GET", "POST"])]
    return TestClient(Starlette(routes=routes, middleware=middleware), home)


@pytest.mark.parametrize("host", ["evil.test", "evil.test:7860", "127.0.0.1.evil.test", ""])
def test_a_name_that_only_resolves_to_this_machine_is_refused(host: str) -> None:
    client = client_of(Middleware(OwnSite))
    assert client.get("/", headers={"host": host}).status_code == 403


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:7860", "[::1]:7860", "LOCALHOST:1"])
def test_this_machine_is_served_by_each_of_its_names(host: str) -> None:
    assert client_of(Middleware(OwnSite)).get("/", headers={"host": host}).status_code == 200


def test_a_proxy_is_served_under_the_name_it_was_given() -> None:
    client = client_of(
        Middleware(OwnSite, names=("videos.example",)), home="https://videos.example"
    )
    assert client.post("/", headers={"origin": "https://videos.example"}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.test"},
        {"origin": "http://localhost:9999"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
    ],
)
def test_nothing_is_taken_from_another_site(headers: dict[str, str]) -> None:
    client = client_of(Middleware(OwnSite))
    assert client.post("/gradio_api/queue/join", headers=headers).status_code == 403
    assert client.get("/", headers=headers).status_code == 200  # a link to the page


def test_the_page_itself_and_programs_may_post() -> None:
    client = client_of(Middleware(OwnSite))
    own = {"origin": HOME, "sec-fetch-site": "same-origin"}
    assert client.post("/", headers=own).status_code == 200
    assert client.post("/").status_code == 200  # no browser


def test_a_token_in_the_address_moves_into_a_cookie(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "PAUSE_S", 0.0)
    users = Users.read("token")
    client = client_of(Middleware(SignIn, users=users))
    assert client.get("/").status_code == 401
    assert client.get("/?token=wrong").status_code == 401
    moved = client.get(f"/?token={users.token}", follow_redirects=False)
    assert (moved.status_code, moved.headers["location"]) == (303, "/")
    assert "HttpOnly" in moved.headers["set-cookie"]
    assert client.get("/").status_code == 200
    bearer = {"authorization": f"Bearer {users.token}"}
    assert client_of(Middleware(SignIn, users=users)).get("/", headers=bearer).status_code == 200


def test_people_sign_in_with_name_and_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "PAUSE_S", 0.0)
    file = tmp_path / "people.txt"
    file.write_text("# who\nada:a:b c\ngrace:päss\n", encoding="utf-8")
    file.chmod(0o600)
    client = client_of(Middleware(SignIn, users=Users.read(str(file))))
    asked = client.get("/")
    assert (asked.status_code, "Basic" in asked.headers["www-authenticate"]) == (401, True)
    assert client.get("/", auth=("ada", "a:b c")).text == "hello ada"
    assert client.get("/", auth=("grace", "päss".encode())).text == "hello grace"
    for wrong in (("ada", "päss"), ("", "a:b c"), ("ada", ""), ("nobody", "x")):
        assert client.get("/", auth=wrong).status_code == 401
    assert client.get("/", headers={"authorization": "Basic ???"}).status_code == 401


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ada", "line 1"),
        ("ada:", "line 1"),
        ("../ada:x", "line 1"),
        ("ada:x\nada:y", "line 2"),
        ("", "names nobody"),
    ],
)
def test_a_bad_file_of_people_is_refused(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "people.txt"
    file.write_text(text)
    file.chmod(0o600)
    with pytest.raises(InputError, match=words):
        Users.read(str(file))


def test_a_file_of_people_that_others_can_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "people.txt"
    file.write_text("ada:x")
    file.chmod(0o644)
    with pytest.raises(InputError, match="chmod 600"):
        Users.read(str(file))
    with pytest.raises(InputError, match="takes the word token"):
        Users.read(str(tmp_path / "nowhere.txt"))
