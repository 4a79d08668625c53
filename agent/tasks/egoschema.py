"""EgoSchema (Mangalam et al., arXiv 2308.09126): five options to 3 minutes of egocentric video.

Only 500 of the 5,031 answers are public: those of `subset_answers.json`. For the others a
submission file is written and no accuracy is given. Naming `subset_answers.json` as the path asks
those 500.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agent.evaluation.task import Benchmark, Item, Sources
from agent.tasks.choices import choice_item, choices_of
from agent.tasks.files import Values, Videos, is_table, question_files, read_json, read_rows, text
from tools.errors import InputError

SUBSET = "subset_answers.json"


def read(sources: Sources) -> list[Item]:
    """Return the questions."""
    given = question_files(sources.path, "questions.json", "*.parquet")[0]
    file = given.with_name("questions.json") if given.name == SUBSET else given
    rows = _rows(file)
    answers = file.with_name(SUBSET)
    known: dict[str, Any] = read_json(answers) if answers.is_file() else {}
    if given.name == SUBSET:
        rows = [row for row in rows if _uid(row, file) in known]
        if not rows:
            raise InputError(f"{file.name} has none of the questions of {SUBSET}")
    videos = Videos(sources.videos)
    return [_item(row, file, videos, known) for row in rows]


def _rows(file: Path) -> list[Values]:
    """Read the official list, an object by question, or a table of the data set on the hub."""
    if is_table(file):
        return read_rows(file)
    values = read_json(file)
    if isinstance(values, dict):
        return [{"q_uid": uid, **row} for uid, row in values.items()]
    return read_rows(file)


def _uid(row: Values, file: Path) -> str:
    return text(row, file, "q_uid", "video_idx")


def _item(row: Values, file: Path, videos: Videos, known: Mapping[str, Any]) -> Item:
    uid = _uid(row, file)
    options = row.get("option") or [row.get(f"option {number}") for number in range(5)]
    answer = known.get(uid, row.get("truth", row.get("answer")))
    if str(answer) in ("None", "-1", ""):
        answer = None
    elif isinstance(answer, str) and answer.isdigit():
        answer = int(answer)
    question = text(row, file, "question")
    return choice_item(uid, uid, videos.find(uid), question, choices_of(options), answer, {})


def _submit(items: Sequence[Item], chosen: Mapping[str, int | None]) -> dict[str, int]:
    """The number of the option by question; -1, which is no option, where none was chosen."""
    numbers = {}
    for item in items:
        choice = chosen.get(item.id)
        numbers[item.id] = -1 if choice is None else ord(item.labels[choice]) - ord("A")
    return numbers


BENCHMARK = Benchmark(
    "egoschema",
    "EgoSchema: five options, 3 minutes of egocentric video; arXiv 2308.09126",
    "questions.json (answers of subset_answers.json beside it), or subset_answers.json",
    read,
    submit=_submit,
)
