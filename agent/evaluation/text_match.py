"""Open answers compared with true texts."""

from collections.abc import Sequence

from agent.text import mentions


def contains(answer: str, texts: Sequence[Sequence[str]]) -> bool:
    """Whether all parts of one of the true texts occur in an answer, word for word.

    Case, punctuation and spaces do not count; "five" is "5".
    """
    return any(all(mentions(answer, part) for part in parts) for parts in texts)


def has_substring(answer: str, texts: Sequence[Sequence[str]]) -> bool:
    """Whether one of the true texts is a part of an answer, letter for letter.

    The rule of MTVQA (Tang et al., arXiv 2405.11985): lower case, full stops of the answer removed.
    """
    said = answer.strip().lower().replace(".", "")
    return any(all(part.strip().lower() in said for part in parts) for parts in texts)
