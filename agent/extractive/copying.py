"""Decoding that can only copy: every word that the model writes stands in the evidence.

A small language model invents numbers and names. Here each next token must continue some span of
the given passages, so the reply is a literal quotation and the model only chooses which one.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any


class SpanGrammar:
    """Says which tokens may come next when only spans of some passages may be written.

    A span starts and ends at the border of a word and never crosses from one passage to another.
    """

    def __init__(self, passages: Sequence[str], tokenizer: Any) -> None:
        """Prepare for a tokenizer of transformers with byte-level or sentence-piece tokens."""
        self._passages = [" ".join(p.split()) for p in passages]
        self._starts = [
            (number, match.start())
            for number, passage in enumerate(self._passages)
            for match in re.finditer(r"(?<![\w.,:'-])[\w(+#€$£]", passage)
        ]
        self._tokenizer = tokenizer
        self._end: int = tokenizer.eos_token_id
        self._tokens = _token_texts(tokenizer)

    def next_tokens(self, written: str) -> list[int]:
        """Return the tokens that may follow what was written; the end where a span may end."""
        rests = {
            self._passages[number][start + len(written) :]
            for number, start in self._starts
            if self._passages[number].startswith(written, start)
        }
        found = {
            token
            for rest in rests
            for length in range(1, min(len(rest), 24) + 1)
            if (token := self._tokens.get(rest[:length])) is not None
        }
        if written and any(_at_border(rest) for rest in rests):
            found.add(self._end)
        return sorted(found) or [self._end]


def _at_border(rest: str) -> bool:
    return not rest or re.match(r"[.,:'-]?\w", rest) is None


@lru_cache(maxsize=4)
def _token_texts(tokenizer: Any) -> dict[str, int]:
    """Return the token of each text; of several tokens with one text, the first."""
    texts: dict[str, int] = {}
    special = set(tokenizer.all_special_ids)
    for token in range(len(tokenizer)):
        if token not in special:
            texts.setdefault(tokenizer.decode([token]), token)
    return texts
