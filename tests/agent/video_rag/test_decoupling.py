"""Specification video-rag.md, section 5: R4 and B2, and the entity filter."""

import json
from collections.abc import Sequence
from itertools import product

import pytest

from agent.records import Request
from agent.video_rag.decoupling import parse_request, request_by_rules
from agent.video_rag.entities import PUBLISHED_SHAPES, published_filter, visible

QUESTION = "Who rang the bell?"
CLEAN = '{"speech": "the bell rang", "entities": ["boat", "red lighthouse"], "aspects": ["number"]}'
WANTED = Request("the bell rang", ("boat", "red lighthouse"), ("number",), "model")
OBJECT = json.loads(CLEAN)

SAME = {
    "clean": CLEAN,
    "fenced": f"```json\n{CLEAN}\n```",
    "fenced without a language": f"```\n{CLEAN}\n```",
    "prefixed": f"Sure! Here is the object:\n{CLEAN}",
    "followed by prose": f"{CLEAN}\nI hope this helps {{really}}.",
    "followed by another question": f'{CLEAN}\n\nQuestion: Why?\n{{"speech": null}}',
    "followed by another question and its whole object": f"{CLEAN}\n\nQuestion: Why?\n"
    '{"speech": "a", "entities": ["b", "c"], "aspects": ["order"]}',
    "preceded by braces": f"{{as asked}} {CLEAN}",
    "pretty": json.dumps(OBJECT, indent=4),
    "one line without blanks": json.dumps(OBJECT, separators=(",", ":")),
    "trailing comma in the object": CLEAN.replace("]}", "],}"),
    "trailing commas in the lists": CLEAN.replace('"]', '",]'),
    "trailing comma over lines": CLEAN.replace("]}", "],\n}"),
    "never closed": CLEAN[:-1],
    "cut off in the last list": CLEAN[:-2],
    "cut off before the last closing quote": CLEAN[:-3] + '", "loc',
    "single quotes": CLEAN.replace('"', "'"),
    "curly quotes": CLEAN.replace(' "', " “").replace('":', "”:").replace('",', "”,"),
    "bare keys": CLEAN.replace('{"', "{")
    .replace('":', ":")
    .replace(', "e', ", e")
    .replace(', "a', ", a"),
    "bare words": "{speech: the bell rang, entities: [boat, red lighthouse], aspects: [number]}",
    "no braces": CLEAN[1:-1],
    "lines": 'speech: "the bell rang"\nentities: ["boat", "red lighthouse"]\naspects: ["number"]',
    "bold lines": '**speech**: the bell rang\n**entities**: ["boat", "red lighthouse"]\n'
    "**aspects**: number",
    "prose and lines": "Here it is.\nspeech: the bell rang\nentities: [boat, red lighthouse]\n"
    "aspects: number",
    "keys in capitals": CLEAN.replace("speech", "Speech").replace("entities", "ENTITIES"),
    "the paper's keys": CLEAN.replace("speech", "ASR")
    .replace("entities", "DET")
    .replace("aspects", "TYPE"),
    "wrapped": f'{{"request": {CLEAN}}}',
    "in a list": f"[{CLEAN}]",
    "another order": json.dumps(dict(reversed(OBJECT.items()))),
    "further keys": CLEAN[:-1] + ', "reason": "it fits", "confidence": 0.9}',
    "missing comma": CLEAN.replace('", "entities', '" "entities'),
    "comment": CLEAN.replace("{", "{ // what to look for\n"),
    "speech as a list": CLEAN.replace('"the bell rang"', '["the bell", "rang"]'),
    "aspects as a text": CLEAN.replace('["number"]', '"number"'),
    "unknown aspects": CLEAN.replace('["number"]', '["counting", "colour", 7, null]'),
    "odd items among the entities": CLEAN.replace('"boat",', '"boat", null, 3, {}, " ", "boat",'),
    "articles": CLEAN.replace('"boat"', '"the boat"'),
}


@pytest.mark.parametrize("name", SAME)
def test_however_it_is_written_the_request_is_the_same(name: str) -> None:
    assert len(SAME) >= 30
    assert parse_request(SAME[name], QUESTION) == WANTED


BAD = ["5", "true", '{"a": {"b": 1}}', "[[1], 2]", "}{", '"unended', "<nothing>"]


