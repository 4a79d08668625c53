from agent.evaluation.scores import score_run

OPTIONS = "\n".join(f"{letter}. {number} boats" for number, letter in enumerate("ABCDEFGH"))


def row(video: str, number: int, answer: str = "H") -> dict[str, object]:
    return {
        "video_id": video,
        "question_id": f"{video}-{number}",
        "question": "How many boats?",
        "options": OPTIONS,
        "answer": answer,
        "group_type": "logic",
        "group_structure": "[1, [2, 3], 4]",
        "level": 2,
        "second_head": "Counting",
        "third_head": None,
        "unknown": "x",
    }


def test_eight_options_in_one_text_and_questions_in_their_order(save, videos, read) -> None:
    videos("007.mp4")
    save("test.parquet", [row("007", n) for n in (2, 1, 4, 3)] + [row("008", 1)])

    items = read("video-mme-v2")

    assert [item.id for item in items] == ["007-1", "007-2", "007-3", "007-4", "008-1"]
    assert len(items[0].question.options) == 8
    assert items[0].question.options[7] == "7 boats"
    assert items[0].truth.choice == 7
    assert items[4].media.file is None


def test_words_with_times_become_lines_of_subtitles(save, videos, read) -> None:
    videos("007.mp4")
    save("test.parquet", [row("007", 1)])
    words = [("The", 0.0, 0.2), ("tide", 0.3, 0.5), ("turns", 1.4, 1.8)]
    save(
        "subtitle/007.jsonl",
        [{"text": text, "start_time": start, "end_time": end} for text, start, end in words],
    )

    (item,) = read("video-mme-v2", subtitles=True)
    cues = item.media.cues(2.0)

    assert [(cue.start_s, cue.end_s, cue.text) for cue in cues] == [
        (0.0, 0.5, "The tide"),
        (1.4, 1.8, "turns"),
    ]


def test_the_score_is_that_of_the_group(save, videos, read, answered) -> None:
    videos("007.mp4")
    save("test.parquet", [row("007", number) for number in (1, 2, 3, 4)])
    items = read("video-mme-v2")
    right = (True, False, True, True)  # the third may stand in for the second
    results = {i.id: answered(i, 7 if r else 0) for i, r in zip(items, right, strict=True)}

    overall = score_run(items, results, "choice", "groups").overall

    assert overall.strict.mean == 4 / 12
    assert overall.extra["question accuracy"].mean == 3 / 4
