"""Subtitles inside containers: text as each writer stores it, and pictures of text."""

import shutil
import struct
import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from tools.base import ToolInput, ToolRuntime
from tools.evidence import Evidence
from tools.media.video import probe
from tools.speech.subtitles import Subtitles, SubtitlesOptions

MakeClip = Callable[..., Path]
FFMPEG = shutil.which("ffmpeg")


def read(path: Path, runtime: ToolRuntime | None = None) -> list[Evidence]:
    tool = Subtitles(SubtitlesOptions())
    if runtime:
        tool.setup(runtime)
    return list(tool.run(ToolInput(probe(path))))


def add_text(clip: Path, out: Path, codec: str, cues: dict[float, bytes]) -> Path:
    """Copy a clip with a track of packets: what is on screen for a second, by its start."""
    with av.open(str(clip)) as source, av.open(str(out), "w") as target:
        picture = source.streams.video[0]
        copied = target.add_stream_from_template(picture)
        track = target.add_stream(codec)
        track.time_base = Fraction(1, 1000)
        track.codec_context.subtitle_header = b"[Script Info]\n\n[Events]\n"
        for packet in source.demux(picture):
            if packet.dts is not None:
                packet.stream = copied
                target.mux(packet)
        for start_s, text in cues.items():
            cue = av.Packet(text)
            cue.stream, cue.time_base = track, Fraction(1, 1000)
            cue.pts = cue.dts = round(1000 * start_s)
            cue.duration = 1000
            target.mux(cue)
    return out


@pytest.fixture
def clip(make_clip: MakeClip) -> Path:
    return make_clip("plain.mkv", size=(64, 64), fps=5)


def test_text_of_matroska_keeps_what_only_looks_like_a_tag(clip: Path) -> None:
    texts = {0.5: b"if a < b and c > d", 2.0: b"<i>1984</i>\n&lt;3"}
    found = read(add_text(clip, clip.with_name("srt.mkv"), "srt", texts))
    assert [(one.start_s, one.end_s, one.text) for one in found] == [
        (0.5, 1.5, "if a < b and c > d"),
        (2.0, 3.0, "1984 <3"),
    ]


def test_a_track_in_an_old_encoding_is_read_and_it_is_said(clip: Path) -> None:
    texts = {0.5: "Где ближайшая станция?".encode("cp1251"), 2.0: "Спасибо!".encode("cp1251")}
    found = read(add_text(clip, clip.with_name("old.mkv"), "srt", texts))
    assert [one.text for one in found] == ["Где ближайшая станция?", "Спасибо!"]
    assert found[0].data["note"] == "encoding guessed: cp1251"


def test_webvtt_as_ffmpeg_and_as_mkvmerge_store_it(clip: Path) -> None:
    texts = {0.5: b"Hello <v Ann>there</v>", 2.0: b"R&amp;D"}
    path = add_text(clip, clip.with_name("vtt.mkv"), "webvtt", texts)
    assert [one.text for one in read(path)] == ["Hello there", "R&D"]
    content = path.read_bytes()
    ffmpeg, standard = b"\x86\x92D_WEBVTT/SUBTITLES", b"\x86\x8dS_TEXT/WEBVTT\xec\x83\0\0\0"
    assert content.count(ffmpeg) == 1
    other = path.with_name("standard.mkv")
    other.write_bytes(content.replace(ffmpeg, standard))
    assert [(one.start_s, one.text) for one in read(other)] == [(0.5, "Hello there"), (2.0, "R&D")]


def test_an_empty_track_is_no_error(clip: Path) -> None:
    assert read(add_text(clip, clip.with_name("empty.mkv"), "webvtt", {})) == []


def test_drawings_and_signs_inside_a_track(clip: Path) -> None:
    texts = {
        0.5: rb"0,0,Default,,0,0,0,,{\p1}m 0 0 l 9 0{\p0}",
        2.0: rb"1,0,Default,,0,0,0,,{\pos(1,2)}Bakery, open",
    }
    found = read(add_text(clip, clip.with_name("ass.mkv"), "ass", texts))
    assert [one.text for one in found] == ["Bakery, open"]
    assert "forced" not in found[0].data  # half of them only
    texts[0.5] = rb"0,0,Default,,0,0,0,,{\pos(3,4)}Butcher"
    found = read(add_text(clip, clip.with_name("signs.mkv"), "ass", texts))
    assert [one.data["forced"] for one in found] == [True, True]


