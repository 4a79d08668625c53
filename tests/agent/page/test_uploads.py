"""Uploads: what a real server rejects, and which files expire unused."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from time import time
from typing import Any

import httpx
import pytest

from agent.page.uploads import FORGOTTEN_S, Uploads
from agent.session import Session
from tools.errors import InputError


@pytest.mark.slow
def test_uploads_are_turned_away_when_their_sum_would_be_too_large(
    serve: Callable[..., str], scripted: Callable[..., Any], own_library: Path
) -> None:
    address = f"{serve(scripted(), max_uploads=5_000)}gradio_api/upload"

    def send(name: str, size: int) -> httpx.Response:
        return httpx.post(address, files={"files": (name, name.encode() * (size // len(name)))})

    def kept() -> list[str]:
        return sorted(file.name for file in (own_library / "uploads").rglob("*.mp4"))

    assert send("one.mp4", 3_000).status_code == 200
    refused = send("two.mp4", 3_000)
    assert refused.status_code == 413
    assert "delete videos in the tab Library" in refused.text
    assert send("six.mp4", 1_000).status_code == 200
    assert kept() == ["one.mp4", "six.mp4"]

    def pieces() -> Iterator[bytes]:
        yield b"of no known length"

    assert httpx.post(address, content=pieces()).status_code == 411
    assert kept() == ["one.mp4", "six.mp4"]


def test_what_is_on_its_way_counts_until_it_is_there(open_session: Callable[..., Session]) -> None:
    uploads = Uploads(open_session().library, max_sum=100)
    uploads.let_in(60)
    with pytest.raises(InputError, match="uploads hold"):
        uploads.let_in(60)
    uploads.came_in(60)
    uploads.let_in(60)


def test_a_file_that_nobody_asked_about_goes_after_a_day(
    open_session: Callable[..., Session],
    scripted: Callable[..., Any],
    make_clip: Callable[..., Path],
) -> None:
    session = open_session(scripted())
    uploads = Uploads(session.library)

    def upload(name: str, seconds: float, age_s: float = FORGOTTEN_S + 60) -> Path:
        file = uploads.folder / name / f"{name}.mp4"
        file.parent.mkdir(parents=True)
        shutil.move(make_clip(seconds=seconds, size=(64, 48)), file)
        os.utime(file, (time() - age_s,) * 2)
        return file

    asked, talked, fresh = (
        upload(name, n) for n, name in enumerate(("asked", "talked", "fresh"), 1)
    )
    os.utime(fresh)
    seen, unknown = upload("seen", 4), upload("unknown", 5)
    session.index(asked)
    session.probe(seen)
    blind = open_session(scripted(), method="blind")
    blind.ask(talked, "What is the gate code?", chat="trip")
    uploads.sweep()
    assert [file.is_file() for file in (asked, talked, fresh)] == [True] * 3
    assert not seen.parent.exists()
    assert not unknown.parent.exists()
    known = {entry.video.path for entry in session.library.entries()}
    assert known == {asked, talked}
    assert session.library.chats.exchanges("trip")


def test_only_uploads_are_ever_dropped(
    open_session: Callable[..., Session], tmp_path: Path
) -> None:
    uploads = Uploads(open_session().library)
    own = tmp_path / "own.mp4"
    own.write_bytes(b"x")
    uploads.drop(own)
    uploads.drop(uploads.folder / ".." / ".." / "own.mp4")
    assert own.is_file()
    assert uploads.size == 0


def test_uploads_of_people_with_names_count_together_and_lie_apart(
    open_session: Callable[..., Session], tmp_path: Path
) -> None:
    root = Uploads(open_session(library=str(tmp_path)).library, max_sum=100)
    own = Uploads(open_session(library=str(tmp_path / "users" / "ada")).library, max_sum=100)
    came = root.folder / "0a1b" / "clip.mp4"
    came.parent.mkdir(parents=True)
    came.write_bytes(b"x" * 60)
    kept = own.take_over(came)
    assert (kept in own, kept in root, came.parent.exists()) == (True, False, False)
    assert own.take_over(kept) == kept
    assert (own.size, root.size) == (60, 60)
    with pytest.raises(InputError, match="uploads hold"):
        root.let_in(60)
