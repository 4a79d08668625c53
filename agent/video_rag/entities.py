"""Entity filter: which of the phrases that a model names are physical and visible.

Our rules keep every phrase whose head noun is not abstract, whatever its determiner or length. The
published filter of Video-RAG uses part-of-speech tags; it loses "the man in black" and every
single name, and is used for parity only.
"""

import re
from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from itertools import product
from typing import Any

MAX_ENTITIES = 4  # the paper asks for fewer than five
TAGGER = "en_core_web_sm"  # the tagger of the published code

Tagger = Callable[[str], Sequence[str]]
"""Returns the universal part-of-speech tag of each token of a phrase."""

_ABSTRACT = """
video clip footage film movie scene frame shot story plot topic subject theme idea concept purpose
reason cause effect result consequence goal aim intention plan decision choice opinion belief
thought memory dream emotion feeling mood attitude relationship relation connection difference
similarity comparison meaning message information fact detail description explanation summary
answer question option statement title name kind type sort category genre style way manner method
process step order sequence number amount quantity count total event activity action behaviour
behavior change time date moment minute second hour day year period duration start beginning end
ending middle location position direction distance place color colour size shape age speed price
weather atmosphere background foreground object thing something someone somebody anything nothing
everyone what who which where when why how
"""
ABSTRACT = frozenset(_ABSTRACT.split())

_OPENING = re.compile(
    r"^(?:(?:the|a|an|any|some|all|each|every|this|that|these|those|his|her|its|their|my|your|our)"
    r"\s+)+",
    re.IGNORECASE,
)
_AFTER_HEAD = re.compile(
    r"\s+(?:of|in|on|at|with|from|by|for|to|near|behind|beside|under|over|between|wearing|holding)"
    r"\s+",
    re.IGNORECASE,
)
_NOUNS = ("NOUN", "PROPN")
PUBLISHED_SHAPES = frozenset(
    [
        *product(("NOUN", "ADJ", "VERB")),
        *product(("ADJ", "NOUN", "PROPN", "VERB"), _NOUNS),
        *product(("ADJ",), _NOUNS, _NOUNS),
    ]
)


def visible(phrases: Sequence[str]) -> tuple[str, ...]:
    """Return the phrases that name something visible, without duplicates, at most four.

    Articles are dropped, for "the dog" and "dog" are one entity. The complement of an abstract head
    is kept: "the number of boats" becomes "boats".
    """
    kept: dict[str, str] = {}
    for phrase in phrases:
        if thing := _thing(phrase):
            kept.setdefault(thing.lower(), thing)
    return tuple(kept.values())[:MAX_ENTITIES]


def _thing(phrase: str) -> str:
    text = _OPENING.sub("", " ".join(phrase.split()).strip(" .,;:!?\"'`*-()[]"))
    if not re.search(r"[^\W\d_]", text):
        return ""
    head, _, rest = text.partition(" of ")
    if rest and _head(head) in ABSTRACT:
        return _thing(rest)
    return "" if _head(text) in ABSTRACT else text


def _head(phrase: str) -> str:
    """Return the head noun of a phrase: the last word before its complement."""
    before = _AFTER_HEAD.split(phrase, maxsplit=1)[0]
    word = before.split()[-1].lower()
    return word[:-1] if word.endswith("s") and word[:-1] in ABSTRACT else word


def published_filter(phrases: Sequence[str], tags_of: Tagger) -> tuple[str, ...]:
    """Return the phrases whose part-of-speech tags the published code accepts, in order."""
    return tuple(
        phrase
        for phrase in phrases
        if phrase != "video" and tuple(tags_of(phrase)) in PUBLISHED_SHAPES
    )


@cache
def find_tagger() -> Tagger | None:
    """Return the tagger of the published code, or None where it is not installed."""
    if find_spec("spacy") is None or find_spec(TAGGER) is None:
        return None
    spacy: Any = import_module("spacy")
    language = spacy.load(TAGGER)
    return lambda phrase: [token.pos_ for token in language(phrase)]
