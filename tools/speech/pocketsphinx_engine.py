"""Speech recognition with PocketSphinx and the US-English model in its wheel: no download.

It is fair on clear, slow American speech and poor on the rest; it outputs no punctuation, so
segments end at pauses.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tools.speech.recogniser import Segment, Word
from tools.speech.voice_activity import SoundSpan
from tools.weights import file_bytes

FRAME_S = 0.01  # PocketSphinx's `frate` is 100 frames a second
PAUSE_S = 0.4
"""A longer pause between words ends a segment."""

MAX_WORDS = 25
"""A segment ends after this many words, even without a pause."""

_VARIANT = re.compile(r"\(\d+\)$")  # "what(2)" is the second pronunciation of "what"
_FILLER = re.compile(r"[<\[+].*")  # <s>, <sil>, [NOISE], ++UM++


class PocketSphinx:
    """A decoder with the packaged acoustic model, dictionary and trigrams."""

    def __init__(self) -> None:
        import pocketsphinx

        # The model's defaults, three passes and the cepstral mean of the whole span, were best:
        # other language weights or fewer passes raised the word errors.
        self._decoder: Any = pocketsphinx.Decoder(loglevel="FATAL")

    @property
    def memory_bytes(self) -> int:
        """Bytes of the acoustic model, the dictionary and the trigrams."""
        return file_bytes(*(Path(self._decoder.config[part]) for part in ("hmm", "dict", "lm")))

    def recognise(self, span: SoundSpan, usual: str = "") -> Iterator[Segment]:
        """Yield segments between pauses, each word with its posterior probability."""
        pcm = (np.clip(span.samples, -1, 1) * 32767).astype("<i2")
        # Noise tracking carries over between spans: reset it, or results depend on their order.
        self._decoder.reinit_feat(self._decoder.config)
        self._decoder.start_utt()
        self._decoder.process_raw(pcm.tobytes(), full_utt=True)
        self._decoder.end_utt()
        words = tuple(self._words(span.start_s))
        for phrase in _phrases(words):
            yield Segment(
                start_s=phrase[0].start_s,
                end_s=phrase[-1].end_s,
                text=" ".join(word.text for word in phrase),
                score=sum(word.score for word in phrase) / len(phrase),
                language="en",
                words=phrase,
            )

    def _words(self, start_s: float) -> Iterator[Word]:
        for unit in self._decoder.seg() or ():
            if not _FILLER.fullmatch(unit.word):
                yield Word(
                    start_s=start_s + unit.start_frame * FRAME_S,
                    end_s=start_s + (unit.end_frame + 1) * FRAME_S,
                    text=_VARIANT.sub("", unit.word),
                    score=min(max(float(unit.prob), 0.0), 1.0),
                )


def load() -> PocketSphinx:
    """Load the decoder; it takes about half a second."""
    return PocketSphinx()


def _phrases(words: tuple[Word, ...]) -> Iterator[tuple[Word, ...]]:
    first = 0
    for at, word in enumerate(words):
        last = at + 1 == len(words)
        if last or at + 1 - first == MAX_WORDS or words[at + 1].start_s - word.end_s > PAUSE_S:
            yield words[first : at + 1]
            first = at + 1
