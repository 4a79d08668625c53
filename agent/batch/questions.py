"""Turn a question file into rows: which question goes to which video.

Columns, whose names ignore case; all others are ignored:

    question   the text; required
    video      path relative to the question file or to a given folder, file name or its stem;
               empty or without such a column: the question goes to all videos given
    options    a list; in a text, JSON or separated by `|`
    a0, a1, .. (or `option 0`, `option_0`, `option0`): one option each
    id         name of the row in the results; derived from its content if there is none
"""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from agent.batch.question_files import Line, read_lines
from agent.batch.records import Row
from agent.library.keys import digest
from agent.records import Question
from agent.session import make_question
from tools.errors import InputError

_OPTION = re.compile(r"(?:a|option[ _]?)(\d+)")


def read_questions(file: Path, videos: Sequence[Path], *, only_given: bool = False) -> list[Row]:
    """Return the questions of a file, each with its video.

    Args:
        file: A `.jsonl`, `.csv` or `.parquet` file; the columns stand at the top of this module.
        videos: The videos given. One that a row names by a path may also lie elsewhere.
        only_given: It may not: nothing is looked up on the disk.

    Returns:
        The rows in the order of the file. One that cannot be asked has its `error` set, which
        names file, line and remedy.

    Raises:
        InputError: The file cannot be read, or none of its rows can be asked.
    """
    given = _Videos(file, videos, only_given)
    placed = [(line.place, row) for line in read_lines(file) for row in _rows(line, given)]
    rows = list(_with_own_ids(placed))
    if not rows:
        raise InputError(f"{file.name} has no question; write one a line")
    if all(row.error for row in rows):
        raise InputError(f"no question of {file.name} can be asked; the first: {rows[0].error}")
    return rows


def group_rows(rows: Sequence[Row]) -> dict[Path, list[Row]]:
    """Return the rows by video, in order."""
    groups: dict[Path, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.video, []).append(row)
    return groups


class _Videos:
    """The videos given, found again as a question file names them."""

    def __init__(self, file: Path, videos: Sequence[Path], only_given: bool) -> None:
        self._only_given = only_given
        self._folder = file.absolute().parent
        self.all = list(videos)
        self._paths = {video.absolute(): video for video in videos}
        self._names: dict[str, list[Path]] = {}
        for video in videos:
            self._names.setdefault(video.name, []).append(video)
            if video.stem != video.name:
                self._names.setdefault(video.stem, []).append(video)

    def find(self, named: str) -> Path:
        """Return the one video of a name. `InputError` if there is none, or several."""
        path = Path(named).expanduser()
        exact = Path(os.path.normpath(self._folder / path))
        if exact in self._paths:
            return self._paths[exact]
        folders = path.parts[:-1]
        fits = [
            video
            for video in self._names.get(path.name, ())
            if not folders or video.absolute().parts[-len(path.parts) : -1] == folders
        ]
        whole = [video for video in fits if video.name == path.name]
        if fits := whole or fits:
            if len(fits) > 1:
                both = " and ".join(map(str, fits[:2]))
                raise InputError(f"the video {named!r} may be {both}; write its path")
            return fits[0]
        if not self._only_given and exact.is_file():
            return exact
        near = get_close_matches(path.name, self._names, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "; check the name, or give its folder"
        raise InputError(f"no video {named!r} among the {len(self.all)} given{hint}")

    def label(self, video: Path) -> str:
        """Return a name that stays the same wherever the program is started."""
        return Path(os.path.relpath(video.absolute(), self._folder)).as_posix()


def _rows(line: Line, given: _Videos) -> Iterator[Row]:
    """Yield the rows of a line: one, or one for each video."""
    values, name, named = line.values, "", ""
    text, options = str(values.get("question", "")), tuple[str, ...]()
    try:
        if line.error:
            raise InputError(line.error)
        name, named = _plain(values, "id"), _plain(values, "video")
        question = make_question(_text(values), _options(values))
        text, options = question.text, question.options
        videos = [given.find(named)] if named else given.all
    except InputError as error:
        why = f"{line.place}: {error}"
        yield Row(name or line.place, Path(named), Question(text, options), why)
        return
    for video in videos:
        own = name or digest([question.text, *question.options])[:12]
        if not (name and named):
            own = f"{own}@{given.label(video)}"
        yield Row(own, video, question)


def _text(values: Mapping[str, Any]) -> str:
    if "question" not in values:
        known = ", ".join(values) or "none"
        raise InputError(f"there is no column 'question' (columns: {known}); rename one")
    if not isinstance(values["question"], str):
        raise InputError(f"the question is {values['question']!r}, not a text; write it in quotes")
    return values["question"]


def _plain(values: Mapping[str, Any], column: str) -> str:
    """Return a text or number as text; "" if it is empty."""
    value = values.get(column)
    if value is None or value != value:  # NaN, as pandas writes an empty cell
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise InputError(f"the {column} is {value!r}, expected a text or a number")
    if isinstance(value, float) and value.is_integer():  # a column of numbers with empty cells
        value = int(value)
    if "\0" in str(value):
        raise InputError(f"the {column} holds a zero byte; remove it")
    return str(value).strip()


def _options(values: Mapping[str, Any]) -> list[str]:
    """Return the options of a line, however they are written."""
    value = values.get("options")
    if isinstance(value, str) and value.strip():
        value = _from_text(value.strip())
    if isinstance(value, list):
        return [_option(one) for one in value]
    if value is not None and value != "" and value == value:
        raise InputError(f"the options are {value!r:.60}; write a list, or separate them by |")
    numbered = {int(found[1]): name for name in values if (found := _OPTION.fullmatch(name))}
    cells = [_plain(values, numbered[number]) for number in sorted(numbered)]
    while cells and not cells[-1]:
        cells.pop()
    return cells


def _from_text(text: str) -> list[Any]:
    if not text.startswith("["):
        return text.split("|")
    try:
        found = json.loads(text)
    except ValueError as error:
        raise InputError(
            f'the options {text!r:.60} are no JSON ({error}); write ["one", "two"] or one|two'
        ) from error
    return list(found)


def _option(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise InputError(f"the option {value!r:.60} is no text; write each option as a text")
    return str(value)


def _with_own_ids(placed: Sequence[tuple[str, Row]]) -> Iterator[Row]:
    """Yield the rows; one with the id of an earlier row is a bad one, under another id."""
    first: dict[str, str] = {}
    for place, row in placed:
        if row.id not in first:
            first[row.id] = place
            yield row
            continue
        why = f"{place}: {first[row.id]} has the id {row.id!r} too; give each an id, or remove one"
        yield replace(row, id=f"{row.id} ({place})", error=row.error or why)
