from agent.evaluation.scores import score_run
from agent.tasks import find_benchmark


def row(video: str, kind: str, **fields: object) -> dict[str, object]:
    return {
        "video": video,
        "duration": 467.98,
        "question": "What does the hand do?",
        "candidates": ["Points", "Waves", "Knocks", "Rests"],
        "answer": "Knocks",
        "question_type": kind,
        "extra": None,
        **fields,
    }


def test_seven_files_whose_answer_is_a_text(save, videos, read) -> None:
    videos("video/2_needle/needle_1.mp4", "video/1_plotQA/film_1.mp4")
    save("1_plotQA.json", [row("film_1.mp4", "plotQA")])
    save(
        "2_needle.json",
        [
            row("needle_1.mp4", "findNeedle"),
            row("needle_2.mp4", "findNeedle"),
            row("needle_3.mp4", "findNeedle", answer="Drums"),
        ],
    )
    save("8_sub_scene.json", [{"video": "x.mp4", "question": "Describe it."}])

    plot, needle, missing, unanswerable = read("mlvu")

    assert (plot.id, plot.truth.choice, plot.categories["task"]) == ("plotQA-0", 2, ("plotQA",))
    assert needle.categories["task"] == ("needle",)  # its type is written findNeedle
    assert needle.media.file is not None
    assert missing.media.file is None
    assert unanswerable.left_out == "the answer is none of the options"


def test_options_inside_the_question_with_a_letter(save, videos, read) -> None:
    videos("surveil_1.mp4")
    asked = "Is there an incident?\n(A) Fire\n(B) Normal\n(C) Robbery\n(D) Fight"
    save(
        "test.parquet",
        [{"video_name": "surveil_1.mp4", "task_type": "anomaly_reco", "question": asked,
          "answer": "B", "more": 1}],
    )  # fmt: skip

    (item,) = read("mlvu")

    assert item.question.text == "Is there an incident?"
    assert item.question.options == ("Fire", "Normal", "Robbery", "Fight")
    assert item.truth.choice == 1


def test_the_score_is_the_mean_over_tasks(save, videos, read, answered) -> None:
    videos("a.mp4")
    save("1_plotQA.json", [row("a.mp4", "plotQA")])
    save("4_count.json", [row(f"{n}.mp4", "count") for n in range(4)])
    items = read("mlvu")
    results = {item.id: answered(item, 2 if item.id == "plotQA-0" else 0) for item in items}

    run = score_run(items, results, "choice", "tasks")

    assert run.overall.strict.mean == 0.5  # not 1 of 5
    assert {score.name: score.strict.mean for score in run.categories} == {
        "task: plotQA": 1.0,
        "task: count": 0.0,
    }


def test_the_submission_of_the_test_set_names_question_type_and_letter(save, read) -> None:
    hidden = {k: v for k, v in row("a.mp4", "plotQA").items() if k != "answer"}
    path = save("test_question.json", [{**hidden, "question_id": "PQ_0"}])
    items = read("mlvu", path)

    assert items[0].truth.hidden
    assert find_benchmark("mlvu").submit(items, {"PQ_0": 1}) == [
        {"question_id": "PQ_0", "question_type": "plotQA", "option": "B"}
    ]
