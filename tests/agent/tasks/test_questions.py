from pathlib import Path

from agent.answering.time_spans import Span
from agent.evaluation.scores import score_run
from agent.evaluation.task import Truth


def test_answers_as_letter_number_text_and_parts(save, videos, read) -> None:
    videos("tour.mp4")
    asked = {"video": "tour.mp4", "question": "Which?", "options": ["net", "rope", "3"]}
    path = save(
        "own.jsonl",
        [
            {"id": "a", **asked, "answer": "B"},
            {"id": "b", **asked, "answer": 0, "kind": "text"},
            {"id": "c", **asked, "answer": "3"},
            {"id": "d", "video": "tour", "question": "Who?", "answer": [["Ada", "Bo"], "both"]},
            {"id": "e", "video": "tour.mp4", "question": "Where?", "answerable": False},
            {"id": "f", "video": "gone.mp4", "question": "Where?", "answer": "here"},
            {"id": "g", **asked, "answer": "drum", "evidence": [[1, 2]]},
            {"id": "h", **asked},
        ],
    )

    a, b, c, d, e, f, g, h = read("questions", path)

    assert [item.truth.choice for item in (a, b, c)] == [1, 0, 2]
    assert d.truth.texts == (("Ada", "Bo"), ("both",))
    assert e.truth == Truth(abstain=True)
    assert "gone.mp4" in f.media.why
    assert g.truth.hidden
    assert "none of the options" in g.note
    assert "no answer is known" in h.note
    assert b.categories == {"kind": ("text",)}


def test_a_key_beside_the_questions(save, videos, read, answered) -> None:
    videos("tour.mp4")
    path = save(
        "questions_two.jsonl",
        [
            {"id": "1", "video": "tour.mp4", "question": "How many boats?"},
            {"id": "2", "video": "tour.mp4", "question": "Who owns it?"},
        ],
    )
    save(
        "answers_two.jsonl",
        [
            {"id": "1", "answer": ["five"], "answerable": True, "evidence": [[0.5, 1.5]]},
            {"id": "2", "answerable": False},
        ],
    )

    items = read("questions", path)
    results = {"1": answered(items[0], text="There are 5."), "2": answered(items[1], text="Ada")}

    assert items[0].truth.spans == (Span(0.5, 1.5),)
    assert score_run(items, results, "contains").overall.strict.mean == 0.5


def test_the_demo_has_a_key(read) -> None:
    folder = Path(__file__).parents[3] / "examples"

    items = read("questions", folder / "questions.jsonl")

    assert len(items) == 24
    assert not any(item.truth.hidden for item in items)
    assert sum(item.truth.abstain for item in items) == 3
