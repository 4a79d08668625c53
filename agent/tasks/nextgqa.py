"""NExT-GQA (Xiao et al., arXiv 2309.01327): NExT-QA with the time spans that show the answer.

The answer column holds the text. Spans of `test.csv` stand in `gsub_test.json`; the time spans of
the cited evidence are compared with them.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agent.answering.time_spans import Span
from agent.evaluation.task import Benchmark, Item, Sources
from agent.tasks.files import Values, beside, question_files, read_json, read_rows, text
from agent.tasks.nextqa import NextVideos, choice_row, video_of
from tools.errors import InputError


def read(sources: Sources) -> list[Item]:
    """Return the questions."""
    file = question_files(sources.path, "test.csv", "val.csv", "*.csv")[0]
    name = f"gsub_{file.stem}.json"
    found = beside([file.parent, sources.videos], name)
    if not found:
        raise InputError(f"there is no {name} beside {file}; it has the time spans: put it there")
    grounds = read_json(found)
    rows, videos = read_rows(file), NextVideos(file, sources)
    return [choice_row(row, file, videos, _spans(row, file, grounds)) for row in rows]


def _spans(row: Values, file: Path, grounds: Mapping[str, Any]) -> tuple[Span, ...]:
    located = grounds.get(video_of(row, file), {}).get("location", {})
    spans = located.get(text(row, file, "qid"), [])
    return tuple(Span(float(start_s), float(end_s)) for start_s, end_s in spans)


BENCHMARK = Benchmark(
    "nextgqa",
    "NExT-GQA: answers and the times that show them; arXiv 2309.01327",
    "test.csv or val.csv, with gsub_test.json and map_vid_vidorID.json beside it",
    read,
    metric="grounded choice",
)
