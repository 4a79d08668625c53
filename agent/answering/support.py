"""The groundedness check: whether the lines given to a model support the claims of its answer.

Every number and every name of an answer must occur in the lines, and at least a share (`SHARE`) of
its other words. Words of the question are no claims, except after a bare "yes" or "no", which
affirms or denies them. Scripts without spaces are compared by character bigrams.
"""

import re
from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Protocol

from agent.text import letter_pairs, numbers, plain, searched_pairs, stem, stems

NOT_KNOWN = "not known"  # the reply that the prompts ask for to abstain
SHARE = 0.5  # of an answer's other new words that must occur in the lines
_NAME = re.compile(r"(?<![\w.'\u2019-])[^\W\d_][\w'\u2019-]+")
_SENTENCE_START = re.compile(r"(?:^|[.!?:]\s+|[\"(\u201c]\s*)$")
_VERDICT = re.compile(r"\s*(?:yes|no)\b[\s,.;:!-]*", re.IGNORECASE)


class Line(Protocol):
    """An evidence record, or a part of one, given to a model."""

    @property
    def text(self) -> str:
        """Its text."""
        ...


@dataclass(frozen=True, slots=True)
class Text:
    """A text that is no evidence record, such as a tool message."""

    text: str


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of a text: what it says beyond the question.

    Attributes:
        numbers: In digits, as `agent.text.numbers` returns them.
        names: Stems of capitalised words within a sentence.
        words: Stems of the other words.
    """

    numbers: frozenset[str]
    names: frozenset[str]
    words: frozenset[str]

    @property
    def exact(self) -> frozenset[str]:
        """Numbers and names, which must occur in the lines exactly."""
        return self.numbers | self.names

    @property
    def all(self) -> frozenset[str]:
        """All tokens to search for in a line."""
        return self.exact | self.words

    def without(self, tokens: Set[str]) -> "Claims":
        """Return the claims without some tokens."""
        return Claims(self.numbers - tokens, self.names - tokens, self.words - tokens)


@dataclass(frozen=True, slots=True)
class Support:
    """How far some lines support the claims of a text.

    Attributes:
        share: Share of the new words that occur in the lines, 0 to 1.
        missing: Numbers and names that occur in none.
    """

    share: float
    missing: tuple[str, ...]

    @property
    def enough(self) -> bool:
        """Whether the text may be given as an answer."""
        return not self.missing and self.share >= SHARE

    @property
    def reason(self) -> str:
        """What is missing, in words."""
        if self.missing:
            return f"no line that the model was given holds {' or '.join(self.missing)}"
        return "the lines that the model was given do not hold what it wrote"


def is_refusal(text: str) -> bool:
    """Say whether a reply abstains: it is `NOT_KNOWN` and nothing else."""
    return plain(text) == NOT_KNOWN


def claims_of(text: str, question: str) -> Claims:
    """Return the claims of a text beyond the question.

    A bare "yes" or "no" claims the words of the question.
    """
    verdict = _VERDICT.match(text)
    said = text[verdict.end() :] if verdict else text
    found = _claims(said, known=held_by(question))
    if verdict and not found.all:
        return _claims(question, known=frozenset())
    return found


def support(
    text: str, lines: Sequence[Line], question: str, shared: Set[str] = frozenset()
) -> Support:
    """Return how far the lines support the claims of a text; one without claims has no support.

    Args:
        text: An answer.
        lines: The evidence given to the model.
        question: Its words are no claims.
        shared: Nor are these, the words that all options share.
    """
    claims = claims_of(text, question).without(shared)
    known = held_by(" \n ".join(line.text for line in lines))
    missing = sorted(claims.exact - known)
    if not claims.all:
        return Support(0.0, ())
    share = sum(claim in known for claim in claims.all) / len(claims.all)
    return Support(share, tuple(missing))


def held_by(text: str) -> frozenset[str]:
    """Return every number, word and stem of a text, in the form of claims."""
    spoken = {word.removesuffix("'s") for word in plain(text).split()}
    pairs = letter_pairs(text).split()
    return frozenset(numbers(text, parts=True) | spoken | stems(text) | set(pairs))


def _claims(text: str, known: Set[str]) -> Claims:
    told = numbers(text) - known
    names = {
        stem(plain(found[0]).removesuffix("'s"))
        for found in _NAME.finditer(text)
        if found[0][0].isupper() and not _SENTENCE_START.search(text[: found.start()])
    } - known
    pairs = searched_pairs(text)  # of scripts without spaces
    written = {word for word in stems(text) if not (word[0].isdigit() or searched_pairs(word))}
    others = {*pairs, *(word for word in written if len(word) > 1)}
    return Claims(frozenset(told), frozenset(names), frozenset(others - names - known))
