"""Support: whether the lines that a model was given hold what it wrote."""

import re
from collections.abc import Sequence

from agent.text import words
from tools.evidence import Evidence

REFUSALS = re.compile(
    r"\b(?:not (?:mentioned|stated|given|specified|provided|say|clear|known|in the notes)"
    r"|no (?:information|mention)|do(?:es)? not|don't know|cannot|can't|unknown|unable)\b",
    re.IGNORECASE,
)


def support(text: str, lines: Sequence[Evidence], question: str) -> float:
    """Return the share of a text's meaningful words that stand in the lines.

    A number that is not in the lines makes it 0; words of the question alone support nothing.
    """
    known = set(words(" ".join(e.text for e in lines)))
    asked = set(words(question))
    said = words(text)
    new = [w for w in said if w not in asked]
    if any(w[0].isdigit() and w not in known for w in said) or not new:
        return 0.0
    return sum(w in known for w in new) / len(new)
