import random
from string import ascii_uppercase

import pytest

from agent.answering.choice import parse_choice
from agent.records import Parity
from tools.errors import InputError

TEXTS = [
    *("waters the plants", "feeds the dog", "pours water", "washes dishes", "sleeps"),
    *("reads a book", "paints the fence", "plays cards", "rides a horse", "bakes bread"),
    *("mends a net", "sings", "counts coins", "folds laundry", "sweeps the floor"),
    *("climbs a tree", "calls a friend", "ties a knot", "opens a parcel", "peels apples"),
    *("lights a candle", "chops wood", "repairs a clock", "writes a letter", "swims", "dances"),
]
FIVE = TEXTS[:5]


def choice(reply: str | None, options: list[str] = FIVE) -> str | None:
    """The letter that a reply chooses."""
    index = parse_choice(reply, options).choice
    return None if index is None else ascii_uppercase[index]


FORMS = [
    "{u}",
    "{l}",
    " {l}.",
    "({u})",
    "({l})",
    "{u})",
    "{u}.",
    "{u}:",
    "**{u}**",
    "`{u}`",
    "**({u})**",
    "$\\boxed{{{u}}}$",
    "Option {u}",
    "option ({u}).",
    "Answer: {u}",
    "Answer: **{u}**",
    "**Answer:** {u}",
    "answer - {u}",
    "Answer:\n{u}",
    "The answer is {u}",
    "The answer is {u}.",
    "The answer is ({l}).",
    "The answer is: {u}) {t}",
    "The answer is option {u}.",
    "The correct answer is **{u}. {t}**.",
    "The most correct answer is ({u}",
    "Final answer: \\boxed{{\\text{{{u}}}}}",
    "My choice would be {u}, because of the sound.",
    "I choose {u}.",
    "I would go with ({u}).",
    "Option {u} is correct.",
    "{u} is the best answer.",
    "I would say {u}.",
    "I'd say {u}",
    "I say {u}",
    "I think {u}",
    "I think it's ({u}).",
    "I believe it is option {u}",
    "I think it's option {u}, because the others are wrong",
    "I would say option {u} since the tap is open.",
    "{u}. {t}",
    "{l}. {t}",
    "({u}) {t}",
    "{u}: {t}",
    "{u} - {t}",
    "{u}, because the camera shows it.",
    "{u}\n\nThis is what the last description says.",
    '{{"answer": "{u}"}}',
    '{{"final_answer": "{l}", "confidence": 3}}',
    '```json\n{{"answer": "{u}",}}\n```',
    "{{'choice': '{u}'}}",
    '{{"answer": "{t}"}}',
    '{{"answer": "{u}"',
    "{{answer: {u}, confidence: high}}",
    '{{"answer": "Z"}} no, {{"answer": "{u}", "sure": true}}',
    "Of {{A, B, E}} the answer is {u}.",
    '{{"explanation": "It could be (A) or (B).", "answer": "({u})"}}',
    "Based on the descriptions, the answer is {u}",
    "Because the tap is open, the answer is {u}.",
    "Considering all descriptions, I think that it is option {u}.",
    "{t}",
    "{t}.",
    "The person {t} there.",
    "<think>Maybe A, or B? Option D is close. The answer is E.</think>\n{u}",
    "<think>A. No, B.</think>The answer is {u}.",
    "It may be (A) or (B).</think>\n\n{u}",
    "[THINK]Not A.[/THINK] {u}",
    "<answer>{u}</answer>",
    "First the tap opens.\nThen a cup is filled.\n\n{u}",
    "First I thought the answer is A or B.\nIn the end the answer is {u}.",
    "\uff08{w}\uff09",
    "The answer is \u201c{u}\u201d.",
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("count", [2, 5, 26])
def test_every_letter_is_found_in_every_form(form: str, count: int) -> None:
    options = TEXTS[:count]
    for index, text in enumerate(options):
        upper = ascii_uppercase[index]
        wide = chr(ord("\uff21") + index)
        reply = form.format(u=upper, l=upper.lower(), t=text, w=wide)
        assert choice(reply, options) == upper, reply


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("Answer: D", "D"),
        ("Based on the narration, B is correct", "B"),
        ("Considering everything, it must be (B).", "B"),
        ("After the meal the answer is E", "E"),
        ("not A; C", "C"),
        ("Not A but C.", "C"),
        ("Neither A nor B; C", "C"),
        ("The answer is C) not A)", "C"),
        ("The answer is not A but C", "C"),
        ("B) it is not A)", "B"),
        ("Option A is wrong. Option B fits what is described.", "B"),
        ("It pours water, it is not that it sleeps", "C"),
        ("The answer is A. Wait: the cup is full, so the answer is C.", "C"),
        ("C)", "C"),
        ("(C) x", "C"),
        ("c", "C"),
        ("The answer is C.", "C"),
        ("A: B", "B"),
        ("A: I'd say it is B", "B"),
        ("I'd say C", "C"),
        ("I would say B.", "B"),
        ("I say C", "C"),
        ("I think B", "B"),
        ("I think it's option B, because A is wrong", "B"),
        ("I would say B, not C.", "B"),
        ("I would say B, I think", "B"),
        ("I think A.", "A"),
        ("I think B. The answer is C.", "C"),
        ("Not A, I believe; I say D", "D"),
        ("No, it pours water", "C"),
        ("Option A does not fit. Option C does.", "C"),
        ("Options A and B can be ruled out. The tap shows that it is option C.", "C"),
        ("It is not A, so the answer is C", "C"),
        ("I do not see a dog, so option C is correct.", "C"),
        ("D\n\nExplanation: the dishes are clean, so the answer is not A.", "D"),
        ("The answer is **C) pours water** because B) is not shown.", "C"),
        ("E. None of the above", "E"),
        ("B) washing\n\nWhy not the others:\nA) no plants\nC) no tap", "B"),
    ],
)
def test_what_is_meant_is_found(reply: str, expected: str) -> None:
    assert choice(reply) == expected


