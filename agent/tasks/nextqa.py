"""NExT-QA, multiple choice (Xiao et al., arXiv 2105.08276): why, how, when, where, how many.

A CSV with a0 to a4; the number of a question is unique within its video only. Videos are found by
`map_vid_vidorID.json` beside the CSV. Questions lack their question mark.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agent.answering.time_spans import Span
from agent.evaluation.task import Benchmark, Item, Media, Sources
from agent.tasks.choices import choice_item, choices_of
from agent.tasks.files import Values, Videos, beside, question_files, read_json, read_rows, text

GROUPS = {"C": "causal", "T": "temporal", "D": "descriptive"}
MAP = "map_vid_vidorID.json"


class NextVideos:
    """The videos of NExT-QA, found by their place in VidOR or by their id."""

    def __init__(self, file: Path, sources: Sources) -> None:
        found = beside([file.parent, sources.videos, sources.videos.parent], MAP)
        self._places = read_json(found) if found else {}
        self._videos = Videos(sources.videos)

    def find(self, video: str) -> Media:
        """Return a video by its id."""
        place = self._places.get(video)
        return self._videos.find(*([str(place)] if place else []), video)


def read(sources: Sources) -> list[Item]:
    """Return the questions."""
    file = question_files(sources.path, "test.csv", "val.csv", "*.csv", "*.parquet")[0]
    videos = NextVideos(file, sources)
    return [choice_row(row, file, videos) for row in read_rows(file)]


def choice_row(row: Values, file: Path, videos: NextVideos, spans: Sequence[Span] = ()) -> Item:
    """Return the item of a row; shared by the benchmarks on the same videos."""
    video = video_of(row, file)
    return choice_item(
        f"{video}_{text(row, file, 'qid')}",
        video,
        videos.find(video),
        asked(text(row, file, "question")),
        choices_of([row.get(f"a{number}") for number in range(5)]),
        _number(row.get("answer")),
        categories_of(row, file),
        spans,
    )


def video_of(row: Values, file: Path) -> str:
    """Return the video's id, under either name of its column."""
    return text(row, file, "video", "video_id")


def asked(question: str) -> str:
    """Return a question with its question mark."""
    return question if question.endswith("?") else f"{question}?"


def categories_of(row: Values, file: Path) -> dict[str, tuple[str, ...]]:
    """Return type and group; "before" (TP) counts as "after" (TN), as in the published script."""
    kind = text(row, file, "type")
    kind = "TN" if kind == "TP" else kind
    return {"type": (kind,), "group": (GROUPS.get(kind[:1], kind),)}


def _number(answer: Any) -> Any:
    """Return the answer, a number of a CSV as such; in NExT-GQA it is a text."""
    return int(answer) if isinstance(answer, str) and answer.isdigit() else answer


BENCHMARK = Benchmark(
    "nextqa",
    "NExT-QA, multiple choice: five options, 44 seconds on average; arXiv 2105.08276",
    "test.csv or val.csv, with map_vid_vidorID.json beside it",
    read,
)
