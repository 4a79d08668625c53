"""LVBench (Wang et al., arXiv 2406.08035): 103 videos of an hour or more, six kinds of questions.

Read as the official `video_info.meta.jsonl` (one video a line, options inside the question) or as
a list of questions with `candidates`. A question has one to three types and counts in each.
Minutes of a `time_reference` pass 59.
"""

import re
from pathlib import Path

from agent.answering.time_spans import Span
from agent.evaluation.task import Benchmark, Item, Sources
from agent.tasks.choices import choice_item, choices_of, split_question
from agent.tasks.files import Values, Videos, question_files, read_rows, text

_TIMES = re.compile(r"(\d+(?::\d+)+)\s*-\s*(\d+(?::\d+)+)")


def read(sources: Sources) -> list[Item]:
    """Return the questions."""
    file = question_files(sources.path, "video_info.meta.jsonl", "*.jsonl", "*.json")[0]
    videos = Videos(sources.videos)
    rows = [
        {**row, **one, "video type": row.get("type")}
        for row in read_rows(file)
        for one in row.get("qa", [{}])
    ]
    return [_item(number, row, file, videos) for number, row in enumerate(rows)]


def _item(number: int, row: Values, file: Path, videos: Videos) -> Item:
    question, options = text(row, file, "question"), row.get("candidates")
    if options is None:
        question, options = split_question(question)
    video = text(row, file, "key", "video")
    kinds = row.get("question_type") or ()
    return choice_item(
        str(row.get("uid", number)),
        video,
        videos.find(video),
        question,
        choices_of(options),
        row.get("answer"),
        {
            "question type": (kinds,) if isinstance(kinds, str) else tuple(kinds),
            "video type": (str(row["video type"]),),
        },
        _spans(str(row.get("time_reference") or "")),
    )


def _spans(reference: str) -> tuple[Span, ...]:
    """Return the time spans of "75:57-76:10"; none of "08:17-None"."""
    return tuple(Span(_seconds(a), _seconds(b)) for a, b in _TIMES.findall(reference))


def _seconds(stamp: str) -> float:
    total = 0.0
    for part in stamp.split(":"):
        total = total * 60 + int(part)
    return total


BENCHMARK = Benchmark(
    "lvbench",
    "LVBench: videos of an hour and more, with the times that show the answer; arXiv 2406.08035",
    "video_info.meta.jsonl, or a list of questions; `KEY.mp4`",
    read,
)
