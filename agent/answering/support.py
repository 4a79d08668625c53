"""The groundedness check: whether the lines that a model was given hold what its answer claims.

Every number and every name of an answer must stand in the lines. Of its other words so many must
that it is more likely read than invented. Words of the question claim nothing, but for "yes" and
"no", which affirm or deny just these. Scripts without spaces are compared by pairs of letters.
"""

import re
from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Protocol

from agent.text import letter_pairs, numbers, plain, searched_pairs, stem, stems

NOT_KNOWN = "not known"  # what the prompts ask for where the video does not tell
SHARE = 0.5  # of an answer's other new words that must stand in the lines
_NAME = re.compile(r"(?<![\w.'\u2019-])[^\W\d_][\w'\u2019-]+")
_SENTENCE_START = re.compile(r"(?:^|[.!?:]\s+|[\"(\u201c]\s*)$")
_VERDICT = re.compile(r"\s*(?:yes|no)\b[\s,.;:!-]*", re.IGNORECASE)


class Line(Protocol):
    """A record, or a part of one, that a model was given to read."""

    @property
    def text(self) -> str:
        """What stands there."""
        ...


@dataclass(frozen=True, slots=True)
class Text:
    """A text that is no record, as what a tool told the model."""

    text: str


@dataclass(frozen=True, slots=True)
class Claims:
    """What a text says beyond the question.

    Attributes:
        numbers: In digits, as `agent.text.numbers` gives them.
        names: Stems of capitalised words within a sentence.
        words: Stems of the other words.
    """

    numbers: frozenset[str]
    names: frozenset[str]
    words: frozenset[str]

    @property
    def exact(self) -> frozenset[str]:
        """What has to stand in the lines as it is."""
        return self.numbers | self.names

    @property
    def all(self) -> frozenset[str]:
        """Everything that may be looked for in a line."""
        return self.exact | self.words

    def without(self, tokens: Set[str]) -> "Claims":
        """Return what is left without some tokens."""
        return Claims(self.numbers - tokens, self.names - tokens, self.words - tokens)


@dataclass(frozen=True, slots=True)
class Support:
    """How far some lines hold what a text claims.

    Attributes:
        share: Of the new words that stand in the lines, 0 to 1.
        missing: Numbers and names that stand in none.
    """

    share: float
    missing: tuple[str, ...]

    @property
    def enough(self) -> bool:
        """Whether the text may be given as an answer."""
        return not self.missing and self.share >= SHARE

    @property
    def reason(self) -> str:
        """What is wanting, in words."""
        if self.missing:
            return f"no line that the model was given holds {' or '.join(self.missing)}"
        return "the lines that the model was given do not hold what it wrote"


def is_refusal(text: str) -> bool:
    """Say whether a reply is the one that stands for "the video does not tell", and no other."""
    return plain(text) == NOT_KNOWN


def claims_of(text: str, question: str) -> Claims:
    """Return what a text claims that the question does not say.

    A bare "yes" or "no" claims what the question says.
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
    """Return how far the lines hold what a text claims; what claims nothing has no support.

    Args:
        text: An answer.
        lines: What the model was given.
        question: Its words claim nothing.
        shared: Nor do these, the words that all options have.
    """
    claims = claims_of(text, question).without(shared)
    known = held_by(" \n ".join(line.text for line in lines))
    missing = sorted(claims.exact - known)
    if not claims.all:
        return Support(0.0, ())
    share = sum(claim in known for claim in claims.all) / len(claims.all)
    return Support(share, tuple(missing))


def held_by(text: str) -> frozenset[str]:
    """Return every number, word and stem of a text, as claims name them."""
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
