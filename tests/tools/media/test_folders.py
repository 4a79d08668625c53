"""Folders with links that lead back, hidden files, and files of other kinds."""

from pathlib import Path

import pytest

from tools.errors import InputError
from tools.media.folders import find_videos


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("z/b.MKV", "z/notes.txt", "z/._b.mkv", "a.mp4", ".git/c.mp4", "z/b.srt"):
        file = tmp_path / "films" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    (tmp_path / "films" / "z" / "back").symlink_to(tmp_path / "films")
    (tmp_path / "films" / "early").symlink_to("z")  # sorts before the real folder
    (tmp_path / "films" / "gone.mp4").symlink_to("nowhere.mp4")
    return tmp_path / "films"


def test_each_folder_is_entered_once_by_its_real_name(folder: Path) -> None:
    assert find_videos([folder]) == [folder / "a.mp4", folder / "z" / "b.MKV"]


def test_a_file_that_is_named_is_taken_whatever_its_suffix(folder: Path) -> None:
    named = folder / "z" / "notes.txt"
    assert find_videos([named, folder, folder / "a.mp4"])[0] == named
    assert len(find_videos([named, folder, folder / "a.mp4"])) == 3


def test_links_to_other_folders_are_followed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "to").symlink_to(folder / "z")
    (tmp_path / "links" / "film.mp4").symlink_to(folder / "a.mp4")
    found = find_videos([tmp_path / "links"])
    # By the links' names; `back` leads from z to the rest, but not to z again.
    names = {path.relative_to(tmp_path / "links").as_posix() for path in found}
    assert names == {"film.mp4", "to/b.MKV", "to/back/a.mp4"}


def test_nothing_to_do_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no video in"):
        find_videos([tmp_path])
    with pytest.raises(InputError, match="there is no file or folder"):
        find_videos([tmp_path / "gone"])
