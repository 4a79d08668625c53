"""Subtitles beside a video and inside it, as they are found in the wild."""

import json
import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from av.container import OutputContainer
from av.stream import Disposition
from av.subtitles.stream import SubtitleStream

from tools.base import ToolInput
from tools.errors import InputError, StoppedError
from tools.evidence import Evidence
from tools.media.tracks import Track
from tools.media.video import Video, probe
from tools.speech.sidecars import look_beside
from tools.speech.subtitles import Subtitles, SubtitlesOptions

SRT = """1
00:00:00,500 --> 00:00:01,500
Hello <i>there</i>

2
00:00:02,000 --> 00:00:03,000
{\\an8}Two
lines
"""
VTT_ROLLING = """WEBVTT
Kind: captions

NOTE made by a machine
with care

STYLE
::cue { color: red }

00:00:00.000 --> 00:00:01.000 align:start position:0%
~
hello<00:00:00.500><c> my</c><00:00:00.700><c> world</c>

00:00:01.000 --> 00:00:01.010 align:start position:0%
hello my world
~

00:00:01.010 --> 00:00:02.000 align:start position:0%
hello my world
this<00:00:01.500><c> is</c><00:00:01.700><c> two</c>

00:00:02.000 --> 00:00:02.010
this is two
~
""".replace("~", " ")  # lines that are blank, yet not empty, as YouTube writes them
ASS = """[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize
Style: Default,Arial,twenty

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Dialogue: 0,0:00:00.50,0:00:01.50,Default,,0,0,0,,{\\b1}Well,{\\b0} now\\Nthen
Dialogue: 1,0:00:00.50,0:00:01.50,Default,,0,0,0,,{\\blur3}Well, now\\Nthen
Dialogue: 0,0:00:soon,0:00:02.00,Default,,0,0,0,,never
Dialogue: 0,0:00:02.00,0:00:02.50,Default,,0,0,0,,{\\p1}m 0 0 l 100 0 100 100{\\p0}
Comment: 0,0:00:02.00,0:00:02.50,Default,,0,0,0,,a note of the author
Dialogue: 0,0:00:03.00,0:00:03.50,Default,,0,0,0,,end
"""


def video_at(path: Path, duration_s: float = 4.0, tracks: tuple[Track, ...] = ()) -> Video:
    return Video(path, "0" * 64, duration_s, 320, 240, 0, Fraction(25), False, tracks)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "private folder" / "talk [1].mp4"
    path.parent.mkdir()
    path.touch()
    return path


def read(video: Video, **options: object) -> list[Evidence]:
    tool = Subtitles(SubtitlesOptions.model_validate(options))
    return list(tool.run(ToolInput(video)))


def spoken(found: list[Evidence]) -> list[tuple[float, float, str]]:
    return [(evidence.start_s, evidence.end_s, evidence.text) for evidence in found]


def beside(clip: Path, ending: str, content: str | bytes) -> Path:
    path = clip.with_name(clip.stem + ending)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_no_subtitles_yield_nothing(clip: Path) -> None:
    assert read(video_at(clip)) == []


def test_srt_loses_its_markup_and_line_breaks(clip: Path) -> None:
    beside(clip, ".srt", SRT)
    found = read(video_at(clip))
    assert spoken(found) == [(0.5, 1.5, "Hello there"), (2.0, 3.0, "Two lines")]
    assert found[0].kind == "speech"
    assert found[0].data == {"source": "sidecar", "file": "talk [1].srt", "language": ""}
    assert "private folder" not in json.dumps([evidence.to_json() for evidence in found])


def test_rolling_captions_say_each_line_once(clip: Path) -> None:
    beside(clip, ".en.vtt", VTT_ROLLING)
    found = read(video_at(clip))
    assert spoken(found) == [(0.0, 1.01, "hello my world"), (1.01, 2.01, "this is two")]
    assert found[0].data["language"] == "en"


def test_captions_that_grow_word_by_word_become_one(clip: Path) -> None:
    beside(
        clip,
        ".vtt",
        "WEBVTT\n\n00:01.000 --> 00:01.500\nwe choose\n\n"
        "00:01.500 --> 00:02.000\nwe choose to go\n\n"
        "00:03.000 --> 00:03.500\nwe choose to go\n",
    )
    assert spoken(read(video_at(clip))) == [
        (1.0, 2.0, "we choose to go"),
        (3.0, 3.5, "we choose to go"),  # said again after a pause: kept
    ]


