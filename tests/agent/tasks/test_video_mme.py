from pathlib import Path

SRT = "1\n00:00:00,500 --> 00:00:01,500\nThe tide is out.\n"
OPTIONS = ["A. Two.", "B. Three.", "C. Two.", "D. Five."]  # one is repeated, as in ten of the set


def row(number: int, **fields: object) -> dict[str, object]:
    return {
        "video_id": f"00{number}",
        "duration": "short",
        "domain": "Knowledge",
        "sub_category": "Geography",
        "url": f"https://www.youtube.com/watch?v=YT_{number}",
        "videoID": f"YT_{number}",
        "question_id": f"00{number}-1",
        "task_type": "Counting Problem",
        "question": "How many boats lie on the sand?",
        "options": ["A. One.", "B. Two.", "C. Three.", "D. Four."],
        "answer": "C",
        "added_later": 7,
        **fields,
    }


def test_parquet_rows_become_questions_to_videos_named_by_their_youtube_id(
    save, videos, read, folder: Path
) -> None:
    videos("video/YT_1.mp4", "video/YT_2.mp4")
    save(
        "videomme/test-00000-of-00001.parquet",
        [row(1), row(2, options=OPTIONS, answer="D"), row(3)],
    )

    first, second, missing = read("video-mme")

    assert first.id == "001-1"
    assert first.media.file == folder / "video/YT_1.mp4"
    assert first.question.options == ("One.", "Two.", "Three.", "Four.")
    assert first.truth.choice == 2
    assert first.categories["duration"] == ("short",)  # a word, not seconds
    assert second.question.options == ("Two.", "Three.", "Five.")
    assert (second.truth.choice, second.labels) == (2, ("A", "B", "D"))
    assert "repeated" in second.note
    assert missing.media.file is None
    assert "no video 'YT_3'" in missing.media.why


def test_subtitles_are_given_only_when_asked_for(save, videos, read, folder: Path) -> None:
    videos("video/YT_1.mp4", "video/YT_2.mp4")
    save("test-00000-of-00001.parquet", [row(1), row(2)])
    (folder / "subtitle").mkdir()
    (folder / "subtitle/YT_1.srt").write_text(SRT)

    with_srt, without_srt = read("video-mme", subtitles=True)

    assert with_srt.media.subtitles == folder / "subtitle/YT_1.srt"
    assert without_srt.media.subtitles is None
    assert without_srt.note == "it has no subtitle file"
    assert [item.media.subtitles for item in read("video-mme")] == [None, None]


def test_official_json_with_nested_questions_and_numbered_videos(save, videos, read) -> None:
    videos("001.mp4")
    asked = {"question": "Who?", "options": ["A. He", "B. She"], "answer": "A", "response": ""}
    save(
        "output.json",
        [
            {
                "video_id": "001",
                "duration": "long",
                "domain": "Sports",
                "sub_category": "Rowing",
                "questions": [
                    {**asked, "question_id": "001-1", "task_type": "Action Reasoning"},
                    {**asked, "question_id": "001-2", "task_type": "OCR Problems", "answer": "B"},
                ],
            }
        ],
    )

    items = read("video-mme")

    assert [(item.id, item.truth.choice, item.video) for item in items] == [
        ("001-1", 0, "001"),
        ("001-2", 1, "001"),
    ]
    assert all(item.media.file for item in items)