@pytest.mark.parametrize(
    ("reply", "path"),
    [
        (None, "empty"),
        ("", "empty"),
        (" \n\t", "empty"),
        ("<think>The answer is C.</think>", "empty"),
        ("<think>The answer is C, or", "empty"),
        ("Because of the light.", "unclear"),
        ("Dog", "unclear"),
        ("A person walks by.", "unclear"),
        ("A person, I think, is the answer", "unclear"),
        ("The answer is a person walking.", "unclear"),
        ("I think that they eat.", "unclear"),
        ("C opens the fridge and hands it to C.", "unclear"),
        ("Each of them could be.", "unclear"),
        ("Don't know", "unclear"),
        ("A.M. or P.M. cannot be told.", "unclear"),
        ("...", "unclear"),
        ("-1", "unclear"),
        ("{}", "unclear"),
        ('{"answer": null}', "unclear"),
        ('{"answer": 2}', "unclear"),
        ("not A", "unclear"),
        ("It never sleeps", "unclear"),
        ("Option A does not fit.", "unclear"),
        ("Options A and B are wrong.", "unclear"),
        ("I don't think the answer is C.", "unclear"),
        ("It cannot be said whether C is correct.", "unclear"),
        ("A. is wrong", "unclear"),
        ("It isn't that he sleeps", "unclear"),
        ("Options A and B both fit", "ambiguous"),
        ("A or B", "ambiguous"),
        ("A, B", "ambiguous"),
        ("A/B", "ambiguous"),
        ("A) or B)", "ambiguous"),
        ("The answer is A or B.", "ambiguous"),
        ("The answer is A and B", "ambiguous"),
        ("Either (A) or (D).", "ambiguous"),
        ("A. waters\nB. feeds\nC. pours\nD. washes\nE. sleeps", "ambiguous"),
        ("C. washes dishes", "ambiguous"),
        ("The answer is C: washes dishes", "ambiguous"),
        ("It pours water and washes dishes", "ambiguous"),
        ('{"answer": "A or B"}', "ambiguous"),
        ("F", "outside"),
        ("The answer is F.", "outside"),
        ('{"answer": "F"}', "outside"),
        ("F. pours water", "ambiguous"),
    ],
)
def test_nothing_is_read_into_a_reply(reply: str | None, path: str) -> None:
    parsed = parse_choice(reply, FIVE)
    assert (parsed.choice, parsed.path) == (None, path)


OPINIONS = {
    # Subject and verb, then what follows them: no letter, a letter in doubt, or several.
    "unclear": [
        *("a person", "a lot", "A person walks by.", "I see a dog", "it is a dog", "so", "that"),
        *("B is wrong", "B and C are wrong", "B is not it", "neither", "not B", "B-roll", "Bob"),
        *("vitamin B", "B, which is wrong", "B. No, nothing fits", "B. But that is a guess", "b"),
    ],
    "ambiguous": ["B or C", "B and C", "B, C", "(B) or (C)", "either B or C", "B/C", "B. Or C."],
}


@pytest.mark.parametrize("path", OPINIONS)
@pytest.mark.parametrize("verb", ["I say", "I would say", "I'd say", "I think", "I believe"])
def test_an_opinion_without_one_letter_chooses_none(path: str, verb: str) -> None:
    for rest in OPINIONS[path]:
        for options in (FIVE, TEXTS):
            parsed = parse_choice(f"{verb} {rest}", options)
            assert (parsed.choice, parsed.path) == (None, path), f"{verb} {rest}"


