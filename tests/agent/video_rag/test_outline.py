"""The outline of a whole video, on records written by hand."""

from agent.answering.evidence_lines import as_line
from agent.video_rag.outline import MOST_CHARACTERS, MOST_PARTS, outline
from tools.evidence import Evidence


def record(text: str, start_s: float, end_s: float, kind: str = "text") -> Evidence:
    tool = "ocr" if kind == "text" else "transcribe"
    return Evidence(tool, kind, start_s, end_s, text, id=f"{tool}:1:{start_s:g}")


def count(text: str) -> int:
    return len(text.split())


def told(*records: Evidence, duration_s: float = 120, tokens: int = 999) -> tuple[Evidence, ...]:
    return outline(records, duration_s, tokens, count)


def test_parts_are_told_in_the_order_of_time() -> None:
    lines = told(record("Eggs", 45, 70), record("Mill", 85, 110), record("Welcome", 0, 30))
    assert [(line.start_s, line.end_s) for line in lines] == [(0, 40), (40, 80), (80, 120)]
    assert [line.text for line in lines] == ["Welcome", "Eggs", "Mill"]
    assert as_line(lines[1]) == '[0:40] text: "Eggs"'


def test_what_is_on_the_screen_everywhere_is_left_out() -> None:
    shown = [record(f"Farm TV | {name}", i * 40, i * 40 + 40) for i, name in enumerate("ABC")]
    assert [line.text for line in told(*shown)] == ["A", "B", "C"]


def test_rows_that_are_shown_longest_describe_a_part_in_the_order_of_the_screen() -> None:
    long, short = "x" * (MOST_CHARACTERS - 20), "y" * 30
    lines = told(record(f"Title | {short} | \N{BULLET} {long}", 0, 9), record(long, 9, 39))
    assert lines[0].text == f"Title | {long}"


def test_a_text_that_stays_is_given_once() -> None:
    lines = told(record("Slide", 0, 80), record("End", 90, 110))
    assert [(line.start_s, line.text) for line in lines] == [(0, "Slide"), (80, "End")]


def test_where_nothing_is_shown_the_longest_sentence_is_told() -> None:
    said = [record("Hm.", 50, 51, "speech"), record("The hens get peas.", 60, 63, "speech")]
    lines = told(record("Welcome", 0, 30), *said, record("Mill", 85, 110))
    assert [line.text for line in lines] == ["Welcome", "The hens get peas.", "Mill"]
    assert (lines[1].kind, lines[1].start_s) == ("speech", 60)


def test_a_line_leads_to_a_record_and_is_short() -> None:
    records = [record(f"{i} {'word ' * 40}", i * 40, i * 40 + 9) for i in range(3)]
    lines = told(*records)
    assert [line.id for line in lines] == [one.id for one in records]
    assert all(len(line.text) <= MOST_CHARACTERS for line in lines)


def test_its_tokens_are_limited() -> None:
    records = [record(f"{i} some words", i * 40, i * 40 + 9) for i in range(9)]
    whole = told(*records, duration_s=360)
    some = told(*records, duration_s=360, tokens=30)
    assert 0 < len(some) < len(whole) == 9
    assert all(line in whole for line in some)
    assert sum(count(as_line(line)) + 1 for line in some) <= 30


def test_a_long_video_has_no_more_parts() -> None:
    records = [record(str(i), i * 40, i * 40 + 9) for i in range(400)]
    assert len(told(*records, duration_s=16_000)) == MOST_PARTS


def test_without_tokens_length_or_records_there_is_none() -> None:
    welcome = record("Welcome", 0, 30)
    assert told(welcome)
    assert told(welcome, tokens=0) == told(welcome, duration_s=0) == told() == ()
