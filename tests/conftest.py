"""Generated clips: real files, a few seconds long, whose frames encode their own time."""

import os
import pickle
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

# Several workers with several threads each would oversubscribe the cores; child processes inherit
# this. It is read when a numeric library is first imported.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import av
import numpy as np
import numpy.typing as npt
import pytest
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.stream import Stream
from av.video.stream import VideoStream

from agent.settings import resolve

Picture = npt.NDArray[np.uint8]  # [height, width, 3], RGB
Draw = Callable[[float, int, int], Picture]
Tone = Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]
Cue = tuple[float, float, str]

AUDIO_RATE = 44_100

MODELS = resolve("embedded").models.expanduser()  # before a test changes the environment

# A picture holds a grid of black and white blocks: 20 bits of milliseconds and 4 of check sum.
ROWS, COLUMNS, TIME_BITS = 4, 6, 20


def draw_time(time_s: float, width: int, height: int) -> Picture:
    """Return a picture whose blocks encode the time in milliseconds."""
    milliseconds = round(time_s * 1000)
    code = milliseconds << 4 | _check_sum(milliseconds)
    bits = [code >> shift & 1 for shift in reversed(range(ROWS * COLUMNS))]
    grid = np.array(bits, np.uint8).reshape(ROWS, COLUMNS) * 255
    rows = np.arange(height) * ROWS // height
    columns = np.arange(width) * COLUMNS // width
    return np.repeat(grid[rows][:, columns, None], 3, axis=2)


def _read_time(image: Picture) -> float:
    height, width = image.shape[:2]
    rows = ((np.arange(ROWS) + 0.5) * height / ROWS).astype(int)
    columns = ((np.arange(COLUMNS) + 0.5) * width / COLUMNS).astype(int)
    bits = image[rows][:, columns].mean(axis=2).ravel() > 127
    code = int("".join("01"[int(bit)] for bit in bits), 2)
    milliseconds = code >> 4
    assert code & 15 == _check_sum(milliseconds), "the blocks are not upright or not intact"
    return milliseconds / 1000


def _check_sum(milliseconds: int) -> int:
    return (sum(milliseconds >> shift & 15 for shift in range(0, TIME_BITS, 4)) + 5) % 16


@pytest.fixture(scope="session")
def read_time() -> Callable[[Picture], float]:
    """The time in seconds that an upright picture of `draw_time` encodes."""
    return _read_time


@pytest.fixture(scope="session")
def media() -> Path:
    """The folder of real clips named by REELGRAPH_TEST_MEDIA; skips without one."""
    folder = os.environ.get("REELGRAPH_TEST_MEDIA")
    if not folder:
        pytest.skip("REELGRAPH_TEST_MEDIA names no folder of real clips")
    return Path(folder)


@pytest.fixture(scope="session")
def models_folder() -> Path:
    """The folder of fetched weights, which `reelgraph models get` fills."""
    return MODELS


@pytest.fixture
def as_plain_user() -> Callable[[], AbstractContextManager[None]]:
    """A context in which file permissions count even where tests run as the superuser."""

    @contextmanager
    def plain() -> Iterator[None]:
        user = os.geteuid()
        os.seteuid(user or 65_534)
        try:
            yield
        finally:
            os.seteuid(user)

    return plain


@pytest.fixture
def make_clip(tmp_path: Path) -> Callable[..., Path]:
    """Write a clip into the test's folder: `make_clip(name, **fields of Clip)` -> path."""
    return partial(_make_clip, tmp_path)


@pytest.fixture
def make_cut_clip(make_clip: Callable[..., Path], tmp_path: Path) -> Callable[..., Path]:
    """`make_cut_clip(pictures, left_out)`: an MP4 whose edit list leaves out the first ones."""

    def cut(pictures: int, left_out: int) -> Path:
        source = make_clip("uncut.mp4", seconds=pictures / 25, size=(96, 64), gop=60)
        target = tmp_path / "cut.mp4"
        early = {"avoid_negative_ts": "disabled"}
        with av.open(str(source)) as read, av.open(str(target), "w", options=early) as written:
            stream = read.streams.video[0]
            copy = written.add_stream_from_template(stream)
            shift = round(left_out / 25 / stream.time_base)
            for packet in (packet for packet in read.demux(stream) if packet.dts is not None):
                packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
                packet.stream = copy
                written.mux(packet)
        return target

    return cut


