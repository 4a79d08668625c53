"""Build the development videos: drawn, spoken and encoded from the YAML scripts beside this file.

It wants eSpeak NG (Debian: apt install espeak-ng) and Matplotlib (for its DejaVu fonts).

    python benchmarks/development/make_videos.py --out videos            all three
    python benchmarks/development/make_videos.py --out videos --only news
    python benchmarks/development/make_videos.py --out videos --stills   pictures, no video
"""

import argparse
import heapq
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import av
import numpy as np
import yaml
from PIL import Image

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "examples"))

from board import Moment, View  # noqa: E402
from demo.voice import RATE_HZ, Sound, play, speak  # noqa: E402
from views import draw  # noqa: E402

NAMES = ("news", "lecture", "werkstatt")
VOICES = HERE / "voices.yaml"
WIDTH, HEIGHT = 1280, 720
VIDEO_OPTIONS = {"crf": "30", "preset": "veryfast", "threads": "1"}
KEY_FRAME_EVERY_S = 10
LOUDNESS = 0.7
LEAD_S = 1.5
# How long the pauses are, in units that are chosen so that the video gets its length.
AFTER_SENTENCE, AFTER_LINE, BEFORE_VIEW = 1.0, 1.6, 2.5
SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-ZÄÖÜ„])")
COMMANDS = {"show", "change", "rest", "sound"}


@dataclass(frozen=True)
class Said:
    """A sentence and when it is heard."""

    start_s: float
    end_s: float
    voice: str
    text: str


@dataclass(frozen=True)
class Shown:
    """A view and when it is seen."""

    start_s: float
    end_s: float
    view: View


@dataclass(frozen=True)
class Film:
    """A script laid out in time, with its sound."""

    name: str
    fps: int
    script: dict[str, Any]
    said: tuple[Said, ...]
    shown: tuple[Shown, ...]
    sound: Sound
    length_s: float


@dataclass(frozen=True)
class Step:
    """One step of a script: what to do and the pause before it, in units and in seconds."""

    kind: str
    content: Any
    voice: str = ""
    units: float = 0.0
    rest_s: float = 0.0


def read_steps(script: dict[str, Any]) -> list[Step]:
    """Split a script into sentences, views and sounds; each one-key line names its voice."""
    steps, voice, units, view = [], script["voice"], 0.0, {}
    for entry in script["steps"]:
        key, content = ("", entry) if isinstance(entry, str) else next(iter(entry.items()))
        if key == "rest":
            steps.append(Step("rest", None, rest_s=float(content)))
        elif key == "sound":
            steps.append(Step("sound", content))
        elif key in COMMANDS:
            view = content if key == "show" else merged(view, content)
            units = max(units, BEFORE_VIEW)
            steps.append(Step("view", view, units=units / 2))
            units /= 2
        else:
            voice = key or voice
            for sentence in SENTENCE_END.split(" ".join(content.split())):
                steps.append(Step("say", sentence, voice, units))
                units = AFTER_SENTENCE
            units = AFTER_LINE
    return steps


def merged(view: View, change: View) -> View:
    """Change a view: mappings are merged, "key+" extends a list, nothing removes a key."""
    result = dict(view)
    for key, value in change.items():
        if value is None:
            result.pop(key, None)
        elif key.endswith("+"):
            result[key[:-1]] = [*result.get(key[:-1], []), *value]
        elif isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merged(result[key], value)
        else:
            result[key] = value
    return result


def lay_out(name: str) -> Film:
    """Speak a script and give everything its time; the pauses fill the wanted length."""
    script = yaml.safe_load((HERE / f"{name}.yaml").read_text(encoding="utf-8"))
    steps, length_s = read_steps(script), 60.0 * script["minutes"]
    voices = [speak(s.content, s.voice, VOICES) for s in steps if s.kind == "say"]
    spoken_s = sum(voice.size for voice in voices) / RATE_HZ
    fixed_s = spoken_s + LEAD_S + script["tail_s"] + sum(s.rest_s for s in steps)
    unit_s = (length_s - fixed_s) / sum(s.units for s in steps)
    if not 0.15 < unit_s < 2:
        raise SystemExit(f"{name}: {spoken_s:.0f} s of speech do not fit into {length_s:.0f} s.")
    sys.stdout.write(f"{name}: {spoken_s:.0f} s of speech, pauses of {unit_s:.2f} s\n")
    return _timed(name, script, steps, voices, unit_s)


def _timed(
    name: str, script: dict[str, Any], steps: list[Step], voices: list[Sound], unit_s: float
) -> Film:
    length_s = 60.0 * script["minutes"]
    track = np.zeros(round(length_s * RATE_HZ), np.float32)
    clock, said, starts, spoken = LEAD_S, [], [], iter(voices)
    for step in steps:
        clock += step.rest_s + unit_s * step.units
        if step.kind == "view":
            starts.append((clock if starts else 0.0, step.content))
        elif step.kind == "sound":
            _add(track, clock, play(step.content["name"], step.content["seconds"]))
        elif step.kind == "say":
            voice = next(spoken)
            _add(track, clock, voice)
            end_s = clock + voice.size / RATE_HZ
            said.append(Said(clock, end_s, step.voice, step.content))
            clock = end_s
    ends = [start for start, _ in starts[1:]] + [length_s]
    shown = tuple(Shown(s, e, view) for (s, view), e in zip(starts, ends, strict=True))
    sound = LOUDNESS * np.clip(track, -1, 1)
    return Film(name, script["fps"], script, tuple(said), shown, sound, length_s)


