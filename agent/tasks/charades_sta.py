"""Charades-STA (Gao et al., arXiv 1705.02101): when does a described action happen?

Read as a JSON list, or as the original text: `VIDEO START END##sentence`, a line each. Scored by
intersection over union of one span: R@1 at 0.3, 0.5 and 0.7, and the mean.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from agent.answering.time_spans import Span
from agent.evaluation.task import Benchmark, Item, Sources, Truth
from agent.grounding.description import ask_when
from agent.records import Question
from agent.tasks.files import Values, Videos, need, question_files, read_rows, text
from tools.errors import InputError

_LINE = re.compile(r"(\S+) ([\d.]+) ([\d.]+)\s*##\s*(.+)")


def read(sources: Sources) -> list[Item]:
    """Return the sentences as questions."""
    file = question_files(
        sources.path, "charades_sta_test.txt", "*charades*.json", "*.json", "*.txt"
    )[0]
    videos = Videos(sources.videos)
    rows = list(_lines(file)) if file.suffix == ".txt" else read_rows(file)
    return [_item(number, row, file, videos) for number, row in enumerate(rows)]


def _lines(file: Path) -> Iterator[Values]:
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        found = _LINE.fullmatch(line.strip())
        if found:
            video, start, end, caption = found.groups()
            yield {"video": video, "timestamp": [start, end], "caption": caption}
        elif line.strip():
            raise InputError(f"{file.name} line {number} is not `VIDEO START END##sentence`")


def _item(number: int, row: Values, file: Path, videos: Videos) -> Item:
    video, (start, end) = text(row, file, "video"), need(row, file, "timestamp")
    caption = text(row, file, "caption").rstrip(".")
    span = Span(*sorted((float(start), float(end))))  # a few are the wrong way round
    name = video.removesuffix(".mp4")
    truth = Truth(spans=(span,))
    asked = Question(ask_when(caption))
    return Item(f"{name}-{number}", name, videos.find(f"{name}.mp4"), asked, truth)


BENCHMARK = Benchmark(
    "charades-sta",
    "Charades-STA: when a described action happens; arXiv 1705.02101",
    "charades_sta_test.txt, or a JSON list with video, caption, timestamp",
    read,
    metric="spans",
)
