"""Query decoupling: what a question asks of speech recognition, detection and scene text.

Video-RAG (arXiv 2411.13093v4), section 3.2. The model writes JSON; each field is read for itself,
so that one bad field never spoils the others, not even where the JSON as a whole is broken. What
cannot be read is replaced by plain rules; what the model leaves empty on purpose stays empty.
"""

import ast
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal, get_args

from agent.records import Aspect, Request
from agent.text import words
from agent.video_rag.entities import find_tagger, published_filter, visible

Field = Literal["speech", "entities", "aspects"]

# Models that know the paper write its names.
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
NOTHING = {"", "null", "none", "n/a", "nothing", "-"}
_STRING = r'"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\''
_KEY = re.compile(rf"[\"'*]*\b({'|'.join(FIELD_NAMES)})\b[\"'*]*\s*[:=][\s*]*", re.IGNORECASE)
_VALUE = re.compile(rf"\[[^\]]*\]?|{_STRING}|[^,}}\n]*")


def parse_request(text: str, question: str, *, parity: bool = False) -> Request:
    """Read what the model wrote; fenced, prefixed or broken JSON is fine.

    Args:
        text: Of the model.
        question: Stands in, by plain rules, for fields that the model did not write.
        parity: Filter entities as the published code does, and take no aspect from the rules.
    """
    plain, fields = request_by_rules(question), _fields(text)
    if not fields:
        return plain
    entities = _phrases(fields["entities"]) if "entities" in fields else None
    aspects = set(_aspects(fields.get("aspects")))
    if not parity:  # a small model forgets what the question says in so many words
        aspects |= set(plain.aspects)
    return Request(
        speech=_sentence(fields.get("speech")),
        entities=plain.entities if entities is None else _filtered(entities, parity),
        aspects=tuple(aspect for aspect in get_args(Aspect) if aspect in aspects),
        source="model",
    )


def request_by_rules(question: str) -> Request:
    """Return a request from the words of the question alone."""
    found = [
        a for a, pattern in ASPECT_WORDS.items() if re.search(rf"\b(?:{pattern})\b", question, re.I)
    ]
    aspects = tuple(aspect for aspect in get_args(Aspect) if aspect in found)
    asking = re.compile("|".join(ASPECT_WORDS.values()))
    things = [word for word in words(question) if not asking.fullmatch(word)]
    return Request(entities=visible(things), aspects=aspects, source="rules")


def filter_note(parity: bool) -> str:
    """Say what stands in for the published entity filter; empty where nothing has to."""
    if not parity or find_tagger():
        return ""
    return "entities were chosen by reelgraph's own rules, for spaCy's en_core_web_sm is not here"


def _filtered(entities: tuple[str, ...], parity: bool) -> tuple[str, ...]:
    tagger = find_tagger() if parity else None
    return published_filter(entities, tagger) if tagger else visible(entities)


def _fields(text: str) -> dict[Field, Any]:
    """Return the fields that can be read; the first mention of each counts."""
    text = text.translate({ord("\N{LEFT DOUBLE QUOTATION MARK}"): '"'})
    text = text.translate({ord("\N{RIGHT DOUBLE QUOTATION MARK}"): '"'})
    for candidate in _objects(text):
        if found := _known(candidate):
            return found
    return _one_by_one(text)


def _objects(text: str) -> Iterator[Mapping[str, Any]]:
    """Yield every JSON object in a text, and those inside them; trailing commas are forgiven."""
    mended = re.sub(r",\s*([}\]])", r"\1", text)
    for match in re.finditer(r"\{", mended):
        try:
            found, _ = json.JSONDecoder().raw_decode(mended, match.start())
        except (json.JSONDecodeError, RecursionError):
            continue
        yield found


def _known(candidate: Mapping[str, Any]) -> dict[Field, Any]:
    found: dict[Field, Any] = {}
    for key, value in candidate.items():
        if name := FIELD_NAMES.get(str(key).strip().lower()):
            found.setdefault(name, value)
    return found


def _one_by_one(text: str) -> dict[Field, Any]:
    """Read the fields of what is no JSON object as a whole: cut off, unquoted, single quotes."""
    found: dict[Field, Any] = {}
    for match in _KEY.finditer(text):
        value = _VALUE.match(text, match.end())
        if value and (name := FIELD_NAMES[match[1].lower()]) not in found:
            found[name] = _loose_value(value[0].strip())
    return found


def _loose_value(text: str) -> Any:
    """Return a value that need not be valid JSON: a list is read as its complete items."""
    if text.startswith("["):
        quoted = [part[1:-1] for part in re.findall(_STRING, text)]
        bare = [] if quoted else [part.strip() for part in text.strip("[]").split(",")]
        return quoted or [part for part in bare if part]
    if text[:1] in {'"', "'"}:
        try:
            return ast.literal_eval(text)
        except (SyntaxError, ValueError):
            return text.strip("\"'")
    return None if text.lower() in NOTHING else text


def _sentence(value: object) -> str:
    if isinstance(value, list):
        value = " ".join(v for v in value if isinstance(v, str))
    text = value.strip() if isinstance(value, str) else ""
    return "" if text.lower() in NOTHING else text


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
    """Return the aspects that a value names, in the order of the contract."""
    parts = value if isinstance(value, list) else [value]
    named = [w for part in parts if isinstance(part, str) for w in re.findall(r"\w+", part.lower())]
    found = {ASPECT_NAMES[word] for word in named if word in ASPECT_NAMES}
    return tuple(aspect for aspect in get_args(Aspect) if aspect in found)