@pytest.mark.parametrize("field", ["speech", "entities", "aspects"])
@pytest.mark.parametrize("bad", BAD)
def test_a_bad_field_never_spoils_the_others(field: str, bad: str) -> None:
    values = {key: json.dumps(value) for key, value in OBJECT.items()} | {field: bad}
    text = "{" + ", ".join(f'"{key}": {value}' for key, value in values.items()) + "}"
    found = parse_request(text, QUESTION)
    for other in {"speech", "entities", "aspects"} - {field}:
        assert getattr(found, other) == getattr(WANTED, other), other


def test_a_single_text_is_one_entity() -> None:
    assert parse_request('{"entities": "cat"}', QUESTION).entities == ("cat",)


def test_what_the_model_leaves_empty_stays_empty() -> None:
    found = parse_request('{"speech": null, "entities": [], "aspects": []}', QUESTION)
    assert found == Request(None, (), (), "model")
    for nothing in ('"null"', '"None"', '""', "null"):
        assert parse_request(f'{{"speech": {nothing}, "entities": ["a"]}}', "Why?").speech is None


def test_what_the_model_leaves_out_comes_from_the_question() -> None:
    found = parse_request('{"speech": "hello"}', "How many gulls are there?")
    assert (found.entities, found.aspects) == (("gulls",), ("number",))
    assert parse_request("I cannot do that.", "How many gulls are there?") == request_by_rules(
        "How many gulls are there?"
    )
    found = request_by_rules("How many boats are left of the red lighthouse?")
    assert found == Request(None, ("boats", "red", "lighthouse"), ("location", "number"), "rules")


def test_the_questions_own_words_ask_for_aspects_that_a_small_model_forgets() -> None:
    forgot = '{"entities": ["boat"], "aspects": []}'
    half = '{"entities": ["boat"], "aspects": ["number", "pier"]}'
    for text in (forgot, half):
        found = parse_request(text, "How many boats are left of the pier?")
        assert found.aspects == ("location", "number")
    assert parse_request(forgot, "Who owns the boat?").aspects == ()


@pytest.mark.parametrize(
    ("phrase", "kept"),
    [
        ("the man in black", "man in black"),  # the published filter loses all of these
        ("Einstein", "Einstein"),
        ("a small wooden rowing boat", "small wooden rowing boat"),
        ("his red hat", "red hat"),
        ("the number of boats", "boats"),
        ("the colour of the car", "car"),
        ("'traffic light'.", "traffic light"),
        ("second man", "second man"),
        ("person holding an umbrella", "person holding an umbrella"),
        ("emotion", ""),
        ("the main reasons for the fight", ""),
        ("relationship between two people", ""),
        ("video", ""),
        ("the end of the video", ""),
        ("something", ""),
        ("42", ""),
        ("", ""),
    ],
)
def test_what_can_be_seen_is_kept(phrase: str, kept: str) -> None:
    assert visible([phrase]) == ((kept,) if kept else ())


def test_entities_are_few_and_each_comes_once() -> None:
    assert visible(["the dog", "Dog", "a cat"]) == ("dog", "cat")
    assert len(visible([f"thing {letter}x" for letter in "abcdefg"])) == 4


TAGS = ("ADJ", "DET", "NOUN", "PRON", "PROPN", "VERB")


def test_the_published_filter_accepts_these_shapes_and_no_others() -> None:
    accepted = {1: 0, 2: 0, 3: 0, 4: 0}
    sequences = [tags for length in accepted for tags in product(TAGS, repeat=length)]
    assert len(sequences) == 1554

    def tags_of(phrase: str) -> Sequence[str]:
        return phrase.split()

    for tags in sequences:
        kept = published_filter([" ".join(tags)], tags_of)
        assert bool(kept) == expected(tags)
        accepted[len(tags)] += bool(kept)
    assert accepted == {1: 3, 2: 8, 3: 4, 4: 0}
    assert len(PUBLISHED_SHAPES) == 15


def expected(tags: tuple[str, ...]) -> bool:
    noun = {"NOUN", "PROPN"}
    if len(tags) == 1:
        return tags[0] in {"NOUN", "ADJ", "VERB"}
    if len(tags) == 2:
        return tags[0] in noun | {"ADJ", "VERB"} and tags[1] in noun
    return len(tags) == 3 and tags[0] == "ADJ" and set(tags[1:]) <= noun
