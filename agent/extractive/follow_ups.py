"""Follow-up questions: what "and as a child?" or "where is it?" asks, said so that it stands alone.

A model that reads well is asked to say it. A small one invents too much, so there the words of the
question before are used: what is new takes the place of what is most like it, and a pronoun that of
what was asked about. Those rules know English only.
"""

import re
from collections.abc import Iterator, Sequence

import numpy as np
from langchain_core.embeddings import Embeddings

from agent.records import Understood

LEAST_LIKENESS = 0.45  # of what is new and what it replaces; below, both are read together
SAME_WORD = 0.2  # is added where both begin with the same word: "as a student", "as a family"
MAX_REPLACED = 4  # words
MAX_ANTECEDENT = 6  # words of an answer that a pronoun may stand for
LEAD = re.compile(r"^(?:(?:and|but|or|so)\b[\s,]*)?(?:(?:what|how) about\s+)?", re.IGNORECASE)
PRONOUN = re.compile(
    r"\b(?:(?P<person>he|she|him|her|his)|(?P<thing>it|its|they|them|their)|(?P<place>there(?=\W*$)))\b",
    re.IGNORECASE,
)
OWNERS = ("her", "his", "its", "their")
ASKING = re.compile(
    r"\b(?:who|what|when|where|which|why|how|is|are|was|were|do|does|did|can)\b", re.I
)
DETERMINERS = r"(?:the|an?|my|our|this|that|these|those)"
LINKS = r"(?:and|as|at|by|for|from|how|in|into|of|on|or|to|what|when|where|which|who)"
FORMS = r"(?:am|are|be|can|did|do|does|had|has|have|is|must|was|were|will)"
TIMES = r"(?:beginning|day|end|evening|film|morning|night|start|time|video|year)"
# A determiner and the words after it; after "does" and the like a verb comes next, so only one.
THING = re.compile(
    rf"(?:(?P<verb>\b{FORMS}) )?\b{DETERMINERS}"
    rf"(?: (?!(?:{DETERMINERS}|{LINKS}|{FORMS})\b)[\w'-]+){{1,3}}"
    r"(?: (?:about|of|on) [\w'-]+)?",  # "the course on knots"
    re.IGNORECASE,
)
ALIKE, TOGETHER = "in the words of the question before", "read together with the question before"


def resolve(question: str, before: str, answer: str, embedder: Embeddings) -> Understood:
    """Say a follow-up question so that it stands alone, in the words of the question before.

    Args:
        question: As it was put.
        before: The question before it, one that stands alone.
        answer: What was answered; empty if nothing was.
        embedder: Tells how alike two phrases are.
    """
    bare = LEAD.sub("", question.strip())
    if pronoun := PRONOUN.search(bare):
        if THING.search(bare[: pronoun.start()]):  # it has an antecedent of its own
            return Understood(question)
        meant = _antecedent(pronoun, before, answer)
        if not meant:
            return _together(question, before)
        return Understood(_put(bare, pronoun, meant), f"{pronoun[0].lower()!r} is {meant}")
    if bare == question.strip() or ASKING.match(bare):
        return Understood(question)
    likeness, said = max(_replacements(bare.rstrip("?. "), before, embedder), default=(0.0, ""))
    return Understood(said, ALIKE) if likeness >= LEAST_LIKENESS else _together(question, before)


def _antecedent(pronoun: re.Match[str], before: str, answer: str) -> str:
    """Return what a pronoun stands for: who or where was answered, or what was asked about."""
    short = answer.strip(" .") if len(answer.split()) <= MAX_ANTECEDENT else ""
    if pronoun["person"]:
        return short if short[:1].isupper() else ""
    return short if pronoun["place"] else next(_things(before), "")


def _things(text: str) -> Iterator[str]:
    """Yield the noun phrases with an article, but for times and the video itself."""
    for found in THING.finditer(text):
        phrase = found[0].split()
        if found["verb"]:
            phrase = phrase[1:3]
        if not _is(phrase[-1], TIMES):
            yield " ".join(phrase)


def _put(question: str, pronoun: re.Match[str], meant: str) -> str:
    """Replace a pronoun; "her" before a word is an owner, at the end it is not."""
    rest = question[pronoun.end() :]
    owns = pronoun[0].lower() in OWNERS and re.match(r"\s+\w", rest)
    owner = "'s" if owns else ""
    return _sentence(f"{question[: pronoun.start()]}{meant}{owner}{rest}")


def _replacements(new: str, before: str, embedder: Embeddings) -> Iterator[tuple[float, str]]:
    """Yield the question before with what is new put in, and how like it what it replaces is."""
    old = before.rstrip("?. ").split()
    spans = [
        (i, j)
        for i in range(1, len(old))
        for j in range(i + 1, min(i + MAX_REPLACED, len(old)) + 1)
        if _begins(old[i:j]) == _begins(new.split())
        and not _is(old[j - 1], f"{LINKS}|{DETERMINERS}")
    ]
    if not spans:
        return
    vectors = np.array(embedder.embed_documents([new, *(" ".join(old[i:j]) for i, j in spans)]))
    for (i, j), likeness in zip(spans, vectors[1:] @ vectors[0], strict=True):
        same = SAME_WORD if old[i].lower() == new.split()[0].lower() else 0.0
        yield float(likeness) + same, _sentence(" ".join([*old[:i], new, *old[j:]]))


def _begins(phrase: Sequence[str]) -> str:
    """Return what kind of word a phrase begins with; what is replaced must begin alike."""
    kinds = {"determiner": DETERMINERS, "link": LINKS, "form": FORMS}
    return next((kind for kind, form in kinds.items() if _is(phrase[0], form)), "word")


def _is(word: str, form: str) -> bool:
    return re.fullmatch(form, word, re.IGNORECASE) is not None


def _together(question: str, before: str) -> Understood:
    return Understood(f"{before} {question.strip()}", TOGETHER)


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:].rstrip('?. ')}?"
