"""Options of multiple-choice questions as benchmarks write them, and which of them is right."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any

from agent.evaluation.task import Item, Media, Truth
from agent.records import Question

_LABEL = re.compile(r"^\s*\(?([A-Z])\s*[).:]\s*")
_LINE_LABEL = re.compile(r"(?:^|\n)\s*(?:\(([A-Z])\)|([A-Z])\s*[).:])\s*")
PADDING = frozenset({"", "N/A"})


@dataclass(frozen=True, slots=True)
class Choices:
    """The options of a question.

    Attributes:
        texts: Those that can be asked: without letters, empty and repeated ones.
        labels: The letter of each in the benchmark's file.
        note: Why options were left out; empty if none was.
        places: For each option of the file, its index in `texts`; None if it was empty.
    """

    texts: tuple[str, ...]
    labels: tuple[str, ...]
    note: str
    places: tuple[int | None, ...]

    def find(self, answer: Any) -> int | None:
        """Return the index of an answer: a letter, a number from 0, or the text of an option."""
        if answer is None or answer == "":
            return None
        if isinstance(answer, int | float) and not isinstance(answer, bool):
            return self._place(int(answer))
        said = str(answer).strip()
        bare = _LABEL.sub("", said)
        for text in (said, bare):
            if text in self.texts:
                return self.texts.index(text)
        lowered = [text.lower() for text in self.texts]
        if bare.lower() in lowered:
            return lowered.index(bare.lower())
        if re.fullmatch(r"\(?[A-Za-z][).]?", said):
            return self._place(ascii_uppercase.index(said.strip("().").upper()))
        return self._place(int(said)) if said.isdigit() else None

    def _place(self, number: int) -> int | None:
        return self.places[number] if 0 <= number < len(self.places) else None


def choices_of(options: Sequence[Any]) -> Choices:
    """Return the options of a question; letters in front go if all options have them in order."""
    written = ["" if option is None else str(option).strip() for option in options]
    found = [_LABEL.match(option) for option in written]
    if written and [f and f[1] for f in found] == list(ascii_uppercase[: len(written)]):
        written = [_LABEL.sub("", option) for option in written]
    texts: list[str] = []
    labels: list[str] = []
    places: list[int | None] = []
    for letter, option in zip(ascii_uppercase, written, strict=False):
        if option in PADDING:
            places.append(None)
            continue
        if option not in texts:
            texts.append(option)
            labels.append(letter)
        places.append(texts.index(option))
    kept = [place for place in places if place is not None]
    note = "repeated options are asked once" if len(set(kept)) < len(kept) else ""
    return Choices(tuple(texts), tuple(labels), note, tuple(places))


def split_question(text: str) -> tuple[str, list[str]]:
    """Split a question from options written below it: "(A) one" or "A. one", a line each.

    >>> split_question("Who sings?" + chr(10) + "(A) a man" + chr(10) + "(B) a child")
    ('Who sings?', ['a man', 'a child'])
    """
    marks = list(_LINE_LABEL.finditer(text))
    for first, mark in enumerate(marks):
        letters = [m[1] or m[2] for m in marks[first:]]
        if mark.start() and letters == list(ascii_uppercase[: len(letters)]) and len(letters) > 1:
            ends = [m.start() for m in marks[first + 1 :]] + [len(text)]
            options = [
                text[m.end() : end].strip() for m, end in zip(marks[first:], ends, strict=True)
            ]
            return text[: mark.start()].strip(), options
    return text.strip(), []


def choice_item(
    id: str,
    video: str,
    media: Media,
    question: str,
    choices: Choices,
    answer: Any,
    categories: Mapping[str, tuple[str, ...]],
    spans: Sequence[Any] = (),
) -> Item:
    """Return a multiple-choice item; one that nobody can answer rightly is left out."""
    choice, left_out = choices.find(answer), ""
    if len(choices.texts) < 2:
        left_out = "fewer than two options to choose from"
    elif choice is None and answer not in (None, ""):
        left_out = "the answer is none of the options"
    truth = Truth(choice, spans=tuple(spans)) if choice is not None else Truth()
    asked = Question(question.strip(), choices.texts)
    return Item(id, video, media, asked, truth, categories, choices.labels, choices.note, left_out)
