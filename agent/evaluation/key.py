"""The key beside the results of a benchmark: its questions with their true answers, one JSON file.

Results hold no truth, so that no method ever meets it; scores, comparisons and reports read the
key from the folder of the results.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from agent.answering.time_spans import Span
from agent.evaluation.task import Item, Mean, Media, Metric, Truth
from agent.records import Question
from tools.errors import InputError, StorageError

NAME = "key.json"


@dataclass(frozen=True, slots=True)
class Key:
    """The questions of a run with their true answers.

    Attributes:
        benchmark: Name of the benchmark.
        metric: How its answers are scored.
        mean: How its questions are averaged.
        subtitles: Whether its subtitles were given.
        items: Its questions, without their media.
    """

    benchmark: str
    metric: Metric
    mean: Mean
    subtitles: bool
    items: tuple[Item, ...]


def write_key(folder: Path, key: Key) -> Path:
    """Write a key into the folder of its results; one of other questions is not replaced.

    Raises:
        InputError: The folder holds the results of other questions.
        StorageError: It cannot be written.
    """
    file = folder / NAME
    text = json.dumps(_to_json(key), ensure_ascii=False, indent=1)
    try:
        if file.exists() and file.read_text(encoding="utf-8") != text:
            old = read_key(folder)
            if (old.benchmark, old.subtitles) != (key.benchmark, key.subtitles):
                raise InputError(
                    f"{folder} holds results of {_name(old)}, not of {_name(key)}; give another "
                    f"--out"
                )
        folder.mkdir(parents=True, exist_ok=True)
        new = file.with_name(f".{NAME}.new")
        new.write_text(text, encoding="utf-8")
        new.replace(file)
    except OSError as error:
        raise StorageError(
            f"{file} cannot be written ({error.strerror}); free some space"
        ) from error
    return file


def read_key(folder: Path) -> Key:
    """Read the key of a folder of results.

    Raises:
        InputError: There is none, or it is none.
    """
    file = folder / NAME
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        return _from_json(values)
    except FileNotFoundError as error:
        raise InputError(
            f"there is no {NAME} beside the results in {folder}; `reelgraph eval` writes one, or "
            f"name its folder with --key"
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{file} is no key of a benchmark ({error}); run the eval again"
        ) from error


def _name(key: Key) -> str:
    return f"{key.benchmark} {'with' if key.subtitles else 'without'} subtitles"


def _to_json(key: Key) -> dict[str, Any]:
    about = {"benchmark": key.benchmark, "metric": key.metric, "mean": key.mean}
    items = [_item_json(item) for item in key.items]
    return {**about, "subtitles": key.subtitles, "items": items}


def _item_json(item: Item) -> dict[str, Any]:
    truth = item.truth
    return {
        "id": item.id,
        "video": item.video,
        "question": item.question.text,
        "options": item.question.options,
        "labels": item.labels,
        "categories": item.categories,
        "choice": truth.choice,
        "texts": truth.texts,
        "spans": [(span.start_s, span.end_s) for span in truth.spans],
        "abstain": truth.abstain,
        "note": item.note,
    }


def _from_json(values: dict[str, Any]) -> Key:
    if values["metric"] not in get_args(Metric) or values["mean"] not in get_args(Mean):
        raise ValueError(f"unknown metric {values['metric']!r} or mean {values['mean']!r}")
    items = tuple(_item(one) for one in values["items"])
    about = values["benchmark"], values["metric"], values["mean"], bool(values["subtitles"])
    return Key(*about, items)


def _item(one: dict[str, Any]) -> Item:
    texts = tuple(tuple(map(str, parts)) for parts in one["texts"])
    spans = tuple(Span(*span) for span in one["spans"])
    return Item(
        id=one["id"],
        video=one["video"],
        media=Media(None),
        question=Question(one["question"], tuple(one["options"])),
        truth=Truth(one["choice"], texts, spans, one["abstain"]),
        categories={kind: tuple(of) for kind, of in one["categories"].items()},
        labels=tuple(one["labels"]),
        note=one["note"],
    )


def same_questions(keys: Sequence[Key]) -> Key:
    """Return the first of several keys. `InputError` if they are of different benchmarks."""
    names = list(dict.fromkeys(_name(key) for key in keys))
    if len(names) > 1:
        raise InputError(f"these are results of {' and '.join(names)}; compare those of one")
    return keys[0]
