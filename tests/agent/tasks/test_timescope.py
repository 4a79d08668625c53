def test_options_below_the_question_and_mkv_files(save, videos, read) -> None:
    videos("videos/long_1.mkv")
    base = {"video": "long_1.mp4", "type": "OCR", "length": 3600, "unknown": 1}
    save(
        "test.parquet",
        [
            {"id": 1, **base, "question": "Which word?\nA. net\nB. rope\nC. map", "answer": "B"},
            {"id": 2, **base, "question": "Which?\n(A) x\n(B) y", "answer": "A"},
            {"id": 3, **base, "video": "absent.mp4", "question": "Q?\nA. x\nB. y", "answer": "A"},
        ],
    )

    first, second, missing = read("timescope")

    assert first.question.options == ("net", "rope", "map")
    assert (first.id, first.truth.choice, first.categories["length"]) == ("1", 1, ("3600",))
    assert first.media.file.suffix == ".mkv"
    assert second.question.options == ("x", "y")
    assert missing.media.file is None
