"""The text of an answer with the moments that it rests on, each behind the words it supports."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent.answer import how_sure
from agent.text import clock, stems

_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_TIME = re.compile(r"\[((?:\d+:)?\d?\d:\d\d)\]")

# What the kinds of evidence are called on the page; others keep their name.
KINDS = {
    "speech": "said",
    "text": "on screen",
    "objects": "seen",
    "caption": "described",
    "shots": "cut",
}


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of an answer: words, or a moment to jump to.

    Attributes:
        text: The words; for a moment, what happens there.
        start_s: Start of the moment in seconds; None for words.
    """

    text: str
    start_s: float | None = None


def pieces(answer: Mapping[str, Any]) -> list[Piece]:
    """Return an answer's words and moments, in reading order.

    A cited record stands behind the sentence that shares the most words with it, the last one of
    equals. Times that the model wrote as `[1:05]` become moments too.

    Args:
        answer: `Answer.to_json()`.
    """
    sentences = _SENTENCE.split(answer["answer"])
    moments: list[list[Piece]] = [[] for _ in sentences]
    told = set(_TIME.findall(answer["answer"]))
    for item in answer["evidence"]:
        if (label := clock(item["start_s"])) not in told:
            told.add(label)
            moments[_place(sentences, item["text"])].append(Piece(item["text"], item["start_s"]))
    return [
        piece
        for sentence, cited in zip(sentences, moments, strict=True)
        for piece in (*_written(sentence), *cited)
    ]


def in_words(answer: Mapping[str, Any]) -> str:
    """Say in plain words how well an answer is supported; "" where nothing was measured."""
    share = answer["confidence"]
    if answer["measured_by"] == "calibrated":
        return f"Answers like this were right {share:.0%} of the time"
    if answer["measured_by"] != "support":
        told = how_sure(share, answer["measured_by"])
        return told[:1].upper() + told[1:]
    how_many = "All" if share >= 1 else "Most" if share > 0.5 else "Some" if share else "None"
    return f"{how_many} of its words stand in the moments below"


def _place(sentences: list[str], text: str) -> int:
    wanted = stems(text)
    shared = [len(stems(sentence) & wanted) for sentence in sentences]
    return max(range(len(sentences)), key=lambda i: (shared[i], i))


def _written(sentence: str) -> list[Piece]:
    parts = _TIME.split(sentence)
    found = [Piece(part) if i % 2 == 0 else _moment(part) for i, part in enumerate(parts)]
    return [piece for piece in found if piece.text]


def _moment(label: str) -> Piece:
    seconds = 0
    for part in label.split(":"):
        seconds = 60 * seconds + int(part)
    return Piece(label, float(seconds))
