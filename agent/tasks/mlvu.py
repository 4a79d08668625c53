"""MLVU (Zhou et al., arXiv 2406.04264): seven multiple-choice tasks, 2,175 dev questions.

The score is the mean over the tasks, not over the questions. The answer is a text; the rows of the
data set on the hub have a letter and the options inside the question instead. The two tasks with
free text (sub-scene captioning, summary) take a judging model and are left out.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agent.evaluation.task import Benchmark, Item, Sources
from agent.tasks.choices import choice_item, choices_of, split_question
from agent.tasks.files import Values, Videos, question_files, read_rows, text

NAMES = {"findNeedle": "needle"}  # its type in the file differs from the name of the task


def read(sources: Sources) -> list[Item]:
    """Return the questions of all tasks."""
    files = question_files(sources.path, "[1-7]_*.json", "json/[1-7]_*.json", "*.parquet", "*.json")
    videos, numbers = Videos(sources.videos), Counter[str]()
    return [_item(row, file, videos, numbers) for file in files for row in read_rows(file)]


def _item(row: Values, file: Path, videos: Videos, numbers: Counter[str]) -> Item:
    kind = text(row, file, "question_type", "task_type")
    task = NAMES.get(kind, kind)
    question, options = text(row, file, "question"), row.get("candidates")
    if options is None:
        question, options = split_question(question)
    video = text(row, file, "video", "video_name")
    id = str(row.get("question_id") or f"{task}-{numbers[task]}")
    numbers[task] += 1
    media, choices = videos.find(video), choices_of(options)
    return choice_item(id, video, media, question, choices, row.get("answer"), {"task": (task,)})


def _submit(items: Sequence[Item], chosen: Mapping[str, int | None]) -> list[dict[str, Any]]:
    """One object a question with the letter chosen; null where there is none."""
    rows = []
    for item in items:
        choice = chosen.get(item.id)
        letter = None if choice is None else item.labels[choice]
        kind = item.categories["task"][0]
        rows.append({"question_id": item.id, "question_type": kind, "option": letter})
    return rows


BENCHMARK = Benchmark(
    "mlvu",
    "MLVU: seven tasks on videos of 3 minutes to 2 hours; arXiv 2406.04264",
    "the folder with 1_plotQA.json to 7_topic_reasoning.json, or one file",
    read,
    mean="tasks",
    submit=_submit,
)
