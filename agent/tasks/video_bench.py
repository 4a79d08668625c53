"""Video-Bench (Ning et al., arXiv 2311.16103): thirteen data sets, 17,036 questions.

Only `MOT_QA.json` holds answers; for the others a submission file is written. Options may be
numbers, null, empty or repeated, and a video's id may be a number.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from agent.evaluation.task import Benchmark, Item, Sources
from agent.tasks.choices import choice_item, choices_of
from agent.tasks.files import Values, Videos, question_files, read_json, text
from tools.errors import InputError


def read(sources: Sources) -> list[Item]:
    """Return the questions of all data sets, or of the file named."""
    files = question_files(sources.path, "Eval_QA/*_QA_new.json", "*_QA_new.json", "*_QA.json")
    videos = Videos(sources.videos)
    return [
        _item(key, row, file, videos) for file in files for key, row in _questions(file).items()
    ]


def _questions(file: Path) -> dict[str, Values]:
    values = read_json(file)
    if not isinstance(values, dict) or not all("choices" in row for row in values.values()):
        raise InputError(f"{file.name} is no object of questions with choices; check the file")
    return values


def _item(key: str, row: Values, file: Path, videos: Videos) -> Item:
    dataset, choices = data_set(file), row["choices"]
    options = [choices.get(letter) for letter in ascii_uppercase if letter <= max(choices)]
    named = str(row.get("vid_path") or "").removeprefix("Eval_video/")
    video = text(row, file, "video_id")
    return choice_item(
        f"{dataset}/{key}",
        f"{dataset}/{video}",
        videos.find(*([named] if named else []), video, inside=dataset),
        text(row, file, "question"),
        choices_of(options),
        row.get("answer"),
        {"data set": (dataset,)},
    )


def data_set(file: Path) -> str:
    """Return the name of a data set: that of `MOT_QA_new.json` is MOT."""
    return file.stem.removesuffix("_new").removesuffix("_QA")


def _submit(items: Sequence[Item], chosen: Mapping[str, int | None]) -> dict[str, Any]:
    """The merged file of the leaderboard: data set, question, and the letter chosen."""
    merged: dict[str, dict[str, Any]] = {}
    for item in items:
        dataset, _, key = item.id.partition("/")
        choice = chosen.get(item.id)
        letter = "" if choice is None else item.labels[choice]
        said = "" if choice is None else f"{letter}. {item.question.options[choice]}"
        merged.setdefault(dataset, {})[key] = {
            "video_id": item.video.partition("/")[2],
            "question": item.question.text,
            "output_sequence": said,
            "output_chatgpt_choice": letter,
        }
    return merged


BENCHMARK = Benchmark(
    "video-bench",
    "Video-Bench: thirteen data sets, answers hidden but for MOT; arXiv 2311.16103",
    "Eval_QA with its *_QA_new.json, or one of them; `Eval_video/`",
    read,
    submit=_submit,
)
