"""NExT-QA, open-ended (Xiao et al., arXiv 2105.08276): a few words, scored by WUPS.

Further accepted answers are a column, or `add_reference_answer_test.json` beside the CSV.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agent.evaluation.task import Benchmark, Item, Sources, Truth
from agent.records import Question
from agent.tasks.files import Values, beside, question_files, read_json, read_rows, text
from agent.tasks.nextqa import NextVideos, asked, categories_of, video_of


def read(sources: Sources) -> list[Item]:
    """Return the questions."""
    file = question_files(sources.path, "test.csv", "val.csv", "*.csv", "*.parquet")[0]
    found = beside([file.parent], f"add_reference_answer_{file.stem}.json")
    further = read_json(found) if found else {}
    videos = NextVideos(file, sources)
    return [_item(row, file, videos, further) for row in read_rows(file)]


def _item(row: Values, file: Path, videos: NextVideos, further: Mapping[str, Any]) -> Item:
    video, number = video_of(row, file), text(row, file, "qid")
    more = row.get("additional_ref_answer") or further.get(video, {}).get(number)
    texts = [text(row, file, "answer"), *([str(more)] if more else [])]
    return Item(
        f"{video}_{number}",
        video,
        videos.find(video),
        Question(asked(text(row, file, "question"))),
        Truth(texts=tuple((one,) for one in texts)),
        categories_of(row, file),
    )


BENCHMARK = Benchmark(
    "nextqa-oe",
    "NExT-QA, open-ended: a few words, scored by WUPS; arXiv 2105.08276",
    "test.csv or val.csv of NExT-OE",
    read,
    metric="wups",
)
