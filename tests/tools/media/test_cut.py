from collections.abc import Callable
from pathlib import Path

import pytest

from tools.errors import InputError, StorageError
from tools.media.cut import cut, join_pictures
from tools.media.readers import open_video
from tools.media.video import probe


@pytest.mark.parametrize(
    "clip",
    [
        {"audio": True, "seconds": 6.0},
        {"rotation": 90},
        {"flipped": True},
        {"start_s": 3.0},
        {"b_frames": 2},
        {"fps": 3},
    ],
    ids=lambda clip: next(iter(clip)),
)
def test_a_part_shows_what_the_player_shows_there(
    make_clip: Callable[..., Path], read_time: Callable[..., float], tmp_path: Path, clip: dict
) -> None:
    source, target = (
        make_clip("whole.mkv" if "start_s" in clip else "whole.mp4", **clip),
        tmp_path / "part.mp4",
    )

    cut(source, 1.5, 3.1, target)

    whole, part = probe(source), probe(target)
    times = [0.0, 0.5, 1.0, 1.4]
    shown = [read_time(frame.image) for frame in open_video(part).at(times)]
    expected = [read_time(f.image) for f in open_video(whole).at([1.5 + t for t in times])]
    assert shown == pytest.approx(expected, abs=0.041)
    assert (part.width, part.height) == (whole.width, whole.height)
    assert part.has_audio == whole.has_audio
    assert part.duration_s == pytest.approx(1.6, abs=0.25 if "fps" in clip else 0.05)


def test_sound_alone_is_cut(make_clip: Callable[..., Path], tmp_path: Path) -> None:
    source = make_clip("talk.flac", picture=False, audio=True, seconds=4.0)

    cut(source, 1.0, 2.5, tmp_path / "part.mp4")

    part = probe(tmp_path / "part.mp4")
    assert (part.has_picture, part.duration_s) == (False, pytest.approx(1.5, abs=0.1))


def test_what_lies_beyond_the_end_is_left_out(
    make_clip: Callable[..., Path], tmp_path: Path
) -> None:
    cut(make_clip(seconds=2.0), 1.0, 60.0, tmp_path / "part.mp4")

    assert probe(tmp_path / "part.mp4").duration_s == pytest.approx(1.0, abs=0.05)


def test_nothing_between_the_times_is_an_error_and_leaves_no_file(
    make_clip: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="nothing from 5 to 6 s"):
        cut(make_clip(seconds=2.0), 5.0, 6.0, tmp_path / "new/part.mp4")

    assert list((tmp_path / "new").iterdir()) == []


def test_a_folder_that_cannot_be_written_is_said(
    make_clip: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "taken").write_text("")

    with pytest.raises(StorageError, match=r"part\.mp4"):
        cut(make_clip(seconds=2.0), 0.0, 1.0, tmp_path / "taken/part.mp4")


def test_no_pictures_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no pictures"):
        join_pictures([], 3.0, tmp_path / "made.mp4")