# Pictures of text: a PGS stream by hand (US 2009/0185789 A1), and what FFmpeg makes of it.

PLACE = (20, 300)


def letters(text: str) -> np.ndarray:
    """Draw white letters with a black edge: indices of the palette, [height, width]."""
    font = ImageFont.load_default(size=36)
    picture = Image.new("L", (20 * len(text) + 60, 60), 0)
    ImageDraw.Draw(picture).text((20, 5), text, fill=1, font=font, stroke_width=3, stroke_fill=2)
    return np.asarray(picture)


def segment(kind: int, time_s: float, body: bytes) -> bytes:
    return b"PG" + struct.pack(">IIBH", round(time_s * 90_000), 0, kind, len(body)) + body


def runs(indices: np.ndarray) -> bytes:
    """Encode rows as runs of up to 63 pixels of one index."""
    out = bytearray()
    for row in indices:
        start = 0
        while start < len(row):
            end = start
            while end < len(row) and row[end] == row[start] and end - start < 63:
                end += 1
            out += bytes([0, 0x80 | (end - start), row[start]])
            start = end
        out += b"\0\0"
    return bytes(out)


def pgs(cues: list[tuple[float, float, str]]) -> bytes:
    """Return a .sup file."""
    out = b""
    for number, (start_s, end_s, text) in enumerate(cues):
        indices = letters(text)
        height, width = indices.shape
        x, y = PLACE
        size = struct.pack(">HHBH", 640, 480, 0x10, 2 * number)
        window = struct.pack(">BBHHHH", 1, 0, x, y, width, height)
        palette = b"\0\0" + bytes([0, 16, 128, 128, 0, 1, 235, 128, 128, 255, 2, 16, 128, 128, 255])
        data = struct.pack(">HH", width, height) + runs(indices)
        shown = struct.pack(">BBB", 0x80, 0, 0) + struct.pack(">BHBBHH", 1, 0, 0, 0, x, y)
        picture = struct.pack(">HBB", 0, 0, 0xC0) + len(data).to_bytes(3) + data
        out += segment(0x16, start_s, size + shown)
        out += segment(0x17, start_s, window)
        out += segment(0x14, start_s, palette)
        out += segment(0x15, start_s, picture)
        out += segment(0x80, start_s, b"")
        gone = struct.pack(">HHBH", 640, 480, 0x10, 2 * number + 1) + b"\0\0\0\0"
        out += segment(0x16, end_s, gone) + segment(0x17, end_s, window) + segment(0x80, end_s, b"")
    return out


CUES = [(0.5, 1.5, "The harbour closes"), (2.0, 3.0, "at seven tonight")]


@pytest.fixture
def runtime(models_folder: Path) -> ToolRuntime:
    return ToolRuntime("cpu", True, models_folder)


def check(found: list[Evidence], exact: bool = True) -> None:
    assert [one.text for one in found] == [text for _, _, text in CUES]
    assert [one.start_s for one in found] == pytest.approx([0.5, 2.0], abs=0.1)
    assert found[0].end_s == pytest.approx(1.5 if exact else 2.0, abs=0.1)
    assert found[0].data["pictures"] is True


def test_pictures_of_text_beside_a_video_are_read(clip: Path, runtime: ToolRuntime) -> None:
    clip.with_suffix(".sup").write_bytes(pgs(CUES))
    check(read(clip, runtime))
    clip.with_suffix(".srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nText\n")
    assert [one.text for one in read(clip, runtime)] == ["Text"]  # exact, so it comes first


