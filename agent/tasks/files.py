"""Read the files of benchmarks: rows of a table, JSON, and the videos that they name."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from agent.batch.question_files import READERS, read_lines
from agent.batch.videos import SUFFIXES, find_videos
from agent.evaluation.task import Media
from tools.errors import InputError

Values = Mapping[str, Any]


def question_files(path: Path, *patterns: str) -> list[Path]:
    """Return the question files: the path itself, or what its folder holds of the first pattern.

    Raises:
        InputError: There is none.
    """
    if path.is_file():
        return [path]
    for pattern in patterns:
        found = sorted(path.glob(pattern))
        if found:
            return found
    if not path.exists():
        raise InputError(f"there is no file or folder {path}; check the path")
    raise InputError(f"{path} holds none of {', '.join(patterns)}; name the question file itself")


def read_rows(file: Path) -> list[Values]:
    """Return the rows of a JSON, JSON Lines, CSV or parquet file; column names in lower case.

    Raises:
        InputError: It cannot be read; the message names the line.
    """
    if file.suffix.lower() == ".json":
        values = read_json(file)
        if not isinstance(values, list) or not all(isinstance(one, dict) for one in values):
            raise InputError(f"{file.name} is no list of objects; check that it is the right file")
        return [{name.lower(): value for name, value in one.items()} for one in values]
    lines = list(read_lines(file))
    for line in lines:
        if line.error:
            raise InputError(f"{line.place}: {line.error}")
    return [line.values for line in lines]


def read_json(file: Path) -> Any:
    """Return the content of a JSON file. `InputError` says why it cannot be read."""
    try:
        return json.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror}); check the path") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file.name} is no JSON ({error}); download it again") from error


def need(row: Values, file: Path, *names: str) -> Any:
    """Return the first of several columns that a row has. `InputError` if it has none."""
    for name in names:
        if row.get(name) is not None:
            return row[name]
    raise InputError(
        f"{file.name} has a row without {' or '.join(names)} (columns: {', '.join(row)}); check "
        f"that it is the question file of this benchmark"
    )


def text(row: Values, file: Path, *names: str) -> str:
    """Return a column as text; a number read as a decimal one loses its ".0"."""
    value = need(row, file, *names)
    return str(int(value) if isinstance(value, float) and value.is_integer() else value).strip()


def is_table(file: Path) -> bool:
    """Whether `read_rows` reads files of this kind other than JSON."""
    return file.suffix.lower() in READERS


class Videos:
    """The videos below a folder, found by the names that a benchmark gives them."""

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise InputError(f"there is no folder {folder}; name that of the videos with --videos")
        self.folder = folder
        self._found: dict[str, list[Path]] | None = None

    def find(self, *names: str, inside: str = "") -> Media:
        """Return the video of the first name that exists, whatever its suffix and its case.

        Args:
            names: File names or paths, with or without suffix.
            inside: Part of the path where several videos have one name.

        Returns:
            The video, or why there is none: a missing video costs its questions alone.
        """
        for name in names:
            exact = self.folder / name
            if exact.is_file():
                return Media(exact)
            found = self._alike(name, inside)
            if len(found) == 1:
                return Media(found[0])
            if found:
                both = " and ".join(str(path) for path in found[:2])
                return Media(None, f"the video {name!r} may be {both}; remove or move one")
        return Media(None, f"no video {names[0]!r} below {self.folder}; put it there")

    def _alike(self, name: str, inside: str) -> list[Path]:
        """Return the videos of a name; fewer where its folders or its suffix tell them apart."""
        path = PurePosixPath(name)
        stem = path.stem if path.suffix.lower() in SUFFIXES else path.name
        found = self._all().get(stem.lower(), [])
        for test in (path.parent.as_posix(), inside):
            if len(found) > 1 and test not in ("", "."):
                found = [p for p in found if f"/{test}/" in p.as_posix()] or found
        if len(found) > 1:
            found = [p for p in found if p.suffix.lower() == path.suffix.lower()] or found
        return found

    def _all(self) -> dict[str, list[Path]]:
        if self._found is None:
            self._found = {}
            try:
                videos: Iterable[Path] = find_videos([self.folder])
            except InputError:  # no video at all: each question says so
                videos = []
            for video in videos:
                self._found.setdefault(video.stem.lower(), []).append(video)
        return self._found


def beside(places: Sequence[Path], *names: str) -> Path | None:
    """Return the first file of some names in some folders; None if there is none."""
    paths = (place / name for place in places for name in names)
    return next((path for path in paths if path.is_file()), None)
