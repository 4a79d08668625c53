"""Reading: the one line of the evidence that answers a question, without a language model.

Small models invent when they are given much to read, so what they are given is narrowed here to
the lines that fit best, and what they write is checked against them. The line itself is also the
answer of last resort.
"""

import re
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import replace
from typing import Literal

from langchain_core.messages import HumanMessage

import prompts
from agent.answering.evidence_lines import SEPARATOR
from agent.models.chat_model import ChatModel
from agent.models.embedding import SentenceEmbeddings
from agent.records import Excerpt, Question
from agent.text import mentions, plain, stems
from tools.evidence import Evidence

MAX_ROWS = 3  # rows of on-screen text that are read together: a label, its value, a remark
COVERAGE_WEIGHT = 0.3  # of the question's words in a line, beside the cosine
LENGTH_WEIGHT = 0.02  # against each further row
CLOSE = 0.15  # of gain and cosine together, behind the best line
MAX_LAG = 0.3  # log-likelihood per token; right answers lagged by at most 0.11, wrong ones by 0.42
AHEAD = 0.05  # of cosine and coverage together, before the next row of a record
RARE = 0.1  # share of the records that hold a word
NEAR_S = 30.0  # a part of a video goes on for at least so long around a line
# "9.30" is a time only beside a word or dash that says so, for prices look the same.
TIME = (
    r"\d:\d\d\b|\b(?:at|from|until|till|by|to|before|after) \d\d?\.\d\d\b|[-\u2013] ?\d\d?\.\d\d\b"
    r"|\d\.\d\d(?: ?[ap]\.?m\b| ?[-\u2013])"
    r"|\bhalf past\b|\bquarter (?:to|past)\b|\bo'clock\b|\bnoon\b|\bmidnight\b"
)
Kind = Literal["telephone", "time", "date", "year", "price", "number", "name"]

# What an answer of each kind looks like.
PATTERNS: Mapping[Kind, str] = {
    "telephone": r"\d(?:[ /-]?\d){5,}",
    "time": TIME,
    "date": (
        rf"{TIME}|\b1[0-9]{{3}}\b|\b20[0-9]{{2}}\b|\b(?:mon|tues|wednes|thurs|fri|satur|sun)day\b"
        r"|\b(?:january|february|march|april|may|june|july|august|september|october|november"
        r"|december)\b"
    ),
    "year": r"\b1[0-9]{3}\b|\b20[0-9]{2}\b",
    "price": (
        r"\d[.,]\d\d\b|[$€£]|\b(?:crown|euro|dollar|pound|franc|cent|penn)|\bfree\b|\bnothing\b"
    ),
    "number": r"\d",
    "name": r"(?<=[a-z:] )[A-Z][a-z]+|(?:^|\| )[A-Z][a-z]+ [A-Z][a-z]+",
}

# What a question asks for, by how it is put; the first that fits counts.
EXPECTED: Sequence[tuple[str, Kind]] = (
    (r"\b(?:ring|dial|telephone|phone number)\b|\bnumber\b.*\b(?:phone|call)\b", "telephone"),
    (
        r"\b(?:what|which) time\b|\buntil when\b|\bhow late\b|\b(?:open|close|shut)s?\b.*\bwhen\b"
        r"|\bwhen do(?:es)?\b.*\b(?:open|close|shut)\b",
        "time",
    ),
    (r"^when\b|\bwhat (?:day|date)\b|\bsince when\b", "date"),
    (r"\b(?:which|what) year\b", "year"),
    (r"\b(?:price|costs?|fare|fee|how much (?:is|are|do(?:es)?))\b", "price"),
    (r"\bhow (?:many|much|long|far|heavy|old|tall|high|deep|fast|big|wide|often)\b", "number"),
    (r"\b(?:code|number|password|type in)\b", "number"),
    (r"^(?:who|whose)\b|\bwho\b|\bname of\b", "name"),
)
# A video is full of these, each about something else; years are not so many.
COMMON: Set[Kind] = {"telephone", "time", "date", "price", "number"}


def expected_kind(question: str) -> Kind | None:
    """Return the kind of thing that a question asks for, or None if it does not tell."""
    lowered = question.lower()
    return next((kind for asked, kind in EXPECTED if re.search(asked, lowered)), None)


def expected_pattern(question: str) -> re.Pattern[str] | None:
    """Return what an answer must look like, or None if the question does not tell."""
    kind = expected_kind(question)
    return re.compile(PATTERNS[kind]) if kind else None


def fits(text: str, pattern: re.Pattern[str] | None) -> bool:
    """Say whether a text holds what was asked for; number words count as numbers."""
    return pattern is None or bool(pattern.search(text) or pattern.search(plain(text)))


def best_lines(
    question: Question, evidence: Sequence[Excerpt], embedder: SentenceEmbeddings
) -> list[Excerpt]:
    """Return the pieces of the records that fit a question, best first.

    Lines that hold the kind of thing that was asked for come first, for a multiple choice those
    that mention an option; lines that only repeat the question are left out. Each piece keeps the
    id and the times of its record; its score is the cosine to the question.
    """
    asked = stems(question.text)
    pieces = {piece.text: piece for record in evidence for piece in _pieces(record)}
    told = [p for p in pieces.values() if not stems(p.text) <= asked]
    if not told:
        return []
    vectors = embedder.embed([question.text, *(piece.text for piece in told)])
    cosines = [float(cosine) for cosine in vectors[1:] @ vectors[0]]
    pattern = expected_pattern(question.text)

    def rank(i: int) -> tuple[int, float]:
        text = told[i].text
        covered = len(asked & stems(text)) / max(1, len(asked))
        mentioned = any(mentions(text, option) for option in question.options)
        score = cosines[i] + COVERAGE_WEIGHT * covered - LENGTH_WEIGHT * text.count(SEPARATOR)
        return 2 * mentioned + fits(text, pattern), score

    order = sorted(range(len(told)), key=rank, reverse=True)
    return [replace(told[i], score=round(cosines[i], 4)) for i in order]


