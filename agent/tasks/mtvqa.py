"""MTVQA (Tang et al., arXiv 2405.11985): text in pictures, asked in nine languages.

It has pictures, not videos: here it is a check of text recognition in many languages. Each picture
becomes a video of one frame. A row holds one picture and several questions.
"""

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agent.evaluation.task import Benchmark, Item, Media, Sources, Truth
from agent.records import Question
from agent.tasks.files import Values, need, question_files, read_rows
from tools.errors import InputError


def read(sources: Sources) -> list[Item]:
    """Return the questions; pictures inside the file are unpacked."""
    files = question_files(
        sources.path, "data/test-*.parquet", "test-*.parquet", "*.parquet", "*.json"
    )
    rows = [(file, row) for file in files for row in read_rows(file)]
    return [item for number, pair in enumerate(rows) for item in _items(number, *pair, sources)]


def _items(number: int, file: Path, row: Values, sources: Sources) -> Iterator[Item]:
    id = str(row.get("id") or f"mtvqa-{number}")
    media = _media(need(row, file, "image"), f"{number}-{Path(id).name}", sources)
    for position, pair in enumerate(_pairs(need(row, file, "qa_pairs"), file)):
        answers = pair["answer"] if isinstance(pair["answer"], list) else [pair["answer"]]
        yield Item(
            f"{id}-{position}",
            id,
            media,
            Question(str(pair["question"]).strip()),
            Truth(texts=tuple((str(answer),) for answer in answers)),
            {"language": (str(row.get("lang") or "unknown"),)},
        )


def _pairs(value: Any, file: Path) -> list[dict[str, Any]]:
    """Return questions and answers: a list, or a list written as text."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            try:
                value = ast.literal_eval(value)
            except (ValueError, SyntaxError) as error:
                raise InputError(
                    f"{file.name} has qa_pairs that are no list: {value:.60}"
                ) from error
    return [pair for pair in value if pair.get("question") and pair.get("answer")]


def _media(image: Any, name: str, sources: Sources) -> Media:
    """Return a picture: named by a path, or its bytes unpacked."""
    content, path = (
        (image.get("bytes"), image.get("path")) if isinstance(image, dict) else (None, image)
    )
    if content:
        file = sources.unpacked / f"{name}{Path(str(path or '')).suffix or '.jpg'}"
        if not (file.exists() and file.read_bytes() == content):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        return Media(file)
    file = sources.videos / str(path)
    return Media(file) if file.is_file() else Media(None, f"there is no picture {file}")


BENCHMARK = Benchmark(
    "mtvqa",
    "MTVQA: text in pictures (not videos), in nine languages; arXiv 2405.11985",
    "test-*.parquet with the pictures inside, or JSON that names them",
    read,
    metric="substring",
)
