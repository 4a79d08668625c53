from collections.abc import Callable
from pathlib import Path

import pytest

from agent.answering.time_spans import Span
from agent.evaluation.prepare import prepare_rows
from tools.media.readers import open_video
from tools.media.video import probe


def row(video: str, **fields: object) -> dict[str, object]:
    return {
        "video": video,
        "question": "What happened after that?",
        "candidates": ["Ate.", "Slept.", "Left."],
        "answer": "Left.",
        "unknown": 3,
        **fields,
    }


def test_the_part_that_is_asked_about_is_cut_out(
    save, videos, read, tmp_path: Path, read_time: Callable[..., float]
) -> None:
    videos("video/star/Charades_v1_480/ZS9XR.mp4", seconds=6.0)
    save(
        "action_sequence.json",
        [
            row("ZS9XR.mp4", start=1.5, end=4.0, accurate_start=1.6),
            row("absent.mp4", start=0, end=1),
        ],
    )

    first, missing = read("mvbench")
    assert (first.id, first.truth.choice, first.media.clip) == (
        "action_sequence-0",
        2,
        Span(1.5, 4.0),
    )
    ready, failed = prepare_rows([first, missing], tmp_path / "media")

    clip = probe(ready.video)
    assert clip.duration_s == pytest.approx(2.5, abs=0.05)
    (frame,) = open_video(clip).at([1.0])
    assert read_time(frame.image) == pytest.approx(2.5, abs=0.05)
    assert "no video 'absent.mp4'" in failed.error


def test_videos_of_one_name_are_told_apart_by_the_folder_of_the_task(save, videos, read) -> None:
    folder = videos(
        "video/perception/videos/video_1.mp4", "video/clevrer/video_validation/video_1.mp4"
    )
    save("moving_count.json", [row("video_1.mp4")])
    save("action_count.json", [row("video_1.mp4")])
    save("unheard_of.json", [row("video_1.mp4")])

    action, moving, unknown = read("mvbench")

    assert action.media.file == folder / "video/perception/videos/video_1.mp4"
    assert moving.media.file == folder / "video/clevrer/video_validation/video_1.mp4"
    assert unknown.media.file is None
    assert "may be" in unknown.media.why


def test_folders_of_pictures_are_three_a_second_with_dialogue_without_times(
    save, read, tmp_path: Path, folder: Path, make_shared_clip: Callable[..., Path]
) -> None:
    source = open_video(probe(make_shared_clip(seconds=4.0, fps=3, size=(64, 48))))
    pictures = folder / "video/tvqa/frames_fps3_hq/castle_1"
    pictures.mkdir(parents=True)
    _save_pictures(pictures, source)
    dialogue = "(Ada:)Mind the step.\n(Bo:)Thanks."
    save("episodic_reasoning.json", [row("castle_1", start=1.0, end=3.0, fps=3, subtitle=dialogue)])

    (item,) = read("mvbench", subtitles=True)
    (ready,) = prepare_rows([item], tmp_path / "media")

    assert probe(ready.video).duration_s == pytest.approx(2.0, abs=0.05)
    assert ready.video.with_suffix(".srt").read_text().split("\n")[:3] == [
        "1",
        "00:00:00,000 --> 00:00:02,000",
        "(Ada:)Mind the step.",
    ]


def test_a_question_with_one_option_is_left_out(save, read) -> None:
    save(
        "counterfactual_inference.json", [row("a.mp4", candidates=["It stays"], answer="It stays")]
    )

    (item,) = read("mvbench")

    assert item.left_out == "fewer than two options to choose from"


def _save_pictures(folder: Path, source) -> None:
    import cv2

    for number, frame in enumerate(source.every(1 / 3), 1):  # 00001.jpg, as the data set has them
        cv2.imwrite(str(folder / f"{number:05}.jpg"), frame.image)
