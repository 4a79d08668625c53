"""Transcribe speech: voice activity detection, then speech recognition on the speech alone."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import Any, Literal

from pydantic import Field

from tools.base import Availability, Keep, Need, Tool, ToolInput, ToolOptions, ToolRuntime
from tools.errors import MissingError, StoppedError
from tools.evidence import Evidence
from tools.media.audio import AudioBlock
from tools.speech import faster_whisper_engine as speech_faster
from tools.speech import whisper_engine as speech_whisper
from tools.speech.recogniser import Recogniser, Segment, Word
from tools.speech.voice_activity import (
    GateSettings,
    SoundSpan,
    VoiceDetector,
    plain_spans,
    silero_weights,
    speech_spans,
)


class TranscribeOptions(ToolOptions):
    """Options of the transcribe tool.

    Attributes:
        engine: faster-whisper or whisper (openai-whisper).
        model: A name ("base", "turbo", ...), for faster-whisper also a folder in CTranslate2
            format, for whisper the path of a .pt checkpoint.
        language: Code of the spoken language, "" to detect it.
        vad: Pass only detected speech to the recogniser; without it music and noise become words.
        vad_threshold: Probability from which audio counts as speech.
        max_span_s: Longer speech is cut at a pause; Whisper's window is 30 s.
        min_score: Segments with a lower score are dropped.
        word_times: Give each word's time in the evidence's data.
    """

    engine: Literal["faster-whisper", "whisper"] = "faster-whisper"
    model: str = "base"
    language: str = ""
    vad: bool = True
    vad_threshold: float = Field(0.5, gt=0, lt=1)
    max_span_s: float = Field(30.0, ge=5, le=120)
    min_score: float = Field(0.0, ge=0, le=1)
    word_times: bool = False


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """An available speech recogniser: the package it needs and how to load it."""

    module: str
    package: str
    load: Callable[[TranscribeOptions, ToolRuntime], Recogniser]


ENGINES: Mapping[str, EngineChoice] = {
    "faster-whisper": EngineChoice(
        "faster_whisper",
        "faster-whisper",
        lambda options, runtime: speech_faster.load(
            options.model, options.language, options.word_times, runtime
        ),
    ),
    "whisper": EngineChoice(
        "whisper",
        "openai-whisper",
        lambda options, runtime: speech_whisper.load(
            options.model, options.language, options.word_times, runtime
        ),
    ),
}


class Transcribe(Tool):
    """Transcribed speech, about one sentence per piece of evidence."""

    name = "transcribe"
    kind = "speech"
    version = "1"
    Options = TranscribeOptions
    options: TranscribeOptions

    def __init__(self, options: ToolOptions | None = None) -> None:
        super().__init__(options)
        self._recogniser: Recogniser | None = None

    @property
    def needs(self) -> frozenset[Need]:
        """The audio."""
        return frozenset({"audio"})

    @property
    def models(self) -> Mapping[str, str]:
        """The recogniser and the voice activity detector."""
        options = self.options
        own = options.model.endswith(".pt")
        names = {
            "faster-whisper": speech_faster.weights_name(options.model),
            "whisper": options.model if own else f"openai-whisper-{options.model}",
        }
        found = {"speech": names[options.engine]}
        return found | ({"voice activity": "silero-vad"} if options.vad else {})

    @property
    def memory_bytes(self) -> int:
        """Bytes of the recogniser."""
        return self._recogniser.memory_bytes if self._recogniser else 0

    def available(self) -> Availability:
        """Check whether the engine's package and the detector's weights are installed."""
        engine = ENGINES[self.options.engine]
        if find_spec(engine.module) is None:
            return Availability(
                False, f"{engine.package} is not installed", f"pip install {engine.package}"
            )
        if not self.options.vad:
            return Availability(True)
        if find_spec("onnxruntime") is None:
            return Availability(False, "onnxruntime is not installed", "pip install onnxruntime")
        try:
            silero_weights()
        except MissingError as error:
            return Availability(False, str(error), "pip install 'silero-vad>=6.2'")
        return Availability(True)

    def setup(self, runtime: ToolRuntime) -> None:
        """Load the recogniser.

        Raises:
            InputError: The options name a model or language that does not exist.
            MissingError: Weights are missing; the message names the remedy.
        """
        self._recogniser = ENGINES[self.options.engine].load(self.options, runtime)

    def run(self, given: ToolInput) -> Iterator[Evidence]:
        """Yield transcribed segments while the audio is decoded.

        Raises:
            StoppedError: The user pressed Stop.
        """
        if self._recogniser is None:
            raise MissingError("the recogniser is not loaded: call setup() before run()")
        duration_s = given.video.duration_s
        heard: dict[str, float] = {}  # seconds of speech by language
        for span in self._spans(given):
            _heed_stop(given)
            usual = max(heard, key=heard.__getitem__, default="")
            for segment in self._segments(span, usual, given.keep):
                seconds = heard.get(segment.language, 0.0) + segment.end_s - segment.start_s
                heard[segment.language] = seconds
                if segment.score >= self.options.min_score and segment.start_s < duration_s:
                    yield self._evidence(segment, duration_s)
            given.progress(min(span.end_s, duration_s), duration_s)
        given.progress(duration_s, duration_s)

    def _segments(self, span: SoundSpan, usual: str, keep: Keep) -> Iterator[Segment]:
        assert self._recogniser is not None
        recognise = self._recogniser.recognise
        name = f"sound from {span.start_s:.3f}"
        for values in keep(name, lambda: [asdict(one) for one in recognise(span, usual)]):
            words = tuple(Word(**word) for word in values.pop("words"))
            yield Segment(**values, words=words)

    def _spans(self, given: ToolInput) -> Iterator[SoundSpan]:
        options = self.options
        if not options.vad:
            return plain_spans(_blocks(given), options.max_span_s)
        gate = GateSettings(threshold=options.vad_threshold, max_span_s=options.max_span_s)
        return speech_spans(_blocks(given), VoiceDetector(), gate)

    def _evidence(self, segment: Segment, duration_s: float) -> Evidence:
        data: dict[str, Any] = {"engine": self.options.engine, "language": segment.language}
        if self.options.word_times:
            data["words"] = [
                {
                    "word": word.text,
                    "start_s": round(min(word.start_s, duration_s), 3),
                    "end_s": round(min(word.end_s, duration_s), 3),
                    "score": round(word.score, 3),
                }
                for word in segment.words
            ]
        return Evidence(
            tool=self.name,
            kind=self.kind,
            start_s=round(segment.start_s, 3),
            end_s=round(min(segment.end_s, duration_s), 3),
            text=segment.text,
            score=round(segment.score, 3),
            data=data,
        )


def _blocks(given: ToolInput) -> Iterator[AudioBlock]:
    """Yield the audio, checking for Stop: without speech there is no segment to check at."""
    for block in given.audio():
        _heed_stop(given)
        yield block


def _heed_stop(given: ToolInput) -> None:
    if given.stopped():
        raise StoppedError
