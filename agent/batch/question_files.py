"""Read question files line by line: `.jsonl`, `.csv`, `.parquet`; a bad line is kept as such."""

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

from tools.errors import InputError

DELIMITERS = ",;\t"


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a question file.

    Attributes:
        place: File name and number, for messages.
        values: Its values by column; names are in lower case.
        error: Why it cannot be read, and what to do; empty for a good one.
    """

    place: str
    values: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""


def read_lines(file: Path) -> Iterator[Line]:
    """Yield the lines of a question file.

    Raises:
        InputError: The file as a whole cannot be read.
    """
    reader = READERS.get(file.suffix.lower())
    if reader is None:
        raise InputError(
            f"{file.name}: questions are read from {', '.join(READERS)}; save the file as one of "
            f"them"
        )
    try:
        yield from reader(file)
    except OSError as error:
        raise InputError(
            f"the question file {file} cannot be read ({error.strerror}); check the path"
        ) from error


def _jsonl(file: Path) -> Iterator[Line]:
    for number, raw in enumerate(file.read_bytes().split(b"\n"), 1):
        place = f"{file.name} line {number}"
        try:
            text = raw.decode("utf-8-sig" if number == 1 else "utf-8")
            if not text.strip():
                continue
            values = json.loads(text)
        except UnicodeDecodeError as error:
            yield Line(place, error=f"byte {error.start + 1} is not UTF-8; save it as UTF-8")
        except (ValueError, RecursionError) as error:
            yield Line(place, error=f"not a JSON object ({error}); write one object a line")
        else:
            if isinstance(values, dict):
                yield Line(place, {_column(name): value for name, value in values.items()})
            else:
                yield Line(place, error="not a JSON object; write one object a line")


def _csv(file: Path) -> Iterator[Line]:
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise InputError(f"{file.name} line {line} is not UTF-8; save the file as UTF-8") from error
    first = text.partition("\n")[0]
    delimiter = max(DELIMITERS, key=first.count)
    rows = csv.reader(StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header = [_column(name) for name in next(rows, [])]
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise InputError(f"{file.name} has the column {twice[0]!r} twice; rename one of them")
    while True:
        place = f"{file.name} line {rows.line_num + 1}"
        try:
            cells = next(rows, None)
        except csv.Error as error:
            yield Line(place, error=f"not CSV from here on ({error}); close and double its quotes")
            continue
        if cells is None:
            return
        if len(cells) > len(header):
            many = f"{len(cells)} cells for {len(header)} columns"
            yield Line(place, error=f"{many}; put texts with {delimiter!r} in double quotes")
        elif any(cells):
            yield Line(place, dict(zip(header, cells, strict=False)))


def _parquet(file: Path) -> Iterator[Line]:
    import polars

    try:
        table = polars.read_parquet(file.read_bytes())
    except polars.exceptions.PolarsError as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{file.name} is no parquet file that can be read: {reason}") from error
    for number, values in enumerate(table.iter_rows(named=True), 1):
        yield Line(f"{file.name} row {number}", {_column(k): v for k, v in values.items()})


def _column(name: str) -> str:
    return name.strip().lower()


READERS: Mapping[str, Callable[[Path], Iterator[Line]]] = {
    ".jsonl": _jsonl,
    ".csv": _csv,
    ".parquet": _parquet,
}
