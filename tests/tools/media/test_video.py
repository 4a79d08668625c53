import hashlib
import os
import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np
import pytest

from tools.errors import InputError
from tools.media import video as video_module
from tools.media.readers import open_video
from tools.media.video import fit, probe


def test_probe_tells_what_a_player_shows(make_clip):
    path = make_clip(audio=True, subtitles=[(0.5, 1.5, "Hello")], b_frames=2)
    video = probe(path)
    assert video.path == path
    assert video.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert video.duration_s == pytest.approx(4, abs=0.03)
    assert (video.width, video.height, video.rotation) == (320, 240, 0)
    assert video.fps == 25
    assert video.has_audio
    assert video.has_picture
    assert [(one.index, one.codec) for one in video.subtitles] == [(2, "mov_text")]


@pytest.mark.parametrize(
    ("rotation", "size"), [(90, (240, 320)), (180, (320, 240)), (270, (90, 160))]
)
def test_size_is_given_upright(make_clip, rotation, size):
    video = probe(make_clip(rotation=rotation, size=size, seconds=0.2))
    assert (video.width, video.height, video.rotation) == (*size, rotation)


def test_identity_is_the_content_not_the_name(make_clip, tmp_path):
    path = make_clip(seconds=0.2)
    copy = tmp_path / "une vidéo à moi - копия 视频.mp4"
    copy.write_bytes(path.read_bytes())
    assert probe(copy).sha256 == probe(path).sha256


def test_relative_path_becomes_absolute(make_clip, monkeypatch):
    path = make_clip("with spaces.mp4", seconds=0.2)
    monkeypatch.chdir(path.parent)
    assert probe("with spaces.mp4").path == path


@pytest.mark.parametrize("rate", [Fraction(24000, 1001), Fraction(30000, 1001), Fraction(2, 5)])
def test_frame_rate_is_not_truncated(make_clip, rate):
    video = probe(make_clip(fps=rate, seconds=5))
    assert video.fps is not None
    assert float(video.fps) == pytest.approx(float(rate), rel=1e-4)
    assert video.duration_s == pytest.approx(5, abs=0.6 / rate)


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a.ts"])
@pytest.mark.parametrize("start_s", [0.0, 7.5])
def test_duration_is_independent_of_the_first_timestamp(make_clip, name, start_s):
    assert probe(make_clip(name, start_s=start_s)).duration_s == pytest.approx(4, abs=0.05)


def test_duration_is_measured_where_the_container_has_none(make_clip):
    path = make_clip("live.mkv", muxer={"live": "1"}, audio=True)
    with av.open(str(path)) as container:
        assert container.duration is None
    assert probe(path).duration_s == pytest.approx(4, abs=0.05)


def test_duration_of_a_cut_file_is_what_is_left(make_clip):
    path = make_clip(muxer={"movflags": "faststart"}, seconds=30, fps=5, gop=5)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 6 // 10])
    video = probe(path)
    assert 10 < video.duration_s < 25
    times = [frame.time_s for frame in open_video(video).every(1)]
    assert times[0] == 0
    assert times[-1] <= video.duration_s
    assert len(times) > 10


def test_sound_alone_is_valid(make_clip):
    for name in ("a.m4a", "a.flac", "a.wav"):
        video = probe(make_clip(name, picture=False, audio=True))
        assert not video.has_picture
        assert video.has_audio
        assert (video.width, video.height, video.fps) == (0, 0, None)
        assert video.duration_s == pytest.approx(4, abs=0.03)
        with pytest.raises(InputError, match="no picture"):
            open_video(video)


def test_cover_art_is_no_picture(tmp_path):
    path = tmp_path / "song.mp3"
    path.write_bytes(_id3_with_cover() + _mp3())
    with av.open(str(path)) as container:
        assert container.streams.video
    video = probe(path)
    assert video.has_audio
    assert not video.has_picture


def _mp3() -> bytes:
    """A second of silence: 38 frames of MPEG-1 layer III, 128 kbit/s, 44.1 kHz."""
    return (b"\xff\xfb\x90\xc4" + bytes(413)) * 38


