"""NExT-QA, its open-ended form, NExT-GQA and IntentQA: one CSV with variations."""

import pytest

from agent.answering.time_spans import Span
from agent.evaluation.scores import score_run
from tools.errors import InputError

MAP = {"4010069381": "1164/4010069381", "4882821564": "1104/4882821564"}


def row(
    video: str, number: int, kind: str, answer: object, first: str = "video"
) -> dict[str, object]:
    options = {
        f"a{n}": f"{word} it" for n, word in enumerate(("lift", "drop", "turn", "wash", "lift"))
    }
    return {
        first: video,
        "frame_count": 369,
        "width": 640,
        "height": 480,
        "question": "what does the man do with the pot",
        "answer": answer,
        "qid": number,
        "type": kind,
        **options,
        "unknown": "x",
    }


def test_ids_videos_and_question_marks(save, videos, read) -> None:
    folder = videos("NExTVideo/1164/4010069381.mp4", "NExTVideo/1104/4882821564.mp4")
    save("map_vid_vidorID.json", MAP)
    save(
        "val.csv",
        [row("4010069381", 6, "CH", 1), row("4882821564", 6, "TP", 3), row("999", 1, "DC", 4)],
    )

    first, second, missing = read("nextqa")

    assert [first.id, second.id] == ["4010069381_6", "4882821564_6"]  # the number alone is not
    assert first.media.file == folder / "NExTVideo/1164/4010069381.mp4"
    assert first.question.text.endswith("pot?")
    assert first.question.options == ("lift it", "drop it", "turn it", "wash it")
    assert first.truth.choice == 1
    assert second.categories == {"type": ("TN",), "group": ("temporal",)}  # TP counts as TN
    assert missing.truth.choice == 0  # the fifth option repeats the first
    assert missing.media.file is None


def test_open_questions_with_further_answers(save, videos, read) -> None:
    videos("4010069381.mp4")
    plain = {
        k: v for k, v in row("4010069381", 2, "DL", "home").items() if k[0] != "a" or k == "answer"
    }
    save("test.csv", [plain, {**plain, "qid": 3, "type": "DB", "answer": "no"}])
    save("add_reference_answer_test.json", {"4010069381": {"2": "living room"}})

    first, second = read("nextqa-oe")

    assert first.truth.texts == (("home",), ("living room",))
    assert second.truth.texts == (("no",),)
    assert first.question.options == ()


def test_grounded_questions_have_text_answers_and_spans(save, videos, read, answered) -> None:
    videos("4010069381.mp4")
    save(
        "val.csv",
        [
            row("4010069381", 6, "TN", "turn it", "video_id"),
            row("9", 1, "CW", "lift it", "video_id"),
        ],
    )
    located = {"6": [[12.1, 17.1], [20.0, 23.5]]}
    save("gsub_val.json", {"4010069381": {"duration": 34, "location": located, "fps": 29.97}})

    first, second = read("nextgqa")

    assert first.truth.choice == 2
    assert first.truth.spans == (Span(12.1, 17.1), Span(20.0, 23.5))
    assert second.truth.spans == ()
    run = score_run(
        [first, second], {first.id: answered(first, 2, spans=[(13, 19)])}, "grounded choice"
    )
    assert run.overall.extra["acc@gqa"].mean == 1.0
    assert run.overall.extra["miop"].mean == pytest.approx(4.1 / 6)
    assert run.overall.extra["miou"].mean == pytest.approx(4.1 / 6.9)


def test_spans_are_needed(save, read) -> None:
    path = save("val.csv", [row("1", 6, "TN", "turn it")])

    with pytest.raises(InputError, match=r"gsub_val\.json"):
        read("nextgqa", path)


def test_intentqa_takes_either_name_of_its_first_column(save, videos, read) -> None:
    videos("6102982194.mp4")
    more = {"action": "playing", "lemma": "play", "lemma_id": 141}
    old = save("test.csv", [{**row("6102982194", 2, "CW", 2, "video_id"), **more}])
    new = save("val.csv", [{**row("6102982194", 2, "CW", 2), **more}])

    for path in (old, new):
        (item,) = read("intentqa", path)
        assert (item.id, item.truth.choice) == ("6102982194_2", 2)
        assert item.media.file is not None
