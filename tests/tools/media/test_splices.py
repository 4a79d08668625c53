"""Recordings put together with `cat`, and streams without a container."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tools.media.audio import SAMPLE_RATE, read_audio
from tools.media.container import picture_times
from tools.media.readers import open_video
from tools.media.video import Video, probe

MakeClip = Callable[..., Path]
PART_S = 4.0


def tone(hertz: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda times_s: 0.5 * np.sin(2 * np.pi * hertz * times_s)


@pytest.fixture
def spliced(make_clip: MakeClip) -> Callable[..., Path]:
    """Return a file of two recordings: 440 Hz, then 880 Hz, each with pictures of its own times."""

    def make(suffix: str, **fields: object) -> Path:
        common = {"fps": 25, "seconds": PART_S, "b_frames": 2, **fields}
        if suffix in (".webm", ".wav"):
            common |= {"codec": "libvpx"}
        parts = [make_clip(f"{n}{suffix}", audio=tone(440 * n), **common) for n in (1, 2)]
        path = parts[0].with_name(f"both{suffix}")
        path.write_bytes(b"".join(part.read_bytes() for part in parts))
        return path

    return make


def hertz_at(video: Video, start_s: float) -> float:
    samples = np.concatenate([block.samples for block in read_audio(video)])
    assert len(samples) / SAMPLE_RATE == pytest.approx(video.duration_s, abs=0.1)
    first = round(start_s * SAMPLE_RATE)
    part = samples[first : first + SAMPLE_RATE]
    return round(np.abs(np.fft.rfft(part)).argmax() * SAMPLE_RATE / len(part))


@pytest.mark.parametrize("suffix", [".ts", ".mkv"])
@pytest.mark.parametrize("start_s", [0.0, 5.0])
def test_both_parts_lie_on_one_line(
    spliced: Callable[..., Path],
    read_time: Callable[[np.ndarray], float],
    suffix: str,
    start_s: float,
) -> None:
    video = probe(spliced(suffix, start_s=start_s))
    assert video.duration_s == pytest.approx(2 * PART_S, abs=0.15)
    assert video.notes == ("2 recordings in one file: their times follow each other",)
    assert (hertz_at(video, 1.0), hertz_at(video, 5.5)) == (440, 880)

    wanted = [0.5, 3.0, 4.6, 7.0]
    shown = list(open_video(video).at(wanted))
    for time_s, frame in zip(wanted, shown, strict=True):
        assert frame.time_s == pytest.approx(time_s, abs=0.1)
        assert read_time(frame.image) == pytest.approx(time_s % PART_S, abs=0.15)
    every = [frame.time_s for frame in open_video(video).every(1)]
    assert every == pytest.approx(range(len(every)), abs=0.15)
    assert len(every) in (8, 9)
    times_s = picture_times(video.path, video.shifts_s)
    assert len(times_s) == 200
    assert np.diff(times_s).max() < 0.2


def test_an_ordinary_file_is_in_one_part(make_clip: MakeClip) -> None:
    for name in ("a.ts", "a.mkv", "a.mp4"):
        video = probe(make_clip(name, audio=True, b_frames=2))
        assert (video.shifts_s, video.notes) == ((), ())


@pytest.mark.parametrize(
    ("suffix", "fields"), [(".mp4", {}), (".flv", {}), (".wav", {"picture": False})]
)
def test_a_part_that_is_never_reached_is_named(
    spliced: Callable[..., Path], suffix: str, fields: dict[str, object]
) -> None:
    path = spliced(suffix, **fields)
    place = path.with_name(f"1{suffix}").stat().st_size
    video = probe(path)
    assert video.duration_s == pytest.approx(PART_S, abs=0.1)
    (note,) = video.notes
    assert f"a second recording begins at byte {place:,}" in note
    assert probe(path.with_name(f"1{suffix}")).notes == ()


def test_a_gap_is_no_new_part(make_clip: MakeClip) -> None:
    times = [n / 25 for n in range(25)] + [300 + n / 25 for n in range(25)]
    video = probe(make_clip("a.ts", times=times))
    assert video.shifts_s == ()
    assert video.duration_s == pytest.approx(301, abs=0.1)


@pytest.mark.parametrize(
    ("name", "codec", "rate"),
    [("a.h264", "libx264", Fraction(10)), ("a.m2v", "mpeg2video", Fraction(25))],
)
def test_a_raw_stream_is_read_by_its_rate(
    tmp_path: Path,
    make_clip: MakeClip,
    read_time: Callable[[np.ndarray], float],
    name: str,
    codec: str,
    rate: Fraction,
) -> None:
    source = make_clip("a.mkv", fps=rate)
    path = tmp_path / name
    with av.open(str(source)) as container, av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        stream.bit_rate, stream.gop_size, stream.max_b_frames = 2_000_000, 15, 2
        for number, frame in enumerate(container.decode(video=0)):
            frame.pts, frame.time_base = number, 1 / rate
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    video = probe(path)
    assert video.duration_s == pytest.approx(4.0, abs=0.05)
    assert video.notes == (
        f"a stream without times: its pictures are taken to be {int(rate)} a second",
    )
    for frame in [*open_video(video).every(1), *open_video(video).at([0.0, 1.7, 3.5])]:
        assert read_time(frame.image) == pytest.approx(frame.time_s, abs=0.03)
    keys = [frame.time_s for frame in open_video(video).key_frames()]
    assert keys[0] == 0
    assert 0 < len(keys) < 4 * rate
    times_s = picture_times(path)
    assert times_s == pytest.approx([float(n / rate) for n in range(int(4 * rate))])


def test_a_rate_that_is_none_is_not_believed(tmp_path: Path, make_clip: MakeClip) -> None:
    path = tmp_path / "a.h264"  # its encoder counted 90,000 ticks a second
    with av.open(str(make_clip("a.mkv"))) as container, av.open(str(path), "w") as out:
        stream = container.streams.video[0]
        copied = out.add_stream_from_template(stream)
        for packet in container.demux(stream):
            if packet.dts is not None:
                packet.stream = copied
                out.mux(packet)
    video = probe(path)
    assert video.duration_s == pytest.approx(4.0, abs=0.05)
    assert "25 a second" in video.notes[0]


def test_raw_sound_has_times(make_clip: MakeClip) -> None:
    video = probe(make_clip("a.aac", picture=False, audio=True))
    assert video.duration_s == pytest.approx(4.0, abs=0.1)