def rerank(
    question: Question, lines: Sequence[Excerpt], chat: ChatModel
) -> list[tuple[Excerpt, float]]:
    """Return lines with how much likelier each makes the question, the best first.

    Unsupervised passage re-ranking (Sachan et al., EMNLP 2022): a line is as relevant as the
    language model finds it likely that somebody asks this question about it. The likelihood without
    any line is subtracted, so that one threshold serves all questions. Lines of the kind that is
    asked for come first, then those with the highest sum of gain and cosine.
    """

    def likelihood(text: str) -> float:
        prompt = prompts.render("extractive_asked_about", line=text)
        return chat.score_options([HumanMessage(prompt)], [question.text])[0]

    nothing = likelihood("something")
    gains = [(line, likelihood(line.text) - nothing) for line in lines]
    mentioned = [any(mentions(line.text, o) for o in question.options) for line in lines]
    pattern = expected_pattern(question.text)
    classes = [2 * m + fits(line.text, pattern) for line, m in zip(lines, mentioned, strict=True)]
    order = sorted(range(len(lines)), key=lambda i: (-classes[i], -gains[i][1] - lines[i].score, i))
    return [gains[i] for i in order]


def leading(ranked: Sequence[tuple[Excerpt, float]]) -> list[Excerpt]:
    """Return the lines that are nearly as good as the first: a small model mixes up the others."""
    best = ranked[0][1] + ranked[0][0].score
    return [line for line, gain in ranked if best - gain - line.score <= CLOSE]


def is_beside_the_point(question: Question, ranked: Sequence[tuple[Excerpt, float]]) -> bool:
    """Say whether the first line was only put first because it is of the kind that is asked for.

    "In which year was he born?" finds a year, but the lines that are about him hold none.
    """
    best = max(gain for _, gain in ranked)
    return not question.options and best - ranked[0][1] > MAX_LAG


def is_elsewhere(question: Question, line: Excerpt, told: Sequence[Evidence]) -> bool:
    """Say whether a number comes from a part of the video that is about something else.

    Of the question's words that the video seldom uses, one must be used near the line.
    """
    if question.options or expected_kind(question.text) not in COMMON:
        return False
    held = [(e, stems(e.text)) for e in told]
    rare = {
        word
        for word in stems(question.text)
        if 0 < sum(word in texts for _, texts in held) <= max(3, RARE * len(held))
    }
    near = [
        texts
        for e, texts in held
        if e.start_s <= line.end_s + NEAR_S and e.end_s >= line.start_s - NEAR_S
    ]
    return bool(rare) and not any(rare & texts for texts in near)


def without_repeats(lines: Sequence[Excerpt]) -> list[Excerpt]:
    """Return the lines without those that hold, or stand in, a better one of their record."""
    kept: list[Excerpt] = []
    for line in lines:
        same = [k.text for k in kept if k.id == line.id]
        if not any(text in line.text or line.text in text for text in same):
            kept.append(line)
    return kept


def clear_row(question: str, text: str) -> str:
    """Return the row that has more of a question's words than any other; "" if none has."""
    asked = stems(question)
    shared = [(len(asked & stems(row)), row) for row in text.split(SEPARATOR)]
    (most, row), *others = sorted(shared, key=lambda pair: -pair[0])
    return row if others and most > others[0][0] else ""


def answering_row(question: Question, text: str) -> str:
    """Return the only row of a text that holds the kind of thing asked for, or else the text."""
    pattern = expected_pattern(question.text)
    rows = [row for row in text.split(SEPARATOR) if fits(row, pattern)]
    return rows[0] if pattern and len(rows) == 1 else text


def meant_row(
    question: Question, line: Excerpt, records: Sequence[Excerpt], embedder: SentenceEmbeddings
) -> Excerpt:
    """Return the one row of a line's record that is asked about, or the line if none stands out.

    Of "Adults 14.50 | Students 9.00" a question about a student is given the second alone. Only
    rows that hold the kind of thing that is asked for are weighed against each other.
    """
    pattern, asked = expected_pattern(question.text), stems(question.text)
    texts = [record.text for record in records if record.id == line.id] or [line.text]
    rows = list(dict.fromkeys(texts[0].split(SEPARATOR)))
    likely = [row for row in rows if fits(row, pattern) and not stems(row) <= asked]
    if pattern is None or len(likely) < 2:
        return line
    vectors = embedder.embed([question.text, *likely])
    scores = [
        float(cosine) + COVERAGE_WEIGHT * len(asked & stems(row)) / max(1, len(asked))
        for cosine, row in zip(vectors[1:] @ vectors[0], likely, strict=True)
    ]
    best, second = sorted(range(len(likely)), key=lambda i: -scores[i])[:2]
    ahead = scores[best] - scores[second] >= AHEAD
    return replace(line, text=likely[best]) if ahead else line


def _pieces(record: Excerpt) -> Iterator[Excerpt]:
    """Yield every run of at most `MAX_ROWS` rows of a record."""
    rows = record.text.split(SEPARATOR)
    for start in range(len(rows)):
        for end in range(start + 1, min(start + MAX_ROWS, len(rows)) + 1):
            yield replace(record, text=SEPARATOR.join(rows[start:end]))
