"""The time spans that show an answer (NExT-GQA), as the answer's evidence.

    answer -> [are the notes sufficient?] -> intervals -> answer with these spans as its evidence

Where the notes are insufficient, the method abstains and returns the answer as a guess.
"""

from collections.abc import Sequence
from dataclasses import replace

from agent.answer import Answer
from agent.answering.grounding import NOT_ENOUGH, Grounded, interval
from tools.evidence import Evidence

TOOL = "llovi"


def with_spans(answer: Answer, grounded: Grounded, notes: Sequence[Evidence]) -> Answer:
    """Return the answer with its grounded spans as evidence, or as a guess."""
    if grounded.enough is False:
        guess = answer.guess or answer.answer
        return replace(
            answer,
            answer="",
            choice=None,
            abstained=True,
            guess=guess,
            confidence=0.0,
            measured_by="none",
            reason=f"{NOT_ENOUGH}; its best guess was: {guess}" if guess else NOT_ENOUGH,
        )
    spans = grounded.intervals.spans
    if not spans:
        why = f"no interval: {grounded.intervals.reason}"
        return replace(answer, reason="; ".join(filter(None, [answer.reason, why])))
    return replace(answer, evidence=tuple(interval(span, notes, TOOL) for span in spans))
