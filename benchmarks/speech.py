"""Word error rate, speed and memory of the speech recognisers.

    python benchmarks/speech.py --media FOLDER --engines faster-whisper
    python benchmarks/speech.py --engines faster-whisper --long VIDEO REFERENCE.json

The first form recognises short clips: a public speech (jfk.flac in FOLDER), the start of the demo
video, the same under pink noise and under music, German and French by eSpeak NG, and sound without
speech, in which every word is an error. The second one recognises a long video in a process of its
own; REFERENCE.json is written by benchmarks/development/make_videos.py.

Words are compared in lower case, without punctuation, with all numbers in digits ("nineteen
sixty-one" and "1961" are equal). Spelling is not normalised: "harbor" for "harbour" is an error.
It needs jiwer (pip install -e '.[dev]'), and espeak-ng for the languages.
"""

import argparse
import io
import json
import re
import resource
import shutil
import subprocess
import sys
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml
from text_to_num import alpha2digit

from agent.settings import resolve
from tools.base import ToolInput, ToolRuntime
from tools.errors import ReelgraphError
from tools.media.audio import SAMPLE_RATE, AudioBlock, read_audio
from tools.media.video import Video, probe
from tools.speech.subtitles import Subtitles
from tools.speech.transcribe import ENGINES, Transcribe, TranscribeOptions

HERE = Path(__file__).parent
DEMO = HERE.parent / "examples" / "tour.mp4"
TEXTS = HERE / "speech_clips.yaml"
START_S = 150.0  # how much of the demo video is used
JFK = (
    "And so, my fellow Americans: ask not what your country can do for you, "
    "ask what you can do for your country."
)
SPEED = "155"  # words a minute of eSpeak NG
SEED = 7

Sound = npt.NDArray[np.float32]  # [n], 16 kHz, in [-1, 1]


@dataclass(frozen=True)
class Sample:
    """A clip to recognise.

    Attributes:
        name: For the table.
        language: Of the text; decides how numbers are read.
        text: What is said; "" for sound without speech.
        blocks: Returns the sound.
        duration_s: Its length.
    """

    name: str
    language: str
    text: str
    blocks: Callable[[], Iterator[AudioBlock]]
    duration_s: float


@dataclass(frozen=True)
class Measured:
    """What an engine did with a sample; seconds are medians over the rounds.

    Attributes:
        heard: Its text.
        languages: Those it detected.
        wall_s: Elapsed time.
        cpu_s: Processor time of all threads.
    """

    heard: str
    languages: tuple[str, ...]
    wall_s: float
    cpu_s: float


