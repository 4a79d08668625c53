"""Judging what a small model wrote, for it invents.

Its text is only taken as an answer when its words stand in the lines that it was given, when it is
the kind of thing that was asked for, and when it is no refusal.
"""

from collections.abc import Sequence

from agent.answering.option_match import match_option
from agent.answering.support import is_refusal, support
from agent.extractive.rank import clear_row, expected_pattern, fits
from agent.models.embedding import SentenceEmbeddings
from agent.records import CandidateAnswer, Excerpt, Question
from agent.text import mentions

SHARE = 0.8  # share of an answer's words that its evidence and question must hold


def judge(
    text: str, question: Question, lines: Sequence[Excerpt], embedder: SentenceEmbeddings
) -> CandidateAnswer:
    """Say whether a model's text answers the question from the lines that it was given."""
    if not text or is_refusal(text):
        return CandidateAnswer(text, reason="the model gave no answer")
    found = support(text, lines, question.text)
    if found.missing or found.share < SHARE:
        return CandidateAnswer(text, reason=found.reason)
    if question.options:
        match = match_option(text, question.options, embedder)
        if match.choice is None:
            return CandidateAnswer(text, reason="what the model wrote fits none of the options")
        named = named_option(lines[0], question)
        if named is not None and match.choice != named:
            return CandidateAnswer(text, reason="the best line names another option than the model")
        return CandidateAnswer(
            text, match.choice, match.confidence * found.share, "support", accepted=True
        )
    if not fits(text, expected_pattern(question.text)):
        return CandidateAnswer(
            text, reason="what the model wrote is not the kind of thing asked for"
        )
    return CandidateAnswer(text, confidence=found.share, measured_by="support", accepted=True)


def named_option(line: Excerpt, question: Question) -> int | None:
    """Return the one option that a line names; of several rows, the row that the question means."""
    text = clear_row(question.text, line.text) or line.text
    named = [i for i, option in enumerate(question.options) if mentions(text, option)]
    return named[0] if len(named) == 1 else None