@pytest.mark.parametrize(
    "reply",
    [
        *(
            "I would say",
            "I say.",
            "I think so",
            "Would I say B?",
            "If I say B, it rains",
        ),
        *("I wouldn't say B.", "I would never say B", "I can't say B.", "I don't think B"),
        *("I do not think it's option B, because A fits", "They say B", "You think B"),
        *("I think.", "I must say", "I choose", "I guess I'd think so", "I am B", "A I B"),
    ],
)
def test_a_pronoun_is_no_letter(reply: str) -> None:
    for options in (FIVE, TEXTS):
        assert parse_choice(reply, options).choice is None


def test_the_ninth_letter_is_one_where_nothing_makes_it_a_pronoun() -> None:
    for reply in ("I", "I.", "(I)", "I would say I", "The answer is I", "I must be the answer"):
        assert choice(reply, TEXTS) == "I"
        assert choice(reply, FIVE) is None


def test_four_options_have_no_fifth_letter() -> None:
    assert choice("E", FIVE[:4]) is None
    assert choice("The answer is E", FIVE[:4]) is None
    assert choice("D", FIVE[:4]) == "D"


def test_camera_wearers_called_c_are_no_answer() -> None:
    narrated = ["C pours water", "C washes dishes", "C eats", "C sleeps"]
    assert choice("C washes dishes", narrated) == "B"
    assert choice("C walks about the room", narrated) is None
    assert choice("B. C washes dishes", narrated) == "B"


def test_the_longer_of_two_options_is_meant() -> None:
    options = ["a dog", "a dog and a cat", "a cat"]
    assert choice("They see a dog and a cat there", options) == "B"


def test_numbers_compare_as_digits_and_words() -> None:
    assert choice("three", ["2", "3", "4"]) == "B"
    assert choice('{"answer": 3}', ["2", "3", "4"]) == "B"


@pytest.mark.parametrize("count", [0, 1, 27])
def test_letters_tell_2_to_26_options_apart(count: int) -> None:
    with pytest.raises(InputError, match=f"{count} options"):
        parse_choice("A", [str(n) for n in range(count)])


def test_no_reply_raises_or_points_beyond_the_options() -> None:
    generator = random.Random(7)
    pieces = [
        *"ABCDEFabf(){}[]*.:;,'\"\n \\$<>/-",
        *("answer", "answer is ", "option ", "not ", "<think>", "</think>", "{'answer': ", "or "),
        *("A:", "B)", "pours water", "sleeps", "\u2028", "\x00", "\ud800", "\uff23", "7"),
    ]
    parities: list[Parity | None] = [None, "llovi", "ig-vlm", "ts-llava"]
    for _ in range(3000):
        reply = "".join(generator.choices(pieces, k=generator.randint(0, 9)))
        for parity in parities:
            found = parse_choice(reply, FIVE, parity).choice
            assert found is None or 0 <= found < 5, reply


def test_a_long_reply_is_read_at_once() -> None:
    for filler in (
        "(",
        "A",
        "I say B. ",
        "not A ",
        "{",
        "answer is ",
        "[" * 9 + "\n",
        "answer: - ",
    ):
        parse_choice(filler * 5_000, FIVE)  # a pattern that backtracks would hang the suite
    assert choice("so " * 50_000 + "the answer is B") == "B"


# What the published parsers make of a reply: found by running them.
PARITY = {
    #                        llovi, ig-vlm, ts-llava
    "C": "CCC",
    "c": "--C",
    "C)": "CCC",
    "(C)": "-CC",
    "(C) x": "-CC",
    " D": "---",
    "**B**": "---",
    "e": "--E",
    "Dog": "DDD",
    "Because of it": "BBB",
    "Answer: D": "AAA",
    "The answer is C": "---",
    "The answer is C.": "---",
    "The answer is C) not A)": "-AA",
    "B) it is not A)": "BAA",
    "B. not A: y": "BAA",
    "A: no. The answer is D)": "ADD",
    "A: no. The answer is D": "AAA",
    "the answer is: A) x": "-AA",
    "F": "--F",
    "F)": "--F",
    "f": "--F",
    "walks": "---",
}


@pytest.mark.parametrize(("reply", "letters"), PARITY.items())
def test_parity_reads_as_the_published_code_does(reply: str, letters: str) -> None:
    parities: tuple[Parity, ...] = ("llovi", "ig-vlm", "ts-llava")
    for parity, letter in zip(parities, letters, strict=True):
        found = parse_choice(reply, TEXTS[:6], parity).choice
        assert (ascii_uppercase[found] if found is not None else "-") == letter, parity


def test_parity_also_refuses_what_is_empty_or_beyond_the_options() -> None:
    assert parse_choice("", FIVE, "llovi").path == "empty"
    assert parse_choice(None, FIVE, "ts-llava").path == "empty"
    assert parse_choice("E", FIVE[:4], "llovi").path == "outside"
    assert parse_choice("C", FIVE, "llovi").path == "parity"
