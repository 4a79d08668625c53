"""Choice parsers that reproduce the published code of a method, its mistakes included.

They were compared with the originals on random replies.
"""

from collections.abc import Callable, Mapping

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
