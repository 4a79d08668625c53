from agent.page.suggestions import suggest
from tools.evidence import Evidence


def shown(text: str, start_s: float) -> Evidence:
    return Evidence("ocr", "text", start_s, start_s + 8, text)


def said(text: str, start_s: float) -> Evidence:
    return Evidence("subtitles", "speech", start_s, start_s + 3, text)


def test_headings_that_somebody_speaks_of_become_questions() -> None:
    found = [
        shown("Tar | 14.50", 5.0),
        said("This pot held the tar.", 8.0),
        shown("Knots and splices", 90.0),
        said("A splice is stronger than knots.", 95.0),
        shown("Never spoken of", 170.0),
        shown("9:30 - 17:45", 230.0),
    ]
    assert suggest(found, 240.0) == [
        "What is said about \N{LEFT DOUBLE QUOTATION MARK}Tar\N{RIGHT DOUBLE QUOTATION MARK}?",
        "What is said about \N{LEFT DOUBLE QUOTATION MARK}Knots and splices"
        "\N{RIGHT DOUBLE QUOTATION MARK}?",
    ]


def test_without_headings_the_words_said_most_often_become_questions() -> None:
    lines = ["The ferry leaves.", "Two ferries arrive.", "The harbour and the ferry.", "A harbour"]
    questions = suggest([said(line, 10.0 * i) for i, line in enumerate(lines)], 60.0)
    assert ["ferry" in questions[0], "harbour" in questions[1], len(questions)] == [True, True, 2]


def test_a_video_of_which_nothing_is_known_has_no_questions() -> None:
    assert suggest([], 60.0) == []
    assert suggest([Evidence("shots", "shots", 0.0, 9.0, "a cut")], 60.0) == []
