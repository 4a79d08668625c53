"""What a run depends on."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from agent.library import keys
from agent.library.keys import run_settings, sampling_values
from agent.settings import Settings, resolve
from tools.media.video import Video
from tools.speech.subtitles import Subtitles


@pytest.fixture
def video(tmp_path: Path) -> Video:
    (tmp_path / "a.mp4").write_bytes(b"x")
    return Video(tmp_path / "a.mp4", "ab" * 32, 60.0, 320, 240, 0, None, True, ())


def test_a_further_file_that_is_too_large_is_not_read(
    video: Video, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings: Settings = resolve("embedded", {})
    large = video.path.with_suffix(".srt")
    large.touch()
    os.truncate(large, keys.MAX_READ + 1)

    def read(path: Path) -> bytes:
        return pytest.fail(f"{path.name} was read")

    monkeypatch.setattr(Path, "read_bytes", read)
    ((suffix, content),) = run_settings(Subtitles(), video, settings)["reads"]
    assert (suffix, content.split(" ")[0]) == (".srt", str(keys.MAX_READ + 1))
    os.utime(large, (0, 0))
    assert run_settings(Subtitles(), video, settings)["reads"] != [[suffix, content]]


def test_a_mirrored_video_is_sampled_apart_from_a_plain_one(video: Video) -> None:
    settings: Settings = resolve("embedded", {})
    mirrored = replace(video, flipped=True)
    assert sampling_values(mirrored, settings) != sampling_values(video, settings)
