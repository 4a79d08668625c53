"""Query decoupling: a question's requests for speech recognition, detection and scene text.

Video-RAG (arXiv 2411.13093v4), section 3.2. The model writes JSON; each field is parsed by itself,
so that one bad field never spoils the others, even where the JSON as a whole is broken. Fields
that do not parse are filled by rules; fields left empty on purpose stay empty.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal, get_args

from agent.answering.replies import json_objects
from agent.records import Aspect, Request
from agent.text import words
from agent.video_rag.entities import visible

Field = Literal["speech", "entities", "aspects"]

# Models that know the paper write its field names.
FIELD_NAMES: Mapping[str, Field] = {
    "speech": "speech",
    "asr": "speech",
    "entities": "entities",
    "entity": "entities",
    "det": "entities",
    "aspects": "aspects",
    "aspect": "aspects",
    "type": "aspects",
}
ASPECT_NAMES: Mapping[str, Aspect] = {
    **{aspect: aspect for aspect in get_args(Aspect)},
    "locations": "location",
    "position": "location",
    "count": "number",
    "counting": "number",
    "numbers": "number",
    "relations": "relation",
    "relationship": "relation",
    "sequence": "order",
    "time": "order",
}
ASPECT_WORDS: Mapping[Aspect, str] = {
    "number": r"how many|how often|number of|count|is there|are there",
    "order": r"first|last|before|after|next|then|earlier|later|order|finally",
    "location": r"where|left|right|above|below|top|bottom|behind|in front",
    "relation": r"next to|between|beside|holding|wearing|on top of",
}
_KEY = re.compile(rf"[\"']?\b(?:{'|'.join(FIELD_NAMES)})\b", re.IGNORECASE)
NOTHING = {"", "null", "none", "n/a", "nothing", "-"}


def parse_request(text: str, question: str) -> Request:
    """Parse the model's request; fenced, prefixed or broken JSON is fine.

    Args:
        text: The model's reply.
        question: Source, by rules, of fields that the model did not write.
    """
    plain, fields = request_by_rules(question), _fields(text)
    if not fields:
        return plain
    entities = _phrases(fields["entities"]) if "entities" in fields else None
    # A small model omits aspects that the question names.
    aspects = {*_aspects(fields.get("aspects")), *plain.aspects}
    return Request(
        speech=_sentence(fields.get("speech")),
        entities=plain.entities if entities is None else visible(entities),
        aspects=tuple(aspect for aspect in get_args(Aspect) if aspect in aspects),
        source="model",
    )


def request_by_rules(question: str) -> Request:
    """Return a request by rules, from the words of the question alone."""
    found = [
        a for a, pattern in ASPECT_WORDS.items() if re.search(rf"\b(?:{pattern})\b", question, re.I)
    ]
    aspects = tuple(aspect for aspect in get_args(Aspect) if aspect in found)
    asking = re.compile("|".join(ASPECT_WORDS.values()))
    things = [word for word in words(question) if not asking.fullmatch(word)]
    return Request(entities=visible(things), aspects=aspects, source="rules")


def _fields(text: str) -> dict[Field, Any]:
    """Return the fields that parse; the first mention of each counts."""
    text = text.partition("\nQuestion:")[0]  # a small model continues with another example
    if "{" not in text and (first := _KEY.search(text)):  # one field a line
        text = "{" + re.sub(r",?\n", ",\n", text[first.start() :].replace("*", ""))
    found = json_objects(text)
    inside = [value for one in found for value in one.values() if isinstance(value, dict)]
    return _known(found) or _known(inside)


def _known(objects: Iterable[Mapping[str, Any]]) -> dict[Field, Any]:
    found: dict[Field, Any] = {}
    for key, value in (item for one in objects for item in one.items()):
        if name := FIELD_NAMES.get(str(key).strip().lower()):
            found.setdefault(name, value)
    return found


def _sentence(value: object) -> str | None:
    if isinstance(value, list):
        value = " ".join(v for v in value if isinstance(v, str))
    text = value.strip() if isinstance(value, str) else ""
    return None if text.lower() in NOTHING else text


def _phrases(value: object) -> tuple[str, ...] | None:
    """Return the phrases of a list, or of a single text; None for what is neither."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if not isinstance(value, str | list | None):
        return None
    found = value if isinstance(value, list) else [value]
    texts = [v.strip() for v in found if isinstance(v, str)]
    return tuple(dict.fromkeys(text for text in texts if text.lower() not in NOTHING))


def _aspects(value: object) -> tuple[Aspect, ...]:
    """Return the aspects that a value names, in canonical order."""
    parts = value if isinstance(value, list) else [value]
    named = [w for part in parts if isinstance(part, str) for w in re.findall(r"\w+", part.lower())]
    found = {ASPECT_NAMES[word] for word in named if word in ASPECT_NAMES}
    return tuple(aspect for aspect in get_args(Aspect) if aspect in found)
