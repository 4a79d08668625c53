from agent.answering.time_spans import Span
from agent.evaluation.scores import score_run

QUESTION = "What year appears?\n(A) 1636\n(B) 1366\n(C) 1363\n(D) 1633"


def meta(key: str, *questions: dict[str, object]) -> dict[str, object]:
    return {"key": key, "type": "cartoon", "video_info": {"fps": 25}, "qa": list(questions)}


def asked(uid: int, times: str, *types: str) -> dict[str, object]:
    return {
        "uid": str(uid),
        "question": QUESTION,
        "answer": "D",
        "question_type": list(types),
        "time_reference": times,
        "unknown": 1,
    }


def test_one_video_a_line_with_options_in_the_question(save, videos, read) -> None:
    videos("Cm73ma6Ibcs.mp4")
    save(
        "video_info.meta.jsonl",
        [
            meta("Cm73ma6Ibcs", asked(0, "00:15-00:19", "reasoning"), asked(1, "00:00-75:57", "a")),
            meta("absent", asked(2, "08:17-None", "b")),
        ],
    )

    first, second, missing = read("lvbench")

    assert (first.id, first.truth.choice) == ("0", 3)
    assert first.question.text == "What year appears?"
    assert first.question.options == ("1636", "1366", "1363", "1633")
    assert first.truth.spans == (Span(15, 19),)
    assert second.truth.spans == (Span(0, 75 * 60 + 57),)  # minutes pass 59
    assert missing.truth.spans == ()
    assert missing.media.file is None


def test_a_question_counts_in_each_of_its_types_and_once_in_all(save, read, answered) -> None:
    save(
        "video_info.meta.jsonl",
        [meta("v", asked(0, "00:01-00:02", "reasoning", "ocr"), asked(1, "00:01-00:02", "ocr"))],
    )
    items = read("lvbench")
    results = {"0": answered(items[0], 3, spans=[(1.5, 9)]), "1": answered(items[1], 0)}

    run = score_run(items, results, "choice")

    assert run.overall.questions == 2
    assert {s.name: (s.questions, s.strict.mean) for s in run.categories} == {
        "question type: reasoning": (1, 1.0),
        "question type: ocr": (2, 0.5),
        "video type: cartoon": (2, 0.5),
    }
    assert run.overall.extra["evidence recall"].mean == 0.5


def test_list_with_candidates_and_the_answer_as_text(save, read) -> None:
    path = save(
        "lvbench_clean.json",
        [{"video": "00000000", "type": "tv", "question": "Which?", "answer": "(B) 7",
          "candidates": ["(A) 6", "(B) 7"], "question_type": ["x"], "time_reference": "None-None"}],
    )  # fmt: skip

    (item,) = read("lvbench", path)

    assert (item.question.options, item.truth.choice, item.truth.spans) == (("6", "7"), 1, ())
