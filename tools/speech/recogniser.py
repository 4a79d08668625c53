"""The interface between `transcribe` and its speech recognition engines."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from tools.speech.voice_activity import SoundSpan


@dataclass(frozen=True, slots=True)
class Word:
    """A spoken word; times in seconds of the video, score from 0 to 1."""

    start_s: float
    end_s: float
    text: str
    score: float


@dataclass(frozen=True, slots=True)
class Segment:
    """About a sentence of speech; times in seconds of the video, score from 0 to 1.

    `words` is empty where word times are off or unsupported.
    """

    start_s: float
    end_s: float
    text: str
    score: float
    language: str
    words: tuple[Word, ...] = ()


class Recogniser(Protocol):
    """A loaded engine."""

    def recognise(self, span: SoundSpan, usual: str = "") -> Iterator[Segment]:
        """Yield the segments of a span of speech, in time order.

        Args:
            span: The speech.
            usual: Code of the language of most speech in the video so far, "" for none yet.
        """
        ...

    @property
    def memory_bytes(self) -> int:
        """Bytes that its weights take."""
        ...
