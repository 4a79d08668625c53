"""Build examples/tour.mp4, the demo video: drawn, spoken and encoded from script.yaml.

The demo runs without it; it documents how the video was made. It needs eSpeak NG
(Debian: apt install espeak-ng) and Matplotlib (for its DejaVu fonts: pip install matplotlib).

    python examples/make_demo.py --out examples/tour.mp4
    python examples/make_demo.py --stills stills --every 10
"""

import argparse
import heapq
import json
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.subtitles.stream import SubtitleStream
from av.video.frame import PictureType
from demo import island, outdoors, rooms, town
from demo.canvas import DEEP
from demo.screenplay import HEIGHT, WIDTH, Take, lay_out, read_screenplay
from demo.stage import Stage
from demo.voice import RATE_HZ, Sound, play, speak
from PIL import Image

HERE = Path(__file__).parent
SCRIPT = HERE / "script.yaml"
FPS = 10
KEY_FRAME_EVERY_S = 10
VIDEO_OPTIONS = {
    "crf": "47",  # flat drawings stay clean: the encoder refines what other frames refer to
    "preset": "veryslow",
    "tune": "animation",
    "forced-idr": "1",
    "threads": "2",  # fixed, since the bytes depend on it
}
# Below 20 kbit/s the speech degrades: a recogniser then gets half as many of its words.
AUDIO_BITS = 20_500
AUDIO_OPTIONS = {"cutoff": "5500"}
LOUDNESS = 0.7  # of full scale, room for the overshoot of the coding
# The encoder of the text track needs a style sheet before it opens.
ASS_HEADER = b"""[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, Alignment
Style: Default,Arial,16,&Hffffff,2

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""

SCENES: dict[str, Callable[[Stage], None]] = {
    "title": outdoors.title,
    "ticket_hall": rooms.ticket_hall,
    "cloakroom": rooms.cloakroom,
    "models": rooms.models,
    "tide_clock": rooms.tide_clock,
    "rope_walk": rooms.rope_walk,
    "courtyard": outdoors.courtyard,
    "pier": outdoors.pier,
    "crossing": outdoors.crossing,
    "lighthouse": outdoors.lighthouse,
    "logbook": island.logbook,
    "cafe": island.cafe,
    "flags": island.flags,
    "knots": town.knots,
    "map_room": town.map_room,
    "shop": town.shop,
    "farewell": town.farewell,
}


def set_stage(number: int, take: Take) -> Stage:
    """Draw a scene and check that all its text is there."""
    stage = Stage(take, DEEP)
    SCENES[take.scene.id](stage)
    stage.add_chapter(number)
    stage.check()
    return stage


def record_voice() -> tuple[tuple[Take, ...], list[Sound]]:
    """Speak every line, and lay the screenplay out by the lengths."""
    scenes = read_screenplay(SCRIPT)
    voices = [speak(line.text, line.voice, SCRIPT) for scene in scenes for line in scene.lines]
    return lay_out(scenes, [voice.size / RATE_HZ for voice in voices]), voices


def mix_sound(takes: tuple[Take, ...], voices: list[Sound]) -> Sound:
    """Lay the voices and the sounds on one track."""
    track = np.zeros(round(takes[-1].span.end_s * RATE_HZ), np.float32)
    spoken = iter(voices)
    for take in takes:
        scene, start_s = take.scene, take.span.start_s
        if scene.lead_sound:
            _add(track, start_s, play(scene.lead_sound, scene.lead_s))
        if scene.sound:
            _add(track, start_s, play(scene.sound, take.span.end_s - start_s))
        for line, span in zip(scene.lines, take.lines, strict=True):
            _add(track, span.start_s, next(spoken))
            if line.sound:
                _add(track, span.end_s, play(line.sound, line.rest_s))
    return LOUDNESS * np.clip(track, -1, 1)


def _add(track: Sound, start_s: float, sound: Sound) -> None:
    first = round(start_s * RATE_HZ)
    part = track[first : first + sound.size]
    part += sound[: part.size]


def frames(takes: tuple[Take, ...]) -> Iterator[av.VideoFrame]:
    """Draw all frames; the first of every view is marked as a key frame."""
    stage, current, looked, last_key = None, None, None, 0
    for index in range(int(takes[-1].span.end_s * FPS)):
        moment = index / FPS
        number = next(n for n, take in enumerate(takes) if take.span.end_s > moment)
        if number != current:
            stage, current = set_stage(number, takes[number]), number
        assert stage is not None
        view = (number, stage.view(moment))
        frame = av.VideoFrame.from_ndarray(stage.render(moment), format="rgb24")
        frame.pts, frame.time_base = index, Fraction(1, FPS)
        if view != looked or index - last_key >= KEY_FRAME_EVERY_S * FPS:
            frame.pict_type, looked, last_key = PictureType.I, view, index
        yield frame


def encode(path: Path, takes: tuple[Take, ...], sound: Sound) -> None:
    """Write the film: H.264, AAC and the subtitles, in the order of their times."""
    # Chunks of a second: an index entry a packet would take another 100 kB.
    options = {"movflags": "+faststart", "fflags": "+bitexact", "chunk_duration": "1000000"}
    with av.open(str(path), "w", options=options) as film:
        video = film.add_stream("libx264", rate=FPS, options=VIDEO_OPTIONS)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.gop_size = 2 * KEY_FRAME_EVERY_S * FPS
        audio = film.add_stream(
            "aac", rate=RATE_HZ, layout="mono", bit_rate=AUDIO_BITS, options=AUDIO_OPTIONS
        )
        subtitles = film.add_stream("mov_text")
        subtitles.codec_context.subtitle_header = ASS_HEADER
        subtitles.time_base = Fraction(1, 1000)
        for stream in (audio, subtitles):
            stream.metadata["language"] = "eng"
        film.start_encoding()
        tracks = (
            _pictures(takes, video),
            _tones(sound, audio),
            _cues(takes, subtitles),
        )
        for packet in heapq.merge(*tracks, key=_clock):
            film.mux(packet)


def _clock(packet: av.Packet) -> float:
    dts = packet.dts if packet.dts is not None else packet.pts
    return float((dts or 0) * packet.time_base)


def _pictures(takes: tuple[Take, ...], video: av.VideoStream) -> Iterator[av.Packet]:
    for frame in frames(takes):
        yield from video.encode(frame)
    yield from video.encode(None)


def _tones(sound: Sound, audio: av.AudioStream) -> Iterator[av.Packet]:
    for first in range(0, sound.size, 1024):
        block = sound[None, first : first + 1024]
        frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE_HZ, first, Fraction(1, RATE_HZ)
        yield from audio.encode(frame)
    yield from audio.encode(None)


def _cues(takes: tuple[Take, ...], stream: SubtitleStream) -> Iterator[av.Packet]:
    """Yield one cue per line, and empty ones between: the format has no gaps."""
    clock = 0
    for take in takes:
        for line, span in zip(take.scene.lines, take.lines, strict=True):
            start, end = round(1000 * span.start_s), round(1000 * span.end_s)
            if start > clock:
                yield _cue("", clock, start, stream)
            yield _cue(line.text, start, end, stream)
            clock = end


def _cue(text: str, start: int, end: int, stream: SubtitleStream) -> av.Packet:
    words = text.encode()
    packet = av.Packet(len(words).to_bytes(2, "big") + words)
    packet.pts = packet.dts = start
    packet.duration, packet.time_base, packet.stream = end - start, Fraction(1, 1000), stream
    return packet


def save_stills(folder: Path, takes: tuple[Take, ...], every_s: float) -> None:
    """Write single frames as pictures, to look at the drawings without encoding."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, take in enumerate(takes):
        stage, moment = set_stage(number, take), take.span.start_s + 1
        while moment < take.span.end_s:
            picture = Image.fromarray(stage.render(moment))
            picture.save(folder / f"{moment:06.1f}_{take.scene.id}.png")
            moment += every_s