def main() -> None:
    """Print one line for each engine and clip."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engines", nargs="+", default=["faster-whisper"], choices=list(ENGINES))
    parser.add_argument("--options", type=json.loads, default={}, help="more options, as JSON")
    parser.add_argument("--media", type=Path, help="folder with jfk.flac")
    parser.add_argument("--long", nargs=2, type=Path, metavar=("VIDEO", "REFERENCE"))
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    samples = [_long(*args.long)] if args.long else list(_short(args.media))
    for engine in args.engines:
        try:
            tool = _loaded(engine, args.options)
        except ReelgraphError as error:
            _print(f"{engine}: not measured, {error}")
            continue
        for sample in samples:
            _print(f"{engine:15} {_line(sample, _measured(tool, sample, args.rounds))}")
        _print(f"{engine:15} peak memory of the process {_peak_mb():,.0f} MB")


def word_errors(reference: str, heard: str, language: str) -> float:
    """Return the word error rate after normalisation: substituted, missing and added words."""
    try:
        from jiwer import wer
    except ImportError as error:
        raise SystemExit("jiwer counts the errors: pip install jiwer") from error
    return float(wer(normal(reference, language), normal(heard, language)))


def normal(text: str, language: str) -> str:
    """Return a text in lower case, without punctuation, numbers in digits."""
    plain = re.sub(r"(?<=\d)[,.](?=\d{3}\b)", "", text.lower())  # 2,500
    plain = alpha2digit(plain.replace("-", " "), language if language in {"de", "fr"} else "en")
    plain = re.sub(r"[^\w\s]|_", " ", plain.replace("'", "" if language == "en" else " "))
    plain = " ".join(plain.split())
    return re.sub(r"\b(1\d|20) (\d\d)\b", r"\1\2", plain)  # nineteen | sixty-one


def _short(media: Path | None) -> Iterator[Sample]:
    if media:
        video = probe(media / "jfk.flac")
        sound = _decoded(video, video.duration_s)
        yield _sample("Kennedy", "en", JFK, sound)
    demo = probe(DEMO)
    cues = [cue for cue in Subtitles().run(ToolInput(demo)) if cue.end_s < START_S]
    text, sound = " ".join(cue.text for cue in cues), _decoded(demo, cues[-1].end_s + 0.3)
    yield _sample("demo", "en", text, sound)
    for name, other in (("pink noise", _pink(len(sound))), ("music", _music(len(sound)))):
        for decibels in (10, 0):
            mixed = _mixed(sound, other, decibels)
            yield _sample(f"demo, {name} {decibels} dB", "en", text, mixed)
    for language, spoken in yaml.safe_load(TEXTS.read_text(encoding="utf-8")).items():
        yield _sample(language, language, spoken["text"], _spoken(spoken["text"], spoken["voice"]))
    minute = 60 * SAMPLE_RATE
    yield _sample("silence", "en", "", np.zeros(minute, np.float32))
    yield _sample("music alone", "en", "", 0.1 * _music(minute))
    yield _sample("pink noise alone", "en", "", 0.1 * _pink(minute))


def _long(path: Path, reference: Path) -> Sample:
    video, said = probe(path), json.loads(reference.read_text(encoding="utf-8"))["said"]
    text = " ".join(line for _, _, line in said)
    language = "de" if " und " in text else "en"
    return Sample(path.stem, language, text, lambda: read_audio(video), video.duration_s)


def _sample(name: str, language: str, text: str, sound: Sound) -> Sample:
    def blocks() -> Iterator[AudioBlock]:
        yield AudioBlock(0.0, sound)

    return Sample(name, language, text, blocks, len(sound) / SAMPLE_RATE)


def _decoded(video: Video, end_s: float) -> Sound:
    begin = takewhile(lambda block: block.start_s < end_s, read_audio(video))
    return np.concatenate([block.samples for block in begin])[: round(end_s * SAMPLE_RATE)]


def _pink(count: int) -> Sound:
    """Return noise whose power falls with frequency, of unit power."""
    spectrum = np.fft.rfft(np.random.default_rng(SEED).standard_normal(count))
    spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 1))
    return _unit(np.fft.irfft(spectrum, count))


def _music(count: int) -> Sound:
    """Return four chords of plucked strings with drums, of unit power."""
    t = np.arange(count) / SAMPLE_RATE
    beat, since = (t // 2).astype(int) % 4, t % 0.5
    roots = np.array([220.0, 174.6, 261.6, 196.0])[beat]
    ratios, parts = (1, 1.26, 1.5), range(1, 7)
    chord = sum(np.sin(2 * np.pi * roots * r * p * (t % 2)) / p for r in ratios for p in parts)
    drums = np.exp(-40 * since) * np.random.default_rng(SEED).standard_normal(count)
    return _unit(chord * np.exp(-1.5 * since) + 2 * drums)


def _unit(sound: npt.NDArray[Any]) -> Sound:
    return (sound / np.sqrt(np.mean(sound**2))).astype(np.float32)


def _mixed(voice: Sound, other: Sound, decibels: float) -> Sound:
    """Return the voice under another sound; the ratio of powers counts where there is voice."""
    loud = np.abs(voice) > 0.01
    level = np.sqrt(np.mean(voice[loud] ** 2)) / 10 ** (decibels / 20)
    mixed = voice + level * other
    return (mixed / max(1.0, float(np.abs(mixed).max()))).astype(np.float32)


def _spoken(text: str, voice: str) -> Sound:
    program = shutil.which("espeak-ng")
    if program is None:
        raise SystemExit("espeak-ng speaks the texts: apt-get install espeak-ng")
    command = [program, "-v", voice, "-s", SPEED, "--stdout", " ".join(text.split())]
    wav = subprocess.run(command, check=True, capture_output=True).stdout
    with wave.open(io.BytesIO(wav)) as reader:  # its header states no true length
        rate, pcm = reader.getframerate(), np.frombuffer(reader.readframes(len(wav)), np.int16)
    times = np.arange(round(len(pcm) * SAMPLE_RATE / rate)) * rate / SAMPLE_RATE
    return np.interp(times, np.arange(len(pcm)), pcm / 32768).astype(np.float32)


def _loaded(engine: str, options: dict[str, Any]) -> Transcribe:
    tool = Transcribe(TranscribeOptions(engine=engine, **options))
    tool.setup(ToolRuntime("cpu", offline=True, models=resolve("embedded", {}).models.expanduser()))
    return tool


def _measured(tool: Transcribe, sample: Sample, rounds: int) -> Measured:
    walls, processors, texts = [], [], []
    video = Video(Path("sound.wav"), "", sample.duration_s, 0, 0, 0, None, True, ())
    for _ in range(rounds):
        wall, processor = perf_counter(), process_time()
        found = list(tool.run(ToolInput(video, audio=sample.blocks)))
        walls.append(perf_counter() - wall)
        processors.append(process_time() - processor)
        texts.append(" ".join(one.text for one in found))
    if len(set(texts)) > 1:
        _print(f"{sample.name}: the rounds differ")
    languages = tuple(sorted({one.data["language"] for one in found}))
    return Measured(texts[0], languages, median(walls), median(processors))


def _line(sample: Sample, done: Measured) -> str:
    if sample.text:
        errors = f"{word_errors(sample.text, done.heard, sample.language):7.1%} word errors"
    else:
        errors = f"{len(done.heard.split()):7} words invented"
    wall, cpu = done.wall_s / sample.duration_s, done.cpu_s / sample.duration_s
    speed = f"real-time factor {wall:.3f}, of processor time {cpu:.3f}"
    return f"{sample.name:22} {errors}, {speed}, {'/'.join(done.languages) or '-'}"


def _peak_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak / 1e3


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
