"""MVBench (Li et al., arXiv 2311.17005): twenty tasks of 200 questions to short clips.

The answer is a text. Some tasks ask about a part of the video; videos of one name lie in several
folders; the videos of `episodic_reasoning` are folders of pictures, three a second, with dialogue
that has no times.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from agent.answering.time_spans import Span
from agent.evaluation.task import Benchmark, Item, Media, Sources
from agent.tasks.choices import choice_item, choices_of
from agent.tasks.files import Values, Videos, need, question_files, read_rows, text
from tools.speech.cues import Cue

FRAME_RATE = 3.0
FOLDERS = {  # of the videos of each task, as the data set lays them out
    "object_interaction": "star/Charades_v1_480",
    "action_sequence": "star/Charades_v1_480",
    "action_prediction": "star/Charades_v1_480",
    "action_localization": "sta/sta_video",
    "moving_count": "clevrer/video_validation",
    "moving_direction": "clevrer/video_validation",
    "moving_attribute": "clevrer/video_validation",
    "object_existence": "clevrer/video_validation",
    "counterfactual_inference": "clevrer/video_validation",
    "fine_grained_pose": "nturgbd",
    "character_order": "perception/videos",
    "object_shuffle": "perception/videos",
    "state_change": "perception/videos",
    "action_count": "perception/videos",
    "egocentric_navigation": "vlnqa",
    "episodic_reasoning": "tvqa/frames_fps3_hq",
    "fine_grained_action": "Moments_in_Time_Raw/videos",
    "scene_transition": "scene_qa/video",
    "action_antonym": "ssv2_video",
    "unexpected_action": "FunQA_test/test",
}


def read(sources: Sources) -> list[Item]:
    """Return the questions of all tasks, or of the file named."""
    files = question_files(sources.path, "json/*.json", "*.json")
    videos = Videos(sources.videos)
    return [
        _item(number, row, file, videos, sources.subtitles)
        for file in files
        for number, row in enumerate(read_rows(file))
    ]


def _item(number: int, row: Values, file: Path, videos: Videos, subtitles: bool) -> Item:
    task, name = file.stem, text(row, file, "video")
    media = _media(name, task, videos)
    start_s, end_s = row.get("start"), row.get("end")
    if start_s is not None and end_s is not None:
        media = replace(media, clip=Span(float(start_s), float(end_s)))
    if subtitles and row.get("subtitle"):
        media = replace(media, cues=partial(_cues, str(row["subtitle"])))
    return choice_item(
        f"{task}-{number}",
        name,
        media,
        text(row, file, "question"),
        choices_of(need(row, file, "candidates")),
        row.get("answer"),
        {"task": (task.replace("_", " "),)},
    )


def _media(name: str, task: str, videos: Videos) -> Media:
    inside = FOLDERS.get(task, "")
    for top in (videos.folder, videos.folder / "video", videos.folder.parent / "video"):
        for place in (top / inside / name, top / name):
            if place.is_dir():
                return Media(place, frame_rate=FRAME_RATE)
    return videos.find(name, inside=inside.split("/")[0])


def _cues(subtitle: str, duration_s: float) -> Sequence[Cue]:
    """Return the lines of a dialogue; each may have been said at any time of the clip."""
    return [Cue(0.0, duration_s, (line,)) for line in subtitle.splitlines() if line.strip()]


BENCHMARK = Benchmark(
    "mvbench",
    "MVBench: twenty tasks on short clips; arXiv 2311.17005",
    "the folder `json` of the twenty lists, or one of them",
    read,
)