@pytest.mark.skipif(FFMPEG is None, reason="no ffmpeg to write them")
@pytest.mark.parametrize(
    ("name", "codec"), [("a.mkv", "copy"), ("a.mkv", "dvdsub"), ("a.ts", "dvbsub")]
)
def test_pictures_of_text_inside_a_video_are_read(
    clip: Path, runtime: ToolRuntime, name: str, codec: str
) -> None:
    sup, out = clip.with_name("other.sup"), clip.with_name(name)
    sup.write_bytes(pgs(CUES))
    command = [
        str(FFMPEG),
        "-v",
        "error",
        "-copyts",
        "-i",
        clip,
        "-i",
        sup,
        "-c:v",
        "copy",
        "-c:s",
        codec,
    ]
    subprocess.run([*command, out], check=True)
    found = read(out, runtime)
    if codec == "dvbsub":  # FFmpeg writes its first picture late, its second at the time it ends
        assert [one.text for one in found] == [text for _, _, text in CUES]
        assert found[0].start_s == pytest.approx(CUES[0][0], abs=0.3)
    else:
        check(found, exact=codec == "copy")  # FFmpeg loses the ends


# VobSub: an index in text beside an MPEG program stream of subpicture units.


def nibbles(row: np.ndarray) -> list[int]:
    """Encode a row of two-bit pixels as runs, filled to whole bytes."""
    out: list[int] = []
    start = 0
    while start < len(row):
        end = start
        while end < len(row) and row[end] == row[start] and end - start < 255:
            end += 1
        value = (end - start) << 2 | int(row[start])
        count = 1 if end - start < 4 else 2 if end - start < 16 else 3 if end - start < 64 else 4
        out += [value >> 4 * place & 15 for place in reversed(range(count))]
        start = end
    return out + [0] * (len(out) % 2)


def field_of(rows: np.ndarray) -> bytes:
    codes = [nibble for row in rows for nibble in nibbles(row)]
    return bytes(high << 4 | low for high, low in zip(codes[::2], codes[1::2], strict=True))


def subpicture(text: str, length_s: float) -> bytes:
    indices = letters(text)
    height, width = indices.shape
    (x, y), top, bottom = PLACE, field_of(indices[::2]), field_of(indices[1::2])
    last_x, last_y = x + width - 1, y + height - 1
    area = (x << 12 | last_x).to_bytes(3) + (y << 12 | last_y).to_bytes(3)
    control = 4 + len(top) + len(bottom)
    begin = b"\x03\x32\x10\x04\xff\xf0\x05" + area + b"\x06"
    begin += struct.pack(">HH", 4, 4 + len(top)) + b"\x01\xff"
    stop = control + 4 + len(begin)
    sequences = struct.pack(">HH", 0, stop) + begin
    sequences += struct.pack(">HH", round(length_s * 90_000 / 1024), stop) + b"\x02\xff"
    size = control + len(sequences)
    return struct.pack(">HH", size, control) + top + bottom + sequences


def program_packet(time_s: float, content: bytes) -> bytes:
    ticks = round(time_s * 90_000)
    stamp = (0x21 | ticks >> 29 & 14, ticks >> 22 & 255, ticks >> 14 & 254 | 1)
    stamp += (ticks >> 7 & 255, ticks << 1 & 254 | 1)
    body = b"\x81\x80\x05" + bytes(stamp) + b"\x20" + content
    pack = bytes.fromhex("000001ba44000400040101 89c3f8")
    return pack + b"\0\0\x01\xbd" + struct.pack(">H", len(body)) + body


def test_vobsub_beside_a_video_is_read(clip: Path, runtime: ToolRuntime) -> None:
    index = "# VobSub index file, v7 (do not modify this line!)\nsize: 640x480\n"
    index += "palette: 000000, ffffff, 101010, " + ", ".join(["000000"] * 13) + "\n"
    index += "id: en, index: 0\n"
    stream = b""
    for start_s, end_s, text in CUES:
        index += f"timestamp: 00:00:0{int(start_s)}:{round(start_s % 1 * 1000):03}, "
        index += f"filepos: {len(stream):09x}\n"
        stream += program_packet(start_s, subpicture(text, end_s - start_s))
    clip.with_suffix(".idx").write_text(index)
    clip.with_suffix(".sub").write_bytes(stream)
    check(read(clip, runtime))
    assert {path.suffix for path in Subtitles().reads(probe(clip))} == {".idx", ".sub"}
