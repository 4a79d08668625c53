from dataclasses import replace

import pytest

from agent.extractive.deixis import resolve_pointing, with_subject
from agent.extractive.judge import named_option
from agent.extractive.rank import (
    best_lines,
    expected_pattern,
    fits,
    is_beside_the_point,
    is_elsewhere,
    leading,
    without_repeats,
)
from agent.extractive.timeline import Timeline, reckon
from agent.library.retrieval import fuse
from agent.models.embedding import SentenceEmbeddings
from agent.records import Excerpt, Question
from agent.text import mentions, plain, stem, words
from tools.evidence import Evidence


def speech(start_s: float, end_s: float, text: str) -> Evidence:
    return Evidence("subtitles", "speech", start_s, end_s, text, id=f"subtitles:{start_s}")


def screen(start_s: float, end_s: float, *rows: tuple[float, float, str]) -> Evidence:
    lines = [
        {"text": text, "start_s": a, "end_s": b, "box": [0.1, 0.1 * n, 0.9, 0.1 * n + 0.05]}
        for n, (a, b, text) in enumerate(rows)
    ]
    text = " | ".join(line["text"] for line in lines)
    return Evidence("ocr", "text", start_s, end_s, text, data={"lines": lines}, id=f"ocr:{text}")


def whole(record: Evidence) -> Excerpt:
    return Excerpt(record, record.text, record.score)


MENU = ["Today", "Soup 7.80", "Cake 4.20", "Tea 2.60"]
KNOTS = [(0, "Bowline"), (6, "Clove hitch"), (12, "Sheet bend")]


@pytest.fixture(scope="module")
def embedder() -> SentenceEmbeddings:
    return SentenceEmbeddings("all-MiniLM-L6-v2", "cpu", offline=True, batch=32)


def timeline(records: list[Evidence], embedder: SentenceEmbeddings) -> Timeline:
    return Timeline(tuple(records), embedder.embed([e.text for e in records]))


def test_number_words_and_digits_compare_equal() -> None:
    assert plain("It takes Twenty-five minutes!") == "it takes 25 minutes"
    assert plain("since nineteen sixty-one") == "since 1961"
    assert mentions("There are four of them", "4")
    assert words("What is the price?") == ["price"]


def test_reciprocal_rank_fusion_prefers_what_both_rankings_like() -> None:
    assert fuse([[0, 1, 2], [1, 2, 0]], [1.0, 1.0])[0] == 1
    assert fuse([[0, 1], [1, 0]], [1.0, 0.5])[0] == 0


def test_pointing_words_get_the_row_that_they_mean() -> None:
    menu = screen(
        0, 60, (0, 60, "Today"), (0, 60, "Soup 7.80"), (0, 60, "Cake 4.20"), (0, 60, "Tea 2.60")
    )
    said = speech(10, 12, "I like the second thing on the menu.")
    hinted = resolve_pointing(whole(said), [menu])
    assert hinted.text.endswith("(On screen: Cake 4.20)")
    assert (hinted.record, hinted.record.text) == (said, "I like the second thing on the menu.")
    assert hinted.beside == (menu,)
    assert resolve_pointing(whole(said), []) == whole(said)
    late = speech(100, 102, "I like the second thing on the menu.")
    assert resolve_pointing(whole(late), [menu]) == whole(late)


def test_what_comes_next_is_read_off_the_time_line(embedder: SentenceEmbeddings) -> None:
    shown = [
        screen(t, t + 5, (t, t + 5, text))
        for t, text in ((0, "Bowline"), (6, "Clove hitch"), (12, "Sheet bend"))
    ]
    asked = Question("Which knot comes right after the clove hitch?")
    reckoned = reckon(asked, timeline(shown, embedder), embedder)
    assert reckoned is not None
    assert reckoned.candidate.text == "Sheet bend"
    assert (
        reckon(
            Question("Which knot comes right after the anchor bend?"),
            timeline(shown, embedder),
            embedder,
        )
        is None
    )


