"""Parsers that reproduce the published code of a method, its mistakes included.

Those of a choice were compared with the originals on random replies.
"""

from collections.abc import Callable, Mapping

from agent.answering.time_spans import Intervals, Span
from agent.records import Parity


def letter_index(letter: str) -> int:
    """Return the index of a letter in the alphabet, from 0."""
    return ord(letter.upper()) - ord("A")


def _llovi(reply: str) -> int | None:
    """LLoVi, `prompts.py`: the very first character."""
    return "ABCDE".find(reply[0]) if reply[0] in "ABCDE" else None


def _ig_vlm(reply: str) -> int | None:
    """IG-VLM, `direct_answer_eval.py`: the first of "A:", "A)", "B:", ... found anywhere."""
    return _marked(reply, "ABCDE", "ABCDE")


def _ts_llava(reply: str) -> int | None:
    """TS-LLaVA, `eval_multiple_choice_qa.py`: six letters, a leading one in lower case too."""
    return _marked(reply, "ABCDEF", "ABCDEFabcdef")


def _marked(reply: str, letters: str, first: str) -> int | None:
    rest = reply[reply.index("answer is") :] if "answer is " in reply else reply
    for index, letter in enumerate(letters):
        if f"{letter}:" in rest or f"{letter})" in rest:
            return index
    return letter_index(reply[0]) if reply[0] in first else None


PARSERS: Mapping[Parity, Callable[[str], int | None]] = {
    "llovi": _llovi,
    "ig-vlm": _ig_vlm,
    "ts-llava": _ts_llava,
}


def parse_published_intervals(reply: str) -> Intervals:
    """Parse the intervals of a grounding reply as LLoVi's code does (`prompts.py`).

    Of the text before the first full stop, up to its last bracket, the parts between "and" are
    pairs of whole numbers; a part without a comma is [0, 0], one with other words [0, 1]. Reversed
    ends stay, and nothing is clipped. Where the published code raises, there is no interval.
    """
    text, bracket, _ = reply.split(".")[0].rpartition("]")
    pairs = [part.strip(" []").split(",") for part in text.split("and")]
    if not bracket or any(len(pair) > 2 for pair in pairs):
        return Intervals(reason="the published parser fails on the reply")
    return Intervals(tuple(map(_published_span, pairs)))


def _published_span(ends: list[str]) -> Span:
    if len(ends) < 2:
        return Span(0, 0)
    try:
        return Span(*(int(end.strip(" []")) for end in ends))
    except ValueError:
        return Span(0, 1)