def _add(track: Sound, start_s: float, sound: Sound) -> None:
    first = round(start_s * RATE_HZ)
    part = track[first : first + sound.size]
    part += sound[: part.size]


def moment_of(film: Film, seconds: float) -> Moment:
    """Tell what moves in the picture: the mouth, the ticker, the clock."""
    talking = any(s.start_s <= seconds < s.end_s for s in film.said)
    items, every_s = film.script.get("ticker", []), film.script.get("ticker_s", 15)
    ticker = items[int(seconds // every_s) % len(items)] if items else ""
    hour, minute = map(int, film.script.get("clock", "0:00").split(":"))
    now = 60 * hour + minute + int(seconds // 60)
    beat = int(seconds * film.fps) % 2 if talking else 0
    return Moment(beat, ticker, f"{now // 60:02}:{now % 60:02}", int(seconds // 7) % 3)


class Painter:
    """Draw the frames of a film and keep the last ones."""

    def __init__(self, film: Film) -> None:
        self._film = film
        self._picture = lru_cache(maxsize=12)(self._draw)

    def frame(self, seconds: float) -> np.ndarray:
        """Draw what is seen at a time."""
        return self._picture(self.index(seconds), moment_of(self._film, seconds))

    def index(self, seconds: float) -> int:
        """Find the view of a time."""
        found = (n for n, shown in enumerate(self._film.shown) if seconds < shown.end_s)
        return next(found, len(self._film.shown) - 1)

    def _draw(self, index: int, moment: Moment) -> np.ndarray:
        return draw(self._film.script, self._film.shown[index].view, moment)[0]


def encode(film: Film, path: Path) -> None:
    """Write the film: H.264 and AAC, in the order of their times."""
    with av.open(str(path), "w", options={"movflags": "+faststart", "fflags": "+bitexact"}) as out:
        video = out.add_stream("libx264", rate=film.fps, options=VIDEO_OPTIONS)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.gop_size = KEY_FRAME_EVERY_S * film.fps
        audio = out.add_stream("aac", rate=RATE_HZ, layout="mono", bit_rate=48_000)
        audio.metadata["language"] = film.script["language"]
        out.start_encoding()
        for packet in heapq.merge(_pictures(film, video), _tones(film, audio), key=_clock):
            out.mux(packet)


def _clock(packet: av.Packet) -> float:
    dts = packet.dts if packet.dts is not None else packet.pts
    return float((dts or 0) * packet.time_base)


def _pictures(film: Film, video: av.VideoStream) -> Iterator[av.Packet]:
    painter = Painter(film)
    for number in range(int(film.length_s * film.fps)):
        frame = av.VideoFrame.from_ndarray(painter.frame(number / film.fps), format="rgb24")
        frame.pts, frame.time_base = number, Fraction(1, film.fps)
        yield from video.encode(frame)
    yield from video.encode(None)


def _tones(film: Film, audio: av.AudioStream) -> Iterator[av.Packet]:
    for first in range(0, film.sound.size, 1024):
        block = film.sound[None, first : first + 1024]
        frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE_HZ, first, Fraction(1, RATE_HZ)
        yield from audio.encode(frame)
    yield from audio.encode(None)


def times_of(film: Film) -> dict[str, Any]:
    """List all that is said and all that can be read, with times."""
    said = [[round(s.start_s, 1), round(s.end_s, 1), s.text] for s in film.said]
    shown = []
    for part in film.shown:
        words = draw(film.script, part.view, Moment(0, "", "", 0))[1]
        shown.append([round(part.start_s, 1), round(part.end_s, 1), words])
    items, every_s = film.script.get("ticker", []), film.script.get("ticker_s", 15)
    for number in range(int(film.length_s // every_s) if items else 0):
        span = [number * every_s, (number + 1) * every_s]
        shown.append([*span, [items[number % len(items)]]])
    return {"length_s": film.length_s, "said": said, "shown": shown}


def save_stills(film: Film, folder: Path) -> None:
    """Write one picture a view."""
    folder.mkdir(parents=True, exist_ok=True)
    painter = Painter(film)
    for number, shown in enumerate(film.shown):
        picture = painter.frame((shown.start_s + shown.end_s) / 2)
        Image.fromarray(picture).save(folder / f"{film.name}_{number:03}.png")


def main() -> None:
    """Read the command line and build what it asks for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--out", type=Path, required=True, help="the folder for the videos")
    parser.add_argument("--only", choices=NAMES, help="build one of them")
    parser.add_argument("--stills", action="store_true", help="write pictures instead")
    wanted = parser.parse_args()
    wanted.out.mkdir(parents=True, exist_ok=True)
    for name in [wanted.only] if wanted.only else NAMES:
        film = lay_out(name)
        times = json.dumps(times_of(film), ensure_ascii=False, indent=0)
        (wanted.out / f"{name}.json").write_text(times, encoding="utf-8")
        if wanted.stills:
            save_stills(film, wanted.out)
        else:
            encode(film, wanted.out / f"{name}.mp4")


if __name__ == "__main__":
    main()