def test_ass_keeps_dialogue_alone(clip: Path) -> None:
    beside(clip, ".ass", ASS)
    found = read(video_at(clip))
    assert spoken(found) == [(0.5, 1.5, "Well, now then"), (3.0, 3.5, "end")]
    assert found[0].data["note"].startswith("1 cue left out")


@pytest.mark.parametrize(
    ("encoding", "note"),
    [
        ("utf-8", ""),
        ("utf-8-sig", ""),
        ("utf-16", ""),
        ("utf-16-le", "encoding guessed: utf-16-le"),
        ("utf-16-be", "encoding guessed: utf-16-be"),
        ("utf-32", ""),
        ("cp1252", "encoding guessed: cp1252"),
    ],
)
def test_encodings(clip: Path, encoding: str, note: str) -> None:
    beside(clip, ".srt", SRT.replace("Hello", "Über café").replace("\n", "\r\n").encode(encoding))
    found = read(video_at(clip))
    assert [evidence.text for evidence in found] == ["Über café there", "Two lines"]
    assert found[0].data.get("note", "") == note


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1251", "Она сказала, что придёт завтра утром."),
        ("koi8-r", "Она сказала, что придёт завтра утром."),
        ("utf-16-be", "Она сказала, что придёт завтра утром."),
        ("cp1250", "Powiedziała, że przyjdzie jutro rano."),
        ("cp1253", "Είπε ότι θα έρθει αύριο το πρωί."),
        ("gb18030", "他说他明天早上会来。请在这里等我一下。"),
        ("cp932", "彼女は明日の朝に来ると言いました。"),
        ("cp949", "그녀는 내일 아침에 온다고 말했다."),
        ("cp1252", "Perché è così? Non c'è più tempo, andrà tutto bene."),
        ("cp1252", "Sí, señor. Está aquí."),
        ("cp1252", "Où êtes-vous ? Ça va très bien, merci."),
    ],
)
def test_encodings_of_other_languages(clip: Path, encoding: str, text: str) -> None:
    beside(clip, ".srt", SRT.replace("Hello", text).encode(encoding))
    found = read(video_at(clip))
    assert found[0].text == f"{text} there"
    assert found[0].data["note"] == f"encoding guessed: {encoding}"


def test_one_damaged_byte_does_not_change_the_encoding(clip: Path) -> None:
    beside(clip, ".srt", SRT.replace("Hello", "äöüéè").encode() + b"\xff")
    found = read(video_at(clip))
    assert found[0].text == "äöüéè there"
    assert "utf-8, damaged" in found[0].data["note"]


def test_broken_empty_and_outside_cues_go_and_are_counted(clip: Path) -> None:
    times = [
        "00:00:03,000 --> 00:00:09,000\nlast",
        "00:00:xx,000 --> 00:00:02,000\nnot a time",
        "00:00:02,000 --> 00:00:01,000\nbackwards",
        "00:00:01,000 --> 00:00:02,000\n<b> </b>",
        "00:00:00,000 --> 00:00:00,500\nTom &amp; Jerry&nbsp;at 7\n42",
        "00:01:00,000 --> 00:01:01,000\nafter the end",
    ]
    beside(clip, ".srt", "\n\n".join(f"{n}\n{cue}" for n, cue in enumerate(times, 1)))
    found = read(video_at(clip))
    assert spoken(found) == [(0.0, 0.5, "Tom & Jerry at 7 42"), (3.0, 4.0, "last")]
    assert found[0].data["note"] == "2 cues left out for times that make no sense"


def test_offset_moves_and_clips(clip: Path) -> None:
    beside(clip, ".srt", SRT)
    assert spoken(read(video_at(clip), offset_s=-1)) == [
        (0.0, 0.5, "Hello there"),
        (1.0, 2.0, "Two lines"),
    ]


