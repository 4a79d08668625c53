"""Multiple choice: match a free-form answer to an option."""

from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_uppercase

from agent.answering.choice import parse_choice
from agent.models.embedding import SentenceEmbeddings
from agent.text import plain, words

MIN_MARGIN = 0.05  # cosine by which the best option must lead to count as chosen


@dataclass(frozen=True, slots=True)
class Match:
    """The option that a text means.

    Attributes:
        choice: Its index; None when the text points to none or to several.
        confidence: 1 for a letter or a literal mention, else the cosine of the nearest option.
        how: "letter", "mention", "meaning" (embedding) or "none".
    """

    choice: int | None
    confidence: float
    how: str


def letters(count: int) -> str:
    """Return the letters of `count` options in words: `A, B or C`."""
    *first, last = list(ascii_uppercase[:count])
    return f"{', '.join(first)} or {last}" if first else last


def match_option(text: str, options: Sequence[str], embedder: SentenceEmbeddings) -> Match:
    """Return the option that an answer means which was written without seeing the options.

    As `parse_choice`, but an option's text has precedence over its letter, and where none is named
    the option nearest by embedding is taken if it leads by `MIN_MARGIN`. Never a guess.
    """
    same = [i for i, option in enumerate(options) if plain(option) == plain(text)]
    if len(same) == 1 and words(text):
        return Match(same[0], 1.0, "mention")
    if 2 <= len(options) <= len(ascii_uppercase):
        parsed = parse_choice(text, options)
        if parsed.choice is not None:
            how = "mention" if parsed.path in ("text", "mention") else "letter"
            return Match(parsed.choice, 1.0, how)
        if parsed.path in ("ambiguous", "outside"):
            return Match(None, 0.0, "none")
    return _nearest(text, options, embedder)


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
