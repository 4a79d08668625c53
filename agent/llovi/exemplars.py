"""Few-shot examples: read from a file, validated before any model call.

One JSON object per line, or a JSON list of them:

    {"video": "a", "duration_s": 8, "question": "Who?", "options": ["a cat", "a dog"],
     "choice": 1, "captions": ["a dog runs", ...]}

`captions` has one of the formats of `agent.llovi.caption_file`; without options `answer` takes
the place of `choice`.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from agent.llovi.caption_file import Timing, captions_of
from agent.llovi.prompts import Exemplar, exemplar_text
from agent.records import Question
from agent.settings import Section
from tools.errors import InputError
from tools.registry import explain


class _Record(Section):
    """One example as in the file."""

    video: str
    question: str
    captions: str | list[str] | dict[str, str]
    duration_s: float = Field(gt=0)
    options: tuple[str, ...] = ()
    choice: int | None = None
    answer: str = ""


def read_exemplars(path: Path, fps: float = 1.0, every: int = 1) -> tuple[Exemplar, ...]:
    """Return the few-shot examples of a file, each validated.

    Args:
        path: The file.
        fps: Captions of a list, or frame numbers of a mapping, per second.
        every: Take every n-th caption, as for the question itself.

    Raises:
        InputError: The file cannot be read or an example is incomplete.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        whole = text.lstrip().startswith("[")
        rows = (
            json.loads(text) if whole else [json.loads(t) for t in text.splitlines() if t.strip()]
        )
    except (OSError, ValueError, RecursionError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not JSON in UTF-8"
        raise InputError(f"the exemplars {path.name} cannot be read: {why}") from error
    return tuple(
        _exemplar(f"{path.name}, example {n}", row, fps, every) for n, row in enumerate(rows, 1)
    )


def _exemplar(place: str, row: Mapping[str, Any], fps: float, every: int) -> Exemplar:
    try:
        record = _Record.model_validate(row)
    except ValidationError as error:
        raise InputError(f"{place}: {explain(error, '', _Record.model_fields)}") from error
    timing = Timing(record.duration_s, fps, every)
    exemplar = Exemplar(
        record.video,
        captions_of(record.captions, timing, place),
        Question(record.question, record.options),
        record.choice,
        record.answer,
    )
    exemplar_text(exemplar)  # raises unless there is an answer
    return exemplar


def choose_exemplars(exemplars: Sequence[Exemplar], shots: int, video: str) -> tuple[Exemplar, ...]:
    """Return the first `shots` examples that are not about the video of the question.

    Raises:
        InputError: There are too few.
    """
    others = [exemplar for exemplar in exemplars if exemplar.video != video]
    if len(others) < shots:
        raise InputError(
            f"{shots} exemplars are wanted but there are {len(others)} of other videos; add some "
            f"to the file or lower shots"
        )
    return tuple(others[:shots])