def test_texts_that_appear_in_a_pause_are_counted(embedder: SentenceEmbeddings) -> None:
    line = [
        speech(0, 3, "Watch the trams go by, I will be quiet."),
        screen(4, 9, (4, 9, "6 Fishmarket")),
        screen(12, 15, (12, 15, "11 Castle Hill")),
        speech(20, 22, "Lovely, are they not?"),
    ]
    reckoned = reckon(
        Question("How many trams go by?", ("One", "Two", "Five")),
        timeline(line, embedder),
        embedder,
    )
    assert reckoned is not None
    assert reckoned.candidate.choice == 1
    told = [speech(0, 3, "Three trams go by."), *line[1:]]
    assert reckon(Question("How many trams go by?"), timeline(told, embedder), embedder) is None


def test_the_best_line_holds_the_kind_of_thing_asked_for(embedder: SentenceEmbeddings) -> None:
    records = [
        Evidence(
            "ocr", "text", 0, 5, "Knot workshop | Saturday 10:00 | Phone 0555 274 609", id="ocr:0"
        ),
        speech(0, 5, "I like knots very much."),
    ]
    lines = best_lines(Question("Which number do I ring for the knots?"), records, embedder)
    assert "0555 274 609" in lines[0].text
    ids = [line.text for line in without_repeats(lines) if line.id == "ocr:0"]
    assert all(a == b or a not in b for a in ids for b in ids)


@pytest.mark.parametrize(
    ("question", "good", "bad"),
    [
        ("At what time does it shut?", "9:30 - 17:45", "Monday closed"),
        ("How many are there?", "twenty-five of them", "some of them"),
        ("What does it cost?", "two crowns", "11:30 Pier D"),
        ("Who built it?", "ask for Pavel", "ask at the desk"),
        ("In which year?", "since eighteen thirty-two", "since 12 days"),
    ],
)
def test_expected_kinds(question: str, good: str, bad: str) -> None:
    pattern = expected_pattern(question)
    assert fits(good, pattern)
    assert not fits(bad, pattern)


def shelf(start_s: float, end_s: float, *labels: str) -> Evidence:
    """Labels side by side, each with a year under it."""
    pieces = [
        {"text": f"{name} 18{n}0", "x0": n / 9, "x1": n / 9 + 0.1, "parts": [name, f"18{n}0"]}
        for n, name in enumerate(labels)
    ]
    text = " | ".join(str(piece["text"]) for piece in pieces)
    row = {
        "text": text,
        "start_s": start_s,
        "end_s": end_s,
        "box": [0, 0.5, 1, 0.6],
        "pieces": pieces,
    }
    return Evidence("ocr", "text", start_s, end_s, text, data={"lines": [row]}, id=f"ocr:{text}")


SHIPS = ("Petrel", "Grey Marten", "Juno", "Halcyon", "Old Bess")


@pytest.mark.parametrize(
    ("text", "ship"),
    [
        ("Look at the one in the very middle.", "Juno"),
        ("He made the model on the far left.", "Petrel"),
        ("The one on the right is mine.", "Old Bess"),
        ("Nothing is pointed at.", None),
    ],
)
def test_a_place_on_screen_is_looked_up(text: str, ship: str | None) -> None:
    said = speech(10, 12, text)
    resolved = resolve_pointing(whole(said), [shelf(0, 60, *SHIPS)])
    assert resolved.text == (f"{text} (On screen: {ship})" if ship else text)
    assert resolve_pointing(whole(said), [shelf(30, 60, *SHIPS)]) == whole(said)


def test_there_is_no_middle_of_an_even_number() -> None:
    said = speech(10, 12, "Look at the one in the middle.")
    assert resolve_pointing(whole(said), [shelf(0, 60, *SHIPS[:4])]) == whole(said)


def test_two_columns_are_two_lists() -> None:
    menu = screen(0, 60, (0, 60, "Soup 7.80"), (0, 60, "Cake 4.20"), (0, 60, "Tea 2.60"))
    hours = {"text": "9:30", "start_s": 0, "end_s": 60, "box": [0.95, 0.05, 0.99, 0.15]}
    both = Evidence("ocr", "text", 0, 60, "", data={"lines": [hours, *menu.data["lines"]]})
    said = speech(10, 12, "I like the second thing on the menu.")
    assert resolve_pointing(whole(said), [both]).text.endswith("(On screen: Cake 4.20)")