def test_sidecars_belong_to_their_video_and_language_is_a_preference(clip: Path) -> None:
    beside(clip, ".de.srt", SRT.replace("Hello", "Deutsch"))
    beside(clip, ".pt-BR.srt", SRT.replace("Hello", "Português"))
    beside(clip, ".en.forced.srt", SRT.replace("Hello", "Forced"))
    beside(clip, ".cut.srt", SRT.replace("Hello", "Another film"))
    beside(clip, ".cut.mp4", b"")
    beside(clip, ".notes.srt", SRT.replace("Hello", "No language"))
    video = video_at(clip)
    assert read(video)[0].text == "Deutsch there"
    assert read(video, language="por")[0].text == "Português there"
    assert read(video, language="eng")[0].text == "Forced there"
    other = read(video, language="ja")[0]
    assert other.text == "Deutsch there"
    assert other.data["note"] == "no subtitles marked as 'ja'"
    beside(clip, ".srt", SRT)
    assert read(video)[0].text == "Hello there"
    assert read(video, sidecar=False) == []


def test_a_named_file_is_used_alone(clip: Path, tmp_path: Path) -> None:
    beside(clip, ".srt", SRT)
    other = tmp_path / "other.vtt"
    other.write_text("WEBVTT\n\n00:01.000 --> 00:02.000\nother\n")
    assert spoken(read(video_at(clip), file=str(other))) == [(1.0, 2.0, "other")]
    with pytest.raises(InputError, match=r"missing\.srt cannot be read: No such file"):
        read(video_at(clip), file=str(tmp_path / "missing.srt"))


@pytest.mark.parametrize(
    ("tag", "wanted"), [("eng", "en-GB"), ("pt_BR", "por"), ("cmn", "zh"), ("bul", "bg")]
)
def test_one_language_has_several_codes(clip: Path, tag: str, wanted: str) -> None:
    beside(clip, ".aaa.srt", SRT)
    beside(clip, f".{tag}.srt", SRT)
    found = read(video_at(clip), language=wanted)[0]
    assert found.data == {"source": "sidecar", "file": f"talk [1].{tag}.srt", "language": tag}
    assert "no subtitles marked" in read(video_at(clip), language="Klingon!")[0].data["note"]


@pytest.mark.parametrize("content", [b"\0\1\2\3" * 99, b"just prose", b"1\nx --> y\nbroken\n"])
def test_an_unreadable_sidecar_is_an_error_and_never_looks_empty(
    clip: Path, content: bytes
) -> None:
    beside(clip, ".srt", content)
    with pytest.raises(InputError, match=r"talk \[1\]\.srt") as caught:
        read(video_at(clip))
    assert "private folder" not in str(caught.value)


def test_an_empty_sidecar_is_nothing(clip: Path) -> None:
    beside(clip, ".srt", b"\n\n")
    assert read(video_at(clip)) == []


@pytest.mark.parametrize("start_s", [0.0, 3.0])
@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv"])
def test_embedded_tracks_count_from_the_start_of_the_file(
    make_clip: Callable[..., Path], name: str, start_s: float
) -> None:
    cues = [(0.5, 1.5, "Hello there"), (2.0, 3.0, "Two\nlines")]
    found = read(probe(make_clip(name, subtitles=cues, start_s=start_s)))
    assert [evidence.text for evidence in found] == ["Hello there", "Two lines"]
    assert [evidence.start_s for evidence in found] == pytest.approx([0.5, 2.0], abs=0.05)
    assert [evidence.end_s for evidence in found] == pytest.approx([1.5, 3.0], abs=0.05)
    assert found[0].data["source"] == "embedded"
    assert found[0].data["file"].startswith("track ")


def test_forced_subtitles_come_last_and_are_marked(clip: Path) -> None:
    beside(clip, ".en.forced.srt", SRT)
    assert [one.data.get("forced") for one in read(video_at(clip))] == [True, True]
    beside(clip, ".en.srt", SRT.replace("Hello", "All"))
    assert read(video_at(clip))[0].text == "All there"
    assert "forced" not in read(video_at(clip))[0].data


def test_a_forced_track_comes_last_and_is_marked(make_clip: Callable[..., Path]) -> None:
    path = make_clip("plain.mkv")
    for name, forced in (("forced", [True]), ("both", [True, False])):
        made = path.with_name(f"{name}.mkv")
        _add_tracks(path, made, "ass", {f"track {each}": each for each in forced})
        video = probe(made)
        assert [track.forced for track in video.subtitles] == forced
        (found,) = read(video)
        assert found.text == f"track {all(forced)}"
        assert found.data.get("forced", False) == all(forced)


