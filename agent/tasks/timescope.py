"""TimeScope (Apollo-LMMs/TimeScope): short clips hidden in videos of a minute to hours."""

from pathlib import Path

from agent.evaluation.task import Benchmark, Item, Sources
from agent.tasks.choices import choice_item, choices_of, split_question
from agent.tasks.files import Values, Videos, question_files, read_rows, text


def read(sources: Sources) -> list[Item]:
    """Return the questions."""
    file = question_files(sources.path, "test*.parquet", "*.parquet", "*.jsonl", "*.json")[0]
    videos = Videos(sources.videos)
    return [_item(row, file, videos) for row in read_rows(file)]


def _item(row: Values, file: Path, videos: Videos) -> Item:
    question, options = text(row, file, "question", "input"), row.get("options")
    if options is None:
        question, options = split_question(question)
    if not options and row.get("input"):  # the options may stand there alone
        options = split_question(str(row["input"]))[1]
    video = text(row, file, "video")
    return choice_item(
        text(row, file, "id"),
        video,
        videos.find(video),
        question,
        choices_of(options),
        row.get("answer"),
        {"length": (text(row, file, "length"),), "type": (text(row, file, "type"),)},
    )


BENCHMARK = Benchmark(
    "timescope",
    "TimeScope and LongTimeScope: clips hidden in long videos",
    "test.parquet, with `options` or the options below the question",
    read,
)
