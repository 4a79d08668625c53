"""Multiple choice: which of the options a free answer means."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from agent.embedding import SentenceEmbeddings
from agent.text import mentions, words

LETTER = re.compile(
    r"^\W*(?:(?:the )?(?:answer|option|choice)\W*(?:is)?\W*)?\(?([a-z])\)?(?:[.:)]|\W*$)", re.I
)
MIN_MARGIN = 0.05  # cosine by which the best option must lead to count as chosen


@dataclass(frozen=True, slots=True)
class Match:
    """The option that a text means.

    Attributes:
        choice: Its index; None when the text points to none or to several.
        confidence: 1 for a letter or a literal mention, else the cosine of the nearest option.
        how: "letter", "mention", "meaning" or "none".
    """

    choice: int | None
    confidence: float
    how: str


def match_option(text: str, options: Sequence[str], embedder: SentenceEmbeddings) -> Match:
    """Return the option that a model's text means; never a guess."""
    letter = LETTER.match(text.strip())
    if letter and (index := ord(letter[1].lower()) - ord("a")) < len(options):
        return Match(index, 1.0, "letter")
    mentioned = _mentioned(text, options)
    if len(mentioned) == 1:
        return Match(mentioned[0], 1.0, "mention")
    return _nearest(text, options, embedder)


def _mentioned(text: str, options: Sequence[str]) -> list[int]:
    """Return the options that stand in the text, without those inside a longer one."""
    found = [i for i, option in enumerate(options) if mentions(text, option)]
    return [i for i in found if not any(j != i and mentions(options[j], options[i]) for j in found)]


def _nearest(text: str, options: Sequence[str], embedder: SentenceEmbeddings) -> Match:
    if not words(text):
        return Match(None, 0.0, "none")
    vectors = embedder.embed([text, *options])
    cosines = vectors[1:] @ vectors[0]
    best, *rest = sorted(range(len(options)), key=lambda i: -float(cosines[i]))
    margin = float(cosines[best]) - max((float(cosines[i]) for i in rest), default=0.0)
    if margin < MIN_MARGIN:
        return Match(None, 0.0, "none")
    return Match(best, max(0.0, float(cosines[best])), "meaning")
