import pytest

from agent.embedding import SentenceEmbeddings
from agent.pointing import resolve_pointing
from agent.reading import best_lines, expected_pattern, fits, without_repeats
from agent.reckoning import Timeline, reckon
from agent.retrieval import fuse
from agent.state import Question
from agent.text import mentions, plain, words
from tools.evidence import Evidence


def speech(start_s: float, end_s: float, text: str) -> Evidence:
    return Evidence("subtitles", "speech", start_s, end_s, text)


def screen(start_s: float, end_s: float, *rows: tuple[float, float, str]) -> Evidence:
    lines = [
        {"text": text, "start_s": a, "end_s": b, "box": [0.1, 0.1 * n, 0.9, 0.1 * n + 0.05]}
        for n, (a, b, text) in enumerate(rows)
    ]
    text = " | ".join(line["text"] for line in lines)
    return Evidence("ocr", "text", start_s, end_s, text, data={"lines": lines})


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
    assert resolve_pointing(said, [menu]).text.endswith("(On screen: Cake 4.20)")
    assert resolve_pointing(said, []) == said
    late = speech(100, 102, "I like the second thing on the menu.")
    assert resolve_pointing(late, [menu]) == late


def test_what_comes_next_is_read_off_the_time_line(embedder: SentenceEmbeddings) -> None:
    shown = [
        screen(t, t + 5, (t, t + 5, text))
        for t, text in ((0, "Bowline"), (6, "Clove hitch"), (12, "Sheet bend"))
    ]
    asked = Question("Which knot comes right after the clove hitch?")
    reckoned = reckon(asked, timeline(shown, embedder), embedder)
    assert reckoned is not None
    assert reckoned.draft.text == "Sheet bend"
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
    assert reckoned.draft.choice == 1
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
