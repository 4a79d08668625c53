from agent.tasks import find_benchmark


def row(video: object, choices: dict[str, object], **fields: object) -> dict[str, object]:
    return {"video_id": video, "question": "Which one?", "choices": choices, "extra": 1, **fields}


def test_odd_choices_and_hidden_answers(save, videos, read) -> None:
    videos("Eval_video/MSRVTT/video7010.mp4", "Eval_video/TGIF/t1.mp4")
    save(
        "Eval_QA/MSRVTT_QA_new.json",
        {
            "171548": row(7010, {"A": "", "B": None, "C": "screen", "D": "monitor"},
                          vid_path="Eval_video/MSRVTT/video7010.mp4"),
            "171549": row(7011, {"A": "N/A", "B": "cook", "C": "cook"}),
        },
    )  # fmt: skip
    save(
        "Eval_QA/TGIF_QA_new.json",
        {"Q1": row("t1", {"A": 2, "B": 3}, vid_path="Eval_video/TGIF/t1.mp4", qid="Q1")},
    )

    first, second, third = read("video-bench")

    assert first.id == "MSRVTT/171548"
    assert first.question.options == ("screen", "monitor")
    assert first.labels == ("C", "D")
    assert first.media.file is not None
    assert first.truth.hidden
    assert second.left_out
    assert second.media.file is None
    assert third.question.options == ("2", "3")
    submission = find_benchmark("video-bench").submit([first, third], {first.id: 1})
    assert submission["MSRVTT"]["171548"] == {
        "video_id": "7010",
        "question": "Which one?",
        "output_sequence": "D. monitor",
        "output_chatgpt_choice": "D",
    }
    assert submission["TGIF"]["Q1"]["output_chatgpt_choice"] == ""


def test_the_one_file_with_answers(save, read) -> None:
    path = save(
        "MOT_QA.json", {"0": row("MOT16-02", {"A": "81", "B": "37", "C": "63"}, answer="C")}
    )

    (item,) = read("video-bench", path)

    assert (item.id, item.truth.choice) == ("MOT/0", 2)
