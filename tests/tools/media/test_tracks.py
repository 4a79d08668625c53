"""Which picture, sound and subtitle track is taken, and why."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition

from tools.errors import InputError
from tools.media.audio import SAMPLE_RATE, mix_down, read_audio
from tools.media.readers import open_video
from tools.media.tracks import Track, Wish, choose
from tools.media.video import Video, probe, with_sound

RATE = 48_000


def write_sounds(path: Path, *tracks: dict[str, object], seconds: float = 2.0) -> Path:
    """Write a file of sound tracks: each a tone of `hertz` (0: silent), left times `left`."""
    times = np.arange(round(seconds * RATE)) / RATE
    with av.open(str(path), "w") as out:
        streams = []
        for track in tracks:
            stream = out.add_stream("pcm_s16le", rate=RATE, layout="stereo")
            stream.metadata.update(track.get("tags", {}))  # type: ignore[arg-type]
            stream.disposition = track.get("flags", Disposition(0))
            streams.append(stream)
        for stream, track in zip(streams, tracks, strict=True):
            tone = 0.5 * np.sin(2 * np.pi * track.get("hertz", 0) * times)  # type: ignore[operator]
            both = np.stack([tone * track.get("left", 1.0), tone])  # type: ignore[operator]
            packed = (both * 32767).astype(np.int16).T.reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(packed), "s16", "stereo")
            frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
            out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
    return path


def heard_hertz(video: Video) -> int:
    """Return the strongest frequency of the sound that is listened to, 0 for silence."""
    samples = np.concatenate([block.samples for block in read_audio(video)])
    if np.abs(samples).max() < 0.01:
        return 0
    return round(np.abs(np.fft.rfft(samples)).argmax() * SAMPLE_RATE / len(samples))


ENGLISH = {"hertz": 440, "tags": {"language": "eng"}}
FRENCH = {"hertz": 880, "tags": {"language": "fra"}}
SILENT = {"hertz": 0, "flags": Disposition.default}


def test_the_default_track_is_heard_and_not_the_first(tmp_path: Path) -> None:
    path = write_sounds(tmp_path / "a.mkv", ENGLISH, {**FRENCH, "flags": Disposition.default})
    video = probe(path)
    assert (video.sound, heard_hertz(video)) == (1, 880)
    assert video.sound_why == "track 1 (fra) of 2 with sound: marked as default"


@pytest.mark.parametrize(
    "beside",
    [
        {"flags": Disposition.comment | Disposition.default},
        {"flags": Disposition.default, "tags": {"title": "Director's commentary"}},
        {"flags": Disposition.visual_impaired | Disposition.default},
        {"flags": Disposition.default, "tags": {"title": "Audio Description"}},
    ],
)
def test_commentary_and_descriptions_are_not_taken_for_the_film(
    tmp_path: Path, beside: dict[str, object]
) -> None:
    video = probe(write_sounds(tmp_path / "a.mkv", {"hertz": 880, **beside}, ENGLISH))
    assert heard_hertz(video) == 440


def test_a_language_or_a_track_asked_for_is_taken(tmp_path: Path) -> None:
    path = write_sounds(tmp_path / "a.mkv", {**ENGLISH, "flags": Disposition.default}, FRENCH)
    video = probe(path)
    assert heard_hertz(video) == 440
    for wish in (Wish(language="French"), Wish(language="fr"), Wish(1)):
        wanted = with_sound(video, wish)
        assert (heard_hertz(wanted), wanted.duration_s) == (880, video.duration_s)
    assert with_sound(video, Wish(language="ja")).sound == 0  # there is none: the default
    with pytest.raises(InputError, match=r"track 7 is no sound track .* track 0 \(eng\), track 1"):
        with_sound(video, Wish(7))


def test_a_silent_default_gives_way_to_a_track_with_sound(tmp_path: Path) -> None:
    video = probe(write_sounds(tmp_path / "a.mkv", SILENT, ENGLISH))
    assert heard_hertz(video) == 440
    assert "others are silent" in video.sound_why
    assert [one.silent for one in video.sounds] == [True, False]
    assert with_sound(video, Wish(0)).sound == 0  # asked for, it is taken all the same
    both = probe(write_sounds(tmp_path / "b.mkv", SILENT, {"hertz": 0}))
    assert (both.sound, heard_hertz(both)) == (0, 0)


def test_a_track_with_one_late_sound_is_not_silent(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as out:
        streams = [out.add_stream("pcm_s16le", rate=8000, layout="mono") for _ in range(2)]
        for number, stream in enumerate(streams):
            samples = np.zeros((1, 40 * 8000), np.int16)
            samples[0, 299_000:299_100] = 0 if number else 9000  # between the places looked at
            frame = av.AudioFrame.from_ndarray(samples, "s16", "mono")
            frame.sample_rate, frame.pts, frame.time_base = 8000, 0, Fraction(1, 8000)
            out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
    assert [one.silent for one in probe(path).sounds] == [False, True]


def test_stereo_in_opposite_phase_is_heard(tmp_path: Path) -> None:
    path = write_sounds(tmp_path / "a.mkv", {**ENGLISH, "left": -1.0})
    assert heard_hertz(probe(path)) == 440


def test_the_mix_is_that_of_ffmpeg_unless_it_cancels() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, (4000, 2)).astype(np.float32)
    assert mix_down(noise) == pytest.approx(noise.sum(axis=1) * np.sqrt(0.5), abs=1e-6)
    frame = av.AudioFrame.from_ndarray(noise.reshape(1, -1), "flt", "stereo")
    frame.sample_rate = SAMPLE_RATE
    (mixed,) = av.AudioResampler("flt", "mono", SAMPLE_RATE).resample(frame)
    assert mix_down(noise) == pytest.approx(mixed.to_ndarray()[0], abs=1e-5)
    one_side = noise * [1, 0]
    assert mix_down(one_side) == pytest.approx(noise[:, 0] * np.sqrt(0.5), abs=1e-6)


def write_pictures(path: Path, *tracks: tuple[int, int, Disposition]) -> Path:
    """Write a file of picture tracks: each of a grey, a number of frames at 5 fps, and flags."""
    with av.open(str(path), "w", options={"default_mode": "passthrough"}) as out:
        streams = []
        for grey, _, flags in tracks:
            stream = out.add_stream("mpeg4", rate=5)
            stream.width, stream.height, stream.pix_fmt = 64 + grey, 64, "yuv420p"
            stream.disposition = flags
            streams.append(stream)
        for stream, (grey, count, _) in zip(streams, tracks, strict=True):
            for number in range(count):
                image = np.full((64, 64 + grey, 3), grey, np.uint8)
                frame = av.VideoFrame.from_ndarray(image, "rgb24")
                frame.pts, frame.time_base = number, Fraction(1, 5)
                out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    "tracks",
    [
        [(40, 20, Disposition(0)), (200, 20, Disposition.default)],
        [(40, 1, Disposition(0)), (200, 20, Disposition(0))],  # a cover that is not marked
        [(40, 20, Disposition(0)), (200, 20, Disposition(0))],  # a preview: the smaller one
    ],
)
def test_the_picture_is_the_film_and_no_cover_or_preview(
    tmp_path: Path, tracks: list[tuple[int, int, Disposition]]
) -> None:
    video = probe(write_pictures(tmp_path / "a.mkv", *tracks))
    assert video.width == 264
    frames = list(open_video(video).every(1))
    assert len(frames) == 4
    assert frames[0].image.mean() == pytest.approx(200, abs=8)


def test_a_thumbnail_track_is_no_picture_while_there_is_another() -> None:
    film = Track(1, "picture", "h264", form="320x240", length_s=60)
    for flag in ("timed_thumbnails", "still_image"):
        preview = Track(0, "picture", "mjpeg", "", ("default", flag), form="640x480", length_s=60)
        choice = choose([preview, film], "picture")
        assert choice is not None
        assert choice.why == "others are covers or previews"
        assert choose([preview], "picture") is not None


SUBTITLES = (
    Track(2, "subtitle", "subrip", "eng", ("default", "forced")),
    Track(3, "subtitle", "subrip", "eng", (), "Signs & Songs"),
    Track(4, "subtitle", "subrip", "eng", ("comment",)),
    Track(5, "subtitle", "subrip", "fra"),
    Track(6, "subtitle", "subrip", "eng"),
    Track(7, "subtitle", ""),
)


@pytest.mark.parametrize(
    ("language", "index"), [("", 5), ("eng", 6), ("English", 6), ("fr", 5), ("de", 5)]
)
def test_subtitles_are_full_and_in_the_language(language: str, index: int) -> None:
    choice = choose(SUBTITLES, "subtitle", Wish(language=language))
    assert choice is not None
    assert choice.track.index == index


def test_every_criterion_decides_only_where_those_before_it_are_equal() -> None:
    plain = Track(1, "sound", "aac", "eng", (), "", "2 channels", 100.0, False)
    best = Track(9, "sound", "aac", "eng", ("default",), "", "2 channels", 100.0, False)
    worse = {
        "others are silent": replace(best, index=1, silent=True),
        "others are commentary": replace(best, index=1, flags=("default", "comment")),
        "in the language asked for, en": replace(best, index=1, language="fra"),
        "others describe the picture": replace(best, index=1, title="Audio description"),
        "others are far shorter": replace(best, index=1, length_s=10.0),
        "marked as default": plain,
    }
    for why, other in worse.items():
        choice = choose([other, best], "sound", Wish(language="en"))
        assert choice is not None
        assert (choice.track.index, choice.why) == (9, why)
    assert choose([], "sound") is None