def _id3_with_cover() -> bytes:
    context = av.CodecContext.create("mjpeg", "w")
    context.width, context.height, context.pix_fmt = 16, 16, "yuvj420p"
    context.time_base = Fraction(1, 25)
    frame = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), "rgb24")
    picture = b"".join(bytes(p) for p in context.encode(frame.reformat(format="yuvj420p")))
    body = b"\x00image/jpeg\x00\x03\x00" + picture
    apic = b"APIC" + struct.pack(">IH", len(body), 0) + body
    size = bytes(len(apic) >> shift & 127 for shift in (21, 14, 7, 0))
    return b"ID3\x03\x00\x00" + size + apic


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "empty"),
        (b"This is a shopping list, not a film.\n" * 50, "not a video or sound file"),
        (
            np.random.default_rng(0).bytes(50_000),
            "not a video or sound file|neither a picture nor sound",
        ),
        (b"#EXTM3U\nhttp://example.org/a.ts\n", "playlist"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "playlist"),
    ],
)
@pytest.mark.parametrize("name", ["film.mp4", "film.txt"])
def test_what_is_no_video_is_said(tmp_path, name, content, expected):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=expected) as caught:
        probe(path)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


def test_missing_index_is_said(make_clip):
    path = make_clip()
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(InputError, match=r"cut off.*copy it again"):
        probe(path)


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"there is no file .*nowhere\.mp4; check the name"):
        probe(tmp_path / "nowhere.mp4")


def test_folder(tmp_path):
    with pytest.raises(InputError, match="is a folder"):
        probe(tmp_path)


def test_pipe_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(InputError, match="no regular file"):
        probe(tmp_path / "pipe.mp4")


def test_symlink_and_loop(make_clip, tmp_path):
    path = make_clip(seconds=0.2)
    (tmp_path / "link.mp4").symlink_to(path)
    assert probe(tmp_path / "link.mp4").sha256 == probe(path).sha256
    (tmp_path / "a.mp4").symlink_to(tmp_path / "b.mp4")
    (tmp_path / "b.mp4").symlink_to(tmp_path / "a.mp4")
    with pytest.raises(InputError, match="symbolic links"):
        probe(tmp_path / "a.mp4")


def test_name_with_a_null_byte():
    with pytest.raises(InputError, match="cannot be read"):
        probe("film\0.mp4")


def test_forbidden_file(make_clip, as_plain_user):
    path = make_clip(seconds=0.2)
    path.chmod(0)
    with as_plain_user(), pytest.raises(InputError, match=r"may not be read.*chmod"):
        probe(path)


def test_subtitles_alone_are_neither_seen_nor_heard(tmp_path):
    path = tmp_path / "film.mkv"
    path.write_text("1\n00:00:00,000 --> 00:00:01,000\nHello\n\n" * 5)
    with pytest.raises(InputError, match="neither a picture nor sound"):
        probe(path)


def test_fit_keeps_the_shape_and_never_vanishes():
    assert fit(1920, 1080, 640) == (640, 360)
    assert fit(320, 240, 640) == (320, 240)
    assert fit(5000, 2, 100) == (100, 1)
    assert fit(50, 50, None) == (50, 50)


REAL = {
    "living_room.mp4": (6.09, 640, 360, 0),
    "pancake.mkv": (10.37, 426, 240, 0),
    "rot_90.mov": (0.1, 320, 568, 90),
    "rot_270.mov": (0.1, 320, 568, 270),
    "unordered.mov": (0.125, 50, 50, 0),
    "corrupted.mp4": (5.0, 1280, 720, 0),
}


@pytest.mark.parametrize("name", REAL)
def test_real_files(media: Path, name):
    video = probe(media / name)
    duration_s, width, height, rotation = REAL[name]
    assert video.duration_s == pytest.approx(duration_s, abs=0.05)
    assert (video.width, video.height, video.rotation) == (width, height, rotation)


def test_a_file_that_grows_while_it_is_hashed_is_refused(
    make_clip: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = make_clip(seconds=1)
    real = hashlib.file_digest

    def growing(file: BinaryIO, name: str) -> object:
        done = real(file, name)
        with clip.open("ab") as recorder:
            recorder.write(b"more")
        return done

    with monkeypatch.context() as patch:
        patch.setattr(video_module.hashlib, "file_digest", growing)
        with pytest.raises(InputError, match="still being recorded or copied, ask again"):
            probe(clip)
    assert probe(clip).sha256 == hashlib.sha256(clip.read_bytes()).hexdigest()