def test_a_pronoun_brings_the_sentence_before_it() -> None:
    before, said = speech(1, 3, "Look at the Juno."), speech(3.5, 6, "She was lost in a gale.")
    assert (
        with_subject(whole(said), [before, said]).text
        == "Look at the Juno. She was lost in a gale."
    )
    assert with_subject(whole(said), [before, said]).beside == (before,)
    assert with_subject(whole(said), [before, said]).record == said
    assert with_subject(whole(before), [before, said]) == whole(before)
    late = speech(60, 62, "She was lost.")
    assert with_subject(whole(late), [before, late]) == whole(late)


def test_labels_side_by_side_are_counted(embedder: SentenceEmbeddings) -> None:
    records = [
        speech(1, 4, "This is the model hall, and the glass case holds the pride of our ships."),
        shelf(2, 30, *SHIPS[1:4]),
        shelf(2, 30, *SHIPS),
        speech(40, 44, "We go downstairs."),
    ]
    asked = Question("How many model ships stand in the glass case?")
    found = reckon(asked, timeline(records, embedder), embedder)
    assert found is not None
    assert found.candidate.text == "5"
    assert found.evidence == (records[0], records[2])


def test_an_option_that_the_video_never_names_does_not_stop_the_order(
    embedder: SentenceEmbeddings,
) -> None:
    records = [
        speech(1, 3, "First the hemp is combed."),
        speech(4, 6, "Then it is spun into yarn."),
        speech(7, 9, "3 Tarring"),
        speech(10, 12, "At the end the yarn is twisted into rope."),
    ]
    options = ("It is combed", "It is spun", "It is tarred", "It is knitted")
    asked = Question("What happens to the yarn just before it is twisted into rope?", options)
    found = reckon(asked, timeline(records, embedder), embedder)
    assert found is not None
    assert found.candidate.choice == 2


@pytest.mark.parametrize("family", ["tarred tarring tars", "student students", "spin spinning"])
def test_forms_of_a_word_have_one_stem(family: str) -> None:
    assert len({stem(word) for word in family.split()}) == 1


def test_the_best_row_says_which_option_is_meant() -> None:
    line = screen(0, 9, (0, 9, "Adults 14.50"), (0, 9, "Students 9.00"))
    asked = Question("I am a student. How much do I pay?", ("14.50", "9.00", "4.20"))
    assert named_option(line, asked) == 1
    assert named_option(line, Question("What does it cost?", ("14.50", "9.00"))) is None
    assert named_option(screen(0, 9, (0, 9, "Closed")), asked) is None


def test_a_line_of_the_right_kind_alone_is_beside_the_point() -> None:
    year, maker = speech(1, 2, "since 1832"), speech(3, 4, "Elias Corvin, clockmaker")
    asked = Question("In which year was the man born who made the clock?")
    assert is_beside_the_point(asked, [(year, 0.2), (maker, 0.6)])
    assert not is_beside_the_point(asked, [(year, 0.5), (maker, 0.6)])
    assert not is_beside_the_point(replace(asked, options=("1832", "1900")), [(year, 0.2)])


def test_a_number_from_another_part_of_the_video_does_not_answer() -> None:
    price = screen(10, 20, (10, 20, "Adults 14.50"))
    told = [speech(5, 8, "Welcome to the museum."), price, speech(200, 204, "This is the ferry.")]
    asked = Question("What is the fare for adults on the ferry?")
    assert not is_elsewhere(Question("What is the price for adults?"), price, told)
    assert is_elsewhere(Question("What is the fare on the ferry?"), price, told)
    assert not is_elsewhere(asked, price, told)  # the line says "adults" itself
    assert not is_elsewhere(Question("Who drives the ferry?"), price, told)
    assert not is_elsewhere(Question("In which year was the ferry built?"), price, told)


def test_lines_far_behind_the_best_are_left_out() -> None:
    best, near, far = (replace(speech(i, i + 1, str(i)), score=0.5) for i in range(3))
    assert leading([(best, 1.0), (near, 0.9), (far, 0.7)]) == [best, near]
