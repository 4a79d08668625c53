from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from agent.page.files import ChosenFiles
from tools.media.video import Video, probe


@pytest.fixture
def clip(make_clip: Callable[..., Path]) -> Video:
    return probe(make_clip(seconds=2.0))


@pytest.fixture
def files() -> ChosenFiles:
    return ChosenFiles()


@pytest.fixture
def client(files: ChosenFiles) -> TestClient:
    return TestClient(Starlette(routes=files.routes()))


def test_a_player_can_jump_in_a_chosen_video(
    files: ChosenFiles, client: TestClient, clip: Video
) -> None:
    address = f"/watch/{files.add(clip)}"
    part = client.get(address, headers={"Range": "bytes=10-19"})
    assert part.status_code == 206
    assert part.content == clip.path.read_bytes()[10:20]
    assert files.add(clip) == address.rpartition("/")[2]


def test_a_picture_is_that_of_its_time(files: ChosenFiles, client: TestClient, clip: Video) -> None:
    token = files.add(clip)
    early, late, beyond = (client.get(f"/picture/{token}/{ms}") for ms in (0, 1000, 10**9))
    assert early.headers["content-type"] == "image/jpeg"
    assert early.content != late.content
    assert beyond.status_code == 200


@pytest.mark.parametrize("way", ["watch", "picture"])
@pytest.mark.parametrize(
    "name", ["nobody", "..%2f..%2fetc%2fpasswd", "%2fetc%2fpasswd", "../../etc/passwd"]
)
def test_nothing_else_is_served(client: TestClient, way: str, name: str) -> None:
    end = "/0" if way == "picture" else ""
    assert client.get(f"/{way}/{name}{end}").status_code == 404


def test_a_deleted_video_is_served_no_more(
    files: ChosenFiles, client: TestClient, clip: Video
) -> None:
    address = f"/watch/{files.add(clip)}"
    files.remove(clip)
    assert client.get(address).status_code == 404
    assert files.add(clip) not in address


def test_a_video_that_has_gone_is_no_crash(
    files: ChosenFiles, client: TestClient, clip: Video
) -> None:
    token = files.add(clip)
    clip.path.unlink()
    assert client.get(f"/watch/{token}").status_code == 404


def test_sound_alone_has_no_picture(
    files: ChosenFiles, client: TestClient, make_clip: Callable[..., Path]
) -> None:
    sound = probe(make_clip("tone.wav", picture=False, audio=True, seconds=1.0))
    assert client.get(f"/picture/{files.add(sound)}/0").status_code == 404


def test_a_picture_that_was_shown_to_a_model_can_be_seen(
    files: ChosenFiles, client: TestClient, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "grid.jpg").write_bytes(b"picture")
    address = files.add_picture(tmp_path, "in/grid.jpg")
    assert client.get(address).content == b"picture"
    assert files.add_picture(tmp_path, "in/grid.jpg") == address
    (tmp_path / "in" / "grid.jpg").unlink()
    assert client.get(address).status_code == 404
    assert files.add_picture(tmp_path, "in/grid.jpg") == ""


@pytest.mark.parametrize("name", ["../secret.txt", "/etc/passwd", "in/../../secret.txt", "link"])
def test_no_picture_leads_out_of_the_folder(
    files: ChosenFiles, client: TestClient, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "library"
    folder.mkdir()
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "link").symlink_to(tmp_path / "secret.txt")
    assert files.add_picture(folder, name) == ""
    assert client.get("/seen/nobody").status_code == 404
