import pytest

from agent.answering.replies import json_objects, parse_rating, parse_yes_no


@pytest.mark.parametrize(
    ("reply", "objects"),
    [
        ('{"a": 1}', [{"a": 1}]),
        ('Sure:\n```json\n{"a": [1, 2,],}\n``` Done.', [{"a": [1, 2]}]),
        ("{'a': True}", [{"a": True}]),
        ('first {"a": 1} then {"a": {"b": 2}}', [{"a": 1}, {"a": {"b": 2}}]),
        ('{"a": 1} and {broken', [{"a": 1}]),
        ('{\u201ca\u201d: "b"', [{"a": "b"}]),
        ("no object", []),
        ("[1, 2]", []),
        ("", []),
        ('{"a":' * 5000, []),
    ],
)
def test_json_is_found_among_words(reply: str, objects: list[dict[str, object]]) -> None:
    assert json_objects(reply) == objects


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("Yes", True),
        ("**No**, they do not.", False),
        ("Answer: yes.", True),
        ("<think>yes</think> no", False),
        ("Not sure", None),
        ("None", None),
        ("yesterday", None),
        ("", None),
        (None, None),
    ],
)
def test_yes_or_no(reply: str | None, expected: bool | None) -> None:
    assert parse_yes_no(reply) is expected


@pytest.mark.parametrize(
    ("reply", "expected"),
    [("3", 3), ("Confidence: 2.", 2), ("3 of 3", 3), ("1 or 2", None), ("7", None), ("2.5", None)],
)
def test_a_rating_is_one_number_on_the_scale(reply: str, expected: int | None) -> None:
    assert parse_rating(reply, 1, 3) == expected
