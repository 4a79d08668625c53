"""Query decoupling: what a question asks of speech recognition, detection and scene text.

Video-RAG (arXiv 2411.13093v4), section 3.2. The model writes JSON; each field is read for itself,
so that one bad field never spoils the others. What cannot be read is replaced by plain rules.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, get_args

from agent.state import Aspect, Request
from agent.text import words

MAX_ENTITIES = 4  # the paper asks for fewer than five
ASPECT_WORDS: Mapping[Aspect, str] = {
    "number": r"how many|how often|number of|count",
    "order": r"first|last|before|after|next|then|earlier|later|order|finally",
    "location": r"where|left|right|above|below|top|bottom|behind|in front",
    "relation": r"next to|between|beside|holding|wearing|on top of",
}


def parse_request(text: str, question: str) -> Request:
    """Read what the model wrote; fenced, prefixed or slightly broken JSON is fine."""
    fields = _first_object(text)
    if fields is None:
        return request_by_rules(question)
    plain = request_by_rules(question)
    speech, entities, aspects = (fields.get(k) for k in ("speech", "entities", "aspects"))
    entities = [entities] if isinstance(entities, str) else entities
    known = [a for a in get_args(Aspect) if isinstance(aspects, list) and a in aspects]
    return Request(
        speech=_sentence(speech),
        entities=_phrases(entities) or plain.entities,
        aspects=tuple(known) or plain.aspects,
        source="model",
    )


def request_by_rules(question: str) -> Request:
    """Return a request from the words of the question alone."""
    lowered = question.lower()
    aspects = tuple(
        aspect
        for aspect, pattern in ASPECT_WORDS.items()
        if re.search(rf"\b(?:{pattern})\b", lowered)
    )
    return Request(entities=tuple(words(question)[:MAX_ENTITIES]), aspects=aspects, source="rules")


def _first_object(text: str) -> Mapping[str, Any] | None:
    """Return the first JSON object in a text; trailing commas are forgiven."""
    for start in (match.start() for match in re.finditer(r"\{", text)):
        end = text.find("}", start)
        while end != -1:
            piece = re.sub(r",\s*([}\]])", r"\1", text[start : end + 1])
            try:
                found = json.loads(piece)
            except json.JSONDecodeError:
                end = text.find("}", end + 1)
                continue
            return found if isinstance(found, dict) else None
    return None


def _sentence(value: object) -> str:
    if isinstance(value, list):
        value = " ".join(v for v in value if isinstance(v, str))
    return value.strip() if isinstance(value, str) and value.lower() != "null" else ""


def _phrases(value: object) -> tuple[str, ...]:
    found = value if isinstance(value, list) else []
    texts = [v.strip() for v in found if isinstance(v, str) and v.strip()]
    return tuple(dict.fromkeys(texts))[:MAX_ENTITIES]
