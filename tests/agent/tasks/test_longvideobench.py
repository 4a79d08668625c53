import json
from pathlib import Path

from agent.tasks import find_benchmark


def row(number: int, **fields: object) -> dict[str, object]:
    return {
        "video_id": f"v{number}",
        "question": "When the host says 'tide', what lies on the table?",
        "question_wo_referring_query": "What lies on the table?",
        "candidates": ["a net", "a rope", "a map"],
        "correct_choice": 1,
        "position": [854],
        "topic_category": "NP-News-Programs",
        "question_category": "T2A",
        "level": "L1-Perception",
        "id": f"v{number}_0",
        "video_path": f"v{number}.mp4",
        "subtitle_path": f"v{number}_en.json",
        "duration_group": 15,
        "starting_timestamp_for_subtitles": 100,
        "duration": 2.0,
        "view_count": 4172,
        "unknown": {},
        **fields,
    }


def test_both_shapes_of_subtitles_minus_the_starting_timestamp(
    save, videos, read, folder: Path
) -> None:
    videos("videos/v1.mp4", "videos/v2.mp4")
    save("lvb_val.json", [row(1), row(2), row(3)])
    clock = [{"start": "00:01:40.500", "end": "00:01:41.250", "line": "The tide is out."}]
    seconds = [
        {"timestamp": [100.25, 101.0], "text": "Good morning."},
        {"timestamp": [101.0, None], "text": "Here is the map."},
    ]
    save("subtitles/v1_en.json", clock)
    save("subtitles/v2_en.json", seconds)

    first, second, missing = read("longvideobench", subtitles=True)

    assert [(c.start_s, c.end_s, c.text) for c in first.media.cues(2.0)] == [
        (0.5, 1.25, "The tide is out.")
    ]
    assert [(c.start_s, c.end_s) for c in second.media.cues(2.0)] == [(0.25, 1.0), (1.0, 2.0)]
    assert missing.media.file is None
    assert missing.note == "it has no subtitle file"
    assert first.truth.choice == 1
    assert first.categories["duration group"] == ("15",)


def test_parquet_pads_options_and_hides_answers_with_minus_one(save, videos, read) -> None:
    videos("videos/v1.mp4")
    options = {"option0": "a net", "option1": "a rope", "option2": "N/A", "option3": "N/A",
               "option4": "N/A"}  # fmt: skip
    plain = {k: v for k, v in row(1).items() if k not in ("candidates", "position", "unknown")}
    path = save("test.parquet", [{**plain, **options, "correct_choice": -1}])

    (item,) = read("longvideobench", path)

    assert item.question.options == ("a net", "a rope")
    assert item.truth.hidden
    submission = find_benchmark("longvideobench").submit([item], {item.id: 1})
    assert json.dumps(submission) == '{"v1_0": "B"}'