def save_times(path: Path, takes: tuple[Take, ...]) -> None:
    """Write what is said and what can be read, with times, to check questions against."""
    said, shown = [], []
    for number, take in enumerate(takes):
        for line, span in zip(take.scene.lines, take.lines, strict=True):
            said.append([span.start_s, span.end_s, line.text])
        for writing in set_stage(number, take).written:
            shown.append([writing.span.start_s, writing.span.end_s, writing.words])
    path.write_text(json.dumps({"said": said, "shown": shown}, indent=1), encoding="utf-8")


def main() -> None:
    """Read the command line and build what it asks for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--out", type=Path, help="the film to write (.mp4)")
    parser.add_argument("--stills", type=Path, help="a folder for single frames")
    parser.add_argument("--every", type=float, default=10, help="seconds between the stills")
    parser.add_argument("--times", type=Path, help="a JSON file for the times of all texts")
    wanted = parser.parse_args()
    try:
        takes, voices = record_voice()
    except RuntimeError as missing:
        parser.exit(1, f"{missing}\n")
    print(f"{len(takes)} scenes, {takes[-1].span.end_s:.1f} s")
    if wanted.stills:
        save_stills(wanted.stills, takes, wanted.every)
    if wanted.times:
        save_times(wanted.times, takes)
    if wanted.out:
        encode(wanted.out, takes, mix_sound(takes, voices))
        print(f"{wanted.out}: {wanted.out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