@pytest.mark.parametrize("codec", ["ass", "webvtt"])
def test_embedded_ass_and_webvtt(make_clip: Callable[..., Path], codec: str) -> None:
    path = make_clip("plain.mkv")
    styled = path.with_name("styled.mkv")
    _add_tracks(path, styled, codec, {"{\\i1}Well{\\i0},\\Nnow": False})
    assert spoken(read(probe(styled))) == [(1.0, 2.0, "Well, now")]


def _add_tracks(path: Path, out: Path, codec: str, cues: dict[str, bool]) -> None:
    """Copy a file with one track for each cue; its value says whether the track is forced."""
    with av.open(str(path)) as source, av.open(str(out), "w") as target:
        picture = source.streams.video[0]
        copied = target.add_stream_from_template(picture)
        tracks = [_new_track(target, codec, forced) for forced in cues.values()]
        for packet in source.demux(picture):
            if packet.dts is not None:
                packet.stream = copied
                target.mux(packet)
        for track, text in zip(tracks, cues, strict=True):
            dialogue = f"0,0,Default,,0,0,0,,{text}".encode()
            cue = av.subtitles.subtitle.SubtitleSet.create(dialogue, 0, 1000, pts=1_000_000)
            packet = track.codec_context.encode_subtitle(cue)
            packet.stream, packet.time_base = track, Fraction(1, 1000)
            packet.pts = packet.dts = packet.duration = 1000
            target.mux(packet)


def _new_track(target: OutputContainer, codec: str, forced: bool) -> SubtitleStream:
    track = target.add_stream(codec)
    assert isinstance(track, SubtitleStream)
    track.time_base = Fraction(1, 1000)
    track.codec_context.subtitle_header = b"[Script Info]\n\n[V4+ Styles]\n\n[Events]\n"
    track.disposition = Disposition.forced if forced else Disposition(0)
    return track


@pytest.mark.parametrize(
    ("content", "why"), [(b"", "has no text"), (b"just prose", "none of SRT, WebVTT, ASS")]
)
def test_a_useless_sidecar_gives_way_to_the_track_and_it_is_said(
    make_clip: Callable[..., Path], content: bytes, why: str
) -> None:
    path = make_clip("talk.mkv", subtitles=[(0.5, 1.5, "Inside")])
    beside(path, ".srt", content)
    found = read(probe(path))
    assert [evidence.text for evidence in found] == ["Inside"]
    assert found[0].data["source"] == "embedded"
    assert "talk.srt" in found[0].data["note"]
    assert why in found[0].data["note"]


def test_stop_is_heeded_between_packets(make_clip: Callable[..., Path]) -> None:
    video = probe(make_clip("talk.mkv", subtitles=[(0.5, 1.5, "Inside")]))
    with pytest.raises(StoppedError):
        list(Subtitles().run(ToolInput(video, stopped=lambda: True)))


def test_an_hour_of_cues_is_in_order_and_within_the_video(clip: Path) -> None:
    stamp = "{:02}:{:02}:{:02},000".format
    cues = [
        f"{n}\n{stamp(*_hms(n * 3.6))} --> {stamp(*_hms(n * 3.6 + 3))}\nline {n}"
        for n in reversed(range(1000))
    ]
    beside(clip, ".srt", "\n\n".join(cues))
    found = read(video_at(clip, duration_s=3600.0))
    assert len(found) == 1000
    starts = [evidence.start_s for evidence in found]
    assert starts == sorted(starts)
    assert all(0 <= evidence.start_s <= evidence.end_s <= 3600 for evidence in found)


def _hms(time_s: float) -> tuple[int, int, int]:
    return int(time_s // 3600), int(time_s % 3600 // 60), int(time_s % 60)


def test_only_files_named_alike_are_looked_at_and_once_while_the_folder_stays(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(50):
        (clip.parent / f"other {number}.srt").write_text("1")
    beside(clip, ".en.srt", SRT)
    sidecar = clip.with_suffix(".en.srt")
    os.utime(clip.parent, (0, 1_000_000_000))  # it changed long ago
    scanned: list[Path] = []
    real = os.scandir

    def scandir(folder: Path) -> Any:
        scanned.append(Path(folder))
        return real(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    for _ in range(6):
        assert [one.path for one in look_beside(clip).belong] == [sidecar]
    assert scanned == [clip.parent]
    beside(clip, ".de.srt", SRT)  # the folder has just changed
    assert len(look_beside(clip).belong) == 2
    assert len(look_beside(clip).belong) == 2
    assert len(scanned) == 3
