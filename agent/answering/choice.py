"""Multiple choice: the parser for the option that a reply chooses, shared by all methods.

A choice is only accepted where the reply points to exactly one option; otherwise the caller asks
again or abstains. `parity` parses a reply as the published code of a method does, its mistakes
included, so that published figures can be reproduced.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from string import ascii_uppercase
from typing import Literal

from agent.answering.published_parsers import PARSERS, letter_index
from agent.answering.replies import json_objects, tidy
from agent.records import Parity
from agent.text import mentions, plain
from tools.errors import InputError

ParsePath = Literal[
    "letter",  # nothing but a letter
    "json",  # a field of a JSON object
    "text",  # nothing but the text of an option
    "statement",  # "the answer is C", "C is correct", a last line that is a letter
    "label",  # "C. pour water", "(C)", "option C"
    "mention",  # one option's text among other words
    "parity",  # by the rules of a published parser
    "empty",  # no choice: an empty reply
    "unclear",  # no choice: points to no option
    "ambiguous",  # no choice: points to several options
    "outside",  # no choice: a letter that no option has
]

_MARKUP = re.compile(r"\\(?:boxed|text|mathrm|textbf)|[*_`${}#]")
MAX_CLAUSE = 200  # characters searched backwards for a negation
MAX_ALONE = 40  # characters of a letter with its wrapping: "Final answer: **(C)**."
_ANSWER_KEYS = ("answer", "final_answer", "choice", "option", "prediction", "letter")

_BREAK = r"(?=\s*(?:$|[\n.,;:)\]\"'!?-]|\b(?:because|since|as|and|or|not|for|but|based)\b))"
_LETTER = r"(?<![\w'])[\"'(\[]?\s?(?P<letter>[A-Za-z])(?![\w'])"
_OTHER = rf"(?:\W{{0,3}}(?:\bor\b|\band\b|[/,&])\W*(?:option )?\(?(?P<other>[A-Z])(?!\w){_BREAK})?"
_VERDICT = r"(?:the |a )?(?:most )?(?:correct|right|best|likely|accurate|final|answer)"
_STATEMENTS = (
    re.compile(
        r"\b(?:answer|option|choice)[\"']?(?: would be| should be| must be| is|:|=| -|\n)+\W{0,4}"
        rf"(?:(?:option|choice|letter) )?{_LETTER}{_BREAK}\)?{_OTHER}",
        re.I,
    ),
    re.compile(
        r"\b(?:choose|pick|select|go with|opt for)\W{1,3}(?:(?:option|choice|letter) )?"
        rf"{_LETTER}{_BREAK}\)?{_OTHER}",
        re.I,
    ),
    re.compile(rf"(?<![\w'])\(?(?P<letter>[A-Z])\)? (?:is|seems|must be) {_VERDICT}\b(?P<other>)?"),
    # "I think B", where nothing follows but a full stop or a reason, and nothing is taken back.
    re.compile(
        r"\bI(?:'d| would)? (?:say|think|believe|guess)(?: that)?(?: it(?:'s| is| must be))?:? "
        r"(?:(?:option|choice|letter) \(?|\(?(?!I\b))(?P<letter>[A-Z])\)?"
        r"(?=\s*$|[.;\n]|,? (?:because|since|as|for|given|based)\b)"
        r"(?!(?s:.{0,200}?)\b(?i:no|wait|actually|however|but|or|though)\b)(?P<other>)?"
    ),
)
_PRONOUN = re.compile(r"\bI(?= (?:would|say|think|believe|guess|choose|pick|must)\b)")
_LABEL_LINE = re.compile(r"^[^\w\n]*([A-Za-z])\s*(?:[):.](?!\w)|\s-\s|,\s)", re.M)
_ALONE = re.compile(r"^\W*(?:option |choice |answer )?\W*([A-Za-z])\W*$", re.I)
_NEGATED = re.compile(
    r"\b(?i:not|nor|neither|isn't|rather than|instead of|unlike|except)\W{1,3}(?i:option )?"
    r"\(?([A-Z])(?!\w)|(?<!\w)\(?([A-Z])[).:]? (?:is|was) (?:not|wrong|incorrect|false|out)\b"
)
_NAMED = re.compile(
    r"(?:\b(?i:option|choice)s? \(?([A-Z])\b\)?|\(([A-Z])\))"
    r"(?:\W{0,2}(?:\band\b|\bor\b|[,/&])\W{0,2}([A-Z])(?!\w))?"
)
_DOUBT = re.compile(
    r"n't\b|\b(?:not|never|neither|nor|wrong|incorrect|false|unlikely|doubt|whether|if"
    r"|rul\w+|eliminat\w+|exclud\w+|reject\w*|contradict\w*|lacks?|fails?|than)\b",
    re.I,
)
_CLAUSE_END = re.compile(r"[.,;:!?\n]|\b(?:so|but|hence|therefore|thus)\b", re.I)
_SMALL_WORDS = """
the answer option choice letter is it it's its isn't not nor neither or and but so either definitely
probably maybe likely therefore thus hence be would must i choose pick say think
believe guess i'd i'm my
"""
_VERDICT_WORDS = frozenset(_SMALL_WORDS.split())
_NEGATIONS = frozenset({"not", "isn't", "wasn't", "never", "neither", "nor", "unlike"})


@dataclass(frozen=True, slots=True)
class Parsed:
    """The option that a reply chooses.

    Attributes:
        choice: Its index; None when the reply points to none or to several.
        path: The rule that found it, or why none did.
    """

    choice: int | None
    path: ParsePath


def parse_choice(reply: str | None, options: Sequence[str], parity: Parity | None = None) -> Parsed:
    """Return the option that a reply chooses; never a guess.

    Args:
        reply: The model's reply; a reasoning block in it is skipped.
        options: Their texts, 2 to 26.
        parity: Parse as the published code of this method does, for comparison with its figures;
            video-rag has published no parser. A letter beyond the options is rejected all the same.

    Raises:
        InputError: Fewer than 2 or more than 26 options.
    """
    if not 2 <= len(options) <= len(ascii_uppercase):
        raise InputError(f"{len(options)} options were given; 2 to 26 can be told apart by letters")
    if parity and (parser := PARSERS.get(parity)):
        return _checked(parser(reply), options, "parity") if reply else _EMPTY
    text = tidy(reply)
    return _read(text, options) if text else _EMPTY


def _read(text: str, options: Sequence[str]) -> Parsed:
    """Try the rules, the most explicit form first."""
    if alone := _alone(text):
        return _checked(letter_index(alone[1]), options, "letter")
    if found := _from_json(text, options):
        return found
    same = _same_text(text, options)
    if len(same) == 1:
        return Parsed(same[0], "text")
    bare = _MARKUP.sub("", text)
    for way in (_statement, _leading_label, _bare_verdict, _named_option, _mentioned):
        if found := way(bare, options):
            return found
    return _UNCLEAR


def _alone(text: str) -> re.Match[str] | None:
    return _ALONE.match(text) if len(text) <= MAX_ALONE else None


def _checked(index: int | None, options: Sequence[str], path: ParsePath) -> Parsed:
    if index is None:
        return _UNCLEAR
    return Parsed(index, path) if index < len(options) else _OUTSIDE


def _only(indices: Sequence[int], options: Sequence[str], path: ParsePath) -> Parsed | None:
    """Return the option if exactly one is pointed to."""
    distinct = set(indices)
    if not distinct:
        return None
    return _checked(distinct.pop(), options, path) if len(distinct) == 1 else _AMBIGUOUS


def _same_text(text: str, options: Sequence[str]) -> list[int]:
    said = plain(text)
    return [i for i, option in enumerate(options) if said and plain(option) == said]


def _from_json(text: str, options: Sequence[str]) -> Parsed | None:
    """Read the answer field of the last JSON object that has one."""
    for fields in reversed(json_objects(text)):
        values = {str(key).lower().replace(" ", "_"): value for key, value in fields.items()}
        if key := next((key for key in _ANSWER_KEYS if key in values), None):
            value = values[key]
            said = "" if isinstance(value, bool | dict | list | None) else str(value).strip()
            found = _read(said, options) if said and "{" not in said else _UNCLEAR
            return found if found.choice is None else Parsed(found.choice, "json")
    return None


def _statement(text: str, options: Sequence[str]) -> Parsed | None:
    """Read "the answer is C", or a first or last line that is a letter; the last one counts."""
    found = [
        m
        for pattern in _STATEMENTS
        for m in pattern.finditer(text)
        if not _is_word(m, text) and not _is_doubted(m, text)
    ]
    if found:
        last = max(found, key=lambda m: m.start("letter"))
        if last["other"] and letter_index(last["other"]) != letter_index(last["letter"]):
            return _AMBIGUOUS
        rest = text[last.end("letter") :].split("\n")[0]
        return _labelled(letter_index(last["letter"]), rest, options, "statement")
    alone = [_alone(line) for line in text.strip().splitlines()]
    at_the_edge = alone and (alone[0] or alone[-1])
    return (
        _only([letter_index(m[1]) for m in alone if m], options, "statement")
        if at_the_edge
        else None
    )


def _is_word(found: re.Match[str], text: str) -> bool:
    """Say whether a letter is the article of "a person" or the "I" of "I think"."""
    return bool(
        re.match(r"\s+(?:as (?:he|she|they|it)\b|for the)", text[found.end("letter") :])
    ) and (found["letter"] in "aAI")


def _is_doubted(found: re.Match[str], text: str) -> bool:
    """Say whether the clause before a statement negates it: "I do not think that ..."."""
    clause = _CLAUSE_END.split(text[max(0, found.start() - MAX_CLAUSE) : found.start()])[-1]
    return bool(_DOUBT.search(clause))


def _leading_label(text: str, options: Sequence[str]) -> Parsed | None:
    """Read "C. pour water" or "B) it is not A)"; a list of all options chooses none."""
    first = _LABEL_LINE.match(text)
    if not first or letter_index(first[1]) in _denied(text[: first.end() + MAX_ALONE]):
        return None
    labels = [letter_index(letter) for letter in _LABEL_LINE.findall(text)]
    listed = len(labels) > 1 and all(a < b for a, b in pairwise(labels))
    rest = text[first.end() :]
    answered = first[0].rstrip()[-2:] == "A:" and _bare_verdict(rest, options)
    if answered:  # "A:" as in "Q: ... A: ..."
        return answered
    again = re.match(r"\s*(?:or|and|/)?\s*\(?([A-Z])\b\W*(?:$|\n)", rest)
    if listed or (again and letter_index(again[1]) != labels[0]):
        return _AMBIGUOUS
    return _labelled(labels[0], rest.split("\n")[0], options, "label")


def _labelled(index: int, rest: str, options: Sequence[str], path: ParsePath) -> Parsed:
    """Accept a letter unless the text after it is that of another option."""
    same = _same_text(rest, options)
    return _AMBIGUOUS if same and index not in same else _checked(index, options, path)


def _bare_verdict(text: str, options: Sequence[str]) -> Parsed | None:
    """Read a reply of letters and function words only: "not A; C", "A or B", "I say B"."""
    text, pronouns = _PRONOUN.subn("", text)
    said = re.findall(r"[\w']+", text)
    letters = [
        word for word in said if len(word) == 1 and word.isupper() and word in ascii_uppercase
    ]
    if not letters or any(w not in letters and w.lower() not in _VERDICT_WORDS for w in said):
        return None
    if pronouns and "?" in text:  # "Would I say B?"
        return None
    denied = _denied(text)
    return _only([i for i in map(letter_index, letters) if i not in denied], options, "label")


def _named_option(text: str, options: Sequence[str]) -> Parsed | None:
    """Read the one "option C" or "(C)" of a longer reply, from sentences without negation."""
    sure = [part for part in re.split(r"[.;!?\n]+", text) if not _DOUBT.search(part)]
    named = [letter for part in sure for found in _NAMED.findall(part) for letter in found]
    return _only([letter_index(letter) for letter in named if letter], options, "label")


def _denied(text: str) -> set[int]:
    return {letter_index(a or b) for a, b in _NEGATED.findall(text)}


def _mentioned(text: str, options: Sequence[str]) -> Parsed | None:
    """Read the one option whose text occurs in the reply, not negated nor inside a longer one."""
    found = [i for i, option in enumerate(options) if mentions(text, option)]
    whole = [
        i for i in found if not any(j != i and mentions(options[j], options[i]) for j in found)
    ]
    return _only([i for i in whole if not _is_denied(text, options[i])], options, "mention")


def _is_denied(text: str, option: str) -> bool:
    before = f" {plain(text)} ".split(f" {plain(option)} ")[0].split()
    return before[-1:] in (["no"], ["without"]) or any(w in _NEGATIONS for w in before[-3:])


_EMPTY = Parsed(None, "empty")
_UNCLEAR = Parsed(None, "unclear")
_AMBIGUOUS = Parsed(None, "ambiguous")
_OUTSIDE = Parsed(None, "outside")
