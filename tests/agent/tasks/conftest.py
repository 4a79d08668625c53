"""Benchmarks made by hand in their published formats, with tiny videos."""

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from agent.evaluation.task import Item, Sources
from agent.tasks import find_benchmark

Rows = Sequence[Mapping[str, Any]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Folder of the benchmark's files."""
    (tmp_path / "set").mkdir()
    return tmp_path / "set"


@pytest.fixture
def save(folder: Path) -> Callable[[str, Any], Path]:
    """`save(name, content)`: write rows as JSON, JSON Lines, CSV or parquet, by the suffix."""

    def write(name: str, content: Any) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        WRITERS[path.suffix](path, content)
        return path

    return write


@pytest.fixture
def videos(make_shared_clip: Callable[..., Path], folder: Path) -> Callable[..., Path]:
    """`videos("a/b.mp4", ...)`: tiny videos under these names; returns their folder."""

    def make(*names: str, seconds: float = 2.0) -> Path:
        for name in names:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            clip = make_shared_clip(f"clip{path.suffix.lower()}", seconds=seconds, size=(64, 48))
            path.write_bytes(clip.read_bytes())
        return folder

    return make


@pytest.fixture
def read(folder: Path, tmp_path: Path) -> Callable[..., list[Item]]:
    """`read(benchmark, path=, subtitles=)`: its items."""

    def items(name: str, path: Path | None = None, *, subtitles: bool = False) -> list[Item]:
        sources = Sources(path or folder, folder, tmp_path / "unpacked", subtitles)
        return find_benchmark(name).read(sources)

    return items


def _json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def _jsonl(path: Path, rows: Rows) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _csv(path: Path, rows: Rows) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _parquet(path: Path, rows: Rows) -> None:
    import polars

    polars.DataFrame(list(rows)).write_parquet(path)


WRITERS: Mapping[str, Callable[[Path, Any], None]] = {
    ".json": _json,
    ".jsonl": _jsonl,
    ".csv": _csv,
    ".parquet": _parquet,
}