@pytest.fixture(scope="session")
def make_shared_clip(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Like `make_clip`, for clips that many tests read; each goes into a folder of its own."""
    return lambda *args, **fields: _make_clip(tmp_path_factory.mktemp("clips"), *args, **fields)


_ENCODED: dict[bytes, bytes] = {}


def _make_clip(folder: Path, name: str = "clip.mp4", **fields: Any) -> Path:
    """Write a clip; one like another before is not encoded again."""
    path, clip = folder / name, Clip(**fields)
    path.parent.mkdir(parents=True, exist_ok=True)
    if clip.draw or callable(clip.audio):  # nobody knows whether two functions do the same
        write_clip(path, clip)
        return path
    key = pickle.dumps((path.suffix, vars(clip)))
    if key in _ENCODED:
        path.write_bytes(_ENCODED[key])
    else:
        write_clip(path, clip)
        _ENCODED[key] = path.read_bytes()
    return path


@dataclass(frozen=True)
class Clip:
    """What to write; the container follows from the file's ending.

    Attributes:
        fps: Frame rate; with `times`, only the encoder's setting.
        seconds: Length of picture and sound.
        size: Width and height as displayed, that is after `rotation`.
        start_s: Timestamp at which the whole file begins (a player still shows 0 there).
        times: Presentation times of the pictures, for a variable rate or a late picture.
        rotation: Degrees clockwise by which a player must turn the picture (mp4 and mov only).
        flipped: Whether a player must flip the picture upside down before it turns it.
        audio: True for a 440 Hz tone, or a function from times [n] to samples [n] in [-1, 1].
        audio_spans: Starts and ends of the sound in seconds; all of the clip if none is given.
        picture: False for a file with sound only.
        subtitles: Cues (start, end, text), written as a track inside the file.
        gop: Pictures between two key frames.
        b_frames: Consecutive B-frames; from 2 on some of them are references themselves.
        draw: Function (time in seconds, width, height) -> RGB picture; `draw_time` otherwise.
        matrix: bt601 or bt709, in the pixels and in the tags.
        tagged: Whether the file says which matrix that is.
        codec: Encoder of the picture.
        crf: Quality of libx264.
        muxer: Options of the container's writer.
    """

    fps: Fraction | float = Fraction(25)
    seconds: float = 4.0
    size: tuple[int, int] = (320, 240)
    start_s: float = 0.0
    times: Sequence[float] | None = None
    rotation: int = 0
    flipped: bool = False
    audio: bool | Tone = False
    audio_spans: Sequence[tuple[float, float]] = ()
    picture: bool = True
    subtitles: Sequence[Cue] = ()
    gop: int = 25
    b_frames: int = 0
    draw: Draw | None = None
    matrix: str = "bt601"
    tagged: bool = True
    codec: str = "libx264"
    crf: int = 18
    muxer: dict[str, str] = field(default_factory=dict)

    @property
    def ticks(self) -> Fraction:
        """Time base of the picture; MPEG-4 part 2 allows 16 bits only."""
        return 1 / Fraction(self.fps) if self.codec == "mpeg4" else Fraction(1, 90_000)


def write_clip(path: Path, clip: Clip) -> None:
    """Encode and write a real file."""
    with av.open(str(path), "w", options=clip.muxer) as container:
        video = _add_video(container, clip) if clip.picture else None
        sound = _add_sound(container, path) if clip.audio else None
        cues = _add_cues(container, path) if clip.subtitles else None
        container.start_encoding()
        if video:
            _write_pictures(container, video, clip)
        if sound:
            _write_sound(container, sound, clip)
        if cues:
            _write_cues(container, cues, clip)
    if clip.rotation or clip.flipped:
        _tag_matrix(path, clip.rotation, clip.flipped)


def _add_video(container: OutputContainer, clip: Clip) -> VideoStream:
    stream = container.add_stream(clip.codec, rate=Fraction(clip.fps), time_base=clip.ticks)
    assert isinstance(stream, VideoStream)
    width, height = clip.size
    stream.width, stream.height = (height, width) if clip.rotation % 180 else (width, height)
    context = stream.codec_context
    context.gop_size = clip.gop
    context.max_b_frames = clip.b_frames
    matrix = 1 if clip.matrix == "bt709" else 6  # ITU-T H.273, MatrixCoefficients
    context.colorspace = matrix if clip.tagged else 2
    context.color_range = 1
    if clip.codec == "libx264":
        # Key frames where `gop` says, and the same bytes whatever the number of cores.
        pyramid = "normal" if clip.b_frames > 1 else "none"
        parameters = f"keyint={clip.gop}:min-keyint={clip.gop}:scenecut=0:threads=1"
        parameters += f":bframes={clip.b_frames}:b-adapt=0:b-pyramid={pyramid}"
        settings = {"preset": "veryfast", "crf": str(clip.crf), "x264-params": parameters}
        stream.options.update(settings)
    return stream


def _add_sound(container: OutputContainer, path: Path) -> AudioStream:
    codec = {".flac": "flac", ".wav": "pcm_s16le"}.get(path.suffix, "aac")
    stream = container.add_stream(codec, rate=AUDIO_RATE)
    assert isinstance(stream, AudioStream)
    stream.layout = "mono"
    return stream


def _add_cues(container: OutputContainer, path: Path) -> Stream:
    codec = "mov_text" if path.suffix in {".mp4", ".mov"} else "subrip"
    return container.add_mux_stream(codec, time_base=Fraction(1, 1000))


def _write_pictures(container: OutputContainer, stream: VideoStream, clip: Clip) -> None:
    fps = Fraction(clip.fps)
    steady = [float(number / fps) for number in range(max(1, round(clip.seconds * fps)))]
    for time_s in steady if clip.times is None else clip.times:
        image = (clip.draw or draw_time)(time_s, *clip.size)
        turned = np.rot90(image, clip.rotation // 90)
        stored = np.ascontiguousarray(turned[::-1] if clip.flipped else turned)
        frame = _yuv(stored, clip.matrix)
        frame.pts = round((clip.start_s + time_s) / clip.ticks)
        frame.time_base = clip.ticks
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def _yuv(image: Picture, matrix: str) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(image, format="rgb24")
    colourspace = "ITU709" if matrix == "bt709" else "ITU601"
    return frame.reformat(format="yuv420p", dst_colorspace=colourspace, dst_color_range="MPEG")


def _tone(times_s: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return 0.5 * np.sin(2 * np.pi * 440 * times_s)


def _write_sound(container: OutputContainer, stream: AudioStream, clip: Clip) -> None:
    tone = clip.audio if callable(clip.audio) else _tone
    for span in clip.audio_spans or [(0, clip.seconds)]:
        first, last = (round(edge * AUDIO_RATE) for edge in span)
        for offset in range(first, last, 1024):
            times_s = np.arange(offset, min(offset + 1024, last)) / AUDIO_RATE
            samples = np.round(np.clip(tone(times_s), -1, 1) * 32767).astype(np.int16)[None]
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            frame.sample_rate = AUDIO_RATE
            frame.time_base = Fraction(1, AUDIO_RATE)
            frame.pts = offset + round(clip.start_s * AUDIO_RATE)
            container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def _write_cues(container: OutputContainer, stream: Stream, clip: Clip) -> None:
    for begin, end, text in clip.subtitles:
        raw = text.encode()
        if container.format.name in {"mp4", "mov"}:  # timed text: length first (3GPP TS 26.245)
            raw = struct.pack(">H", len(raw)) + raw
        packet: av.Packet[Any] = av.Packet(raw)
        packet.stream = stream
        packet.time_base = Fraction(1, 1000)
        packet.pts = packet.dts = round((clip.start_s + begin) * 1000)
        packet.duration = round((end - begin) * 1000)
        container.mux(packet)


def _tag_matrix(path: Path, rotation: int, flipped: bool) -> None:
    """Put a turn and a flip into the track header (ISO 14496-12, tkhd); PyAV cannot write them."""
    content = bytearray(path.read_bytes())
    matrix_at = content.index(b"tkhd") + 4 + 4 + 20 + 8 + 8  # version 0: flags, times, layer
    cos, sin = {0: (1, 0), 90: (0, 1), 180: (-1, 0), 270: (0, -1)}[rotation]
    down = -1 if flipped else 1
    turned = [cos << 16, sin << 16, 0, -down * sin << 16, down * cos << 16, 0, 0, 0, 1 << 30]
    struct.pack_into(">9i", content, matrix_at, *turned)
    path.write_bytes(content)
