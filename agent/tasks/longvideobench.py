"""LongVideoBench (Wu et al., arXiv 2407.15754): referring questions, 1,337 in the validation set.

Subtitles are JSON in two shapes, with times of the video from which this one was taken: the row's
starting timestamp is subtracted. The parquet pads options with "N/A" and, in the test set, has -1
for the hidden answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from agent.evaluation.task import Benchmark, Item, Media, Sources
from agent.tasks.choices import choice_item, choices_of
from agent.tasks.files import Values, Videos, beside, question_files, read_json, read_rows, text
from tools.errors import InputError
from tools.speech.cues import Cue

CATEGORIES = ("duration_group", "question_category", "level", "topic_category")


def read(sources: Sources) -> list[Item]:
    """Return the questions."""
    file = question_files(sources.path, "lvb_val.json", "validation-*.parquet", "*.parquet")[0]
    videos = Videos(sources.videos)
    return [_item(row, file, videos, sources) for row in read_rows(file)]


def _item(row: Values, file: Path, videos: Videos, sources: Sources) -> Item:
    options = row.get("candidates") or [row.get(f"option{number}") for number in range(5)]
    media, note = videos.find(text(row, file, "video_path")), ""
    if sources.subtitles:
        media, note = _with_subtitles(media, row, file, sources)
    item = choice_item(
        text(row, file, "id"),
        text(row, file, "video_id"),
        media,
        text(row, file, "question"),
        choices_of(options),
        None if row.get("correct_choice") == -1 else row.get("correct_choice"),
        {n.replace("_", " "): (str(row[n]),) for n in CATEGORIES if row.get(n) is not None},
    )
    return replace(item, note="; ".join(filter(None, (item.note, note))))


def _with_subtitles(media: Media, row: Values, file: Path, sources: Sources) -> tuple[Media, str]:
    folder = sources.path if sources.path.is_dir() else sources.path.parent
    tops = (sources.videos, sources.videos.parent, folder)
    found = beside([top / "subtitles" for top in tops], text(row, file, "subtitle_path"))
    if not found:
        return media, "it has no subtitle file"
    offset_s = float(row.get("starting_timestamp_for_subtitles") or 0)
    return replace(media, cues=partial(_cues, found, offset_s)), ""


def _cues(file: Path, offset_s: float, duration_s: float) -> Sequence[Cue]:
    """Read subtitles of either shape, in seconds of this video; one without end lasts on."""
    cues = []
    for row in read_json(file):
        try:
            if "timestamp" in row:
                start_s, end_s = row["timestamp"]
                said = row["text"]
            else:
                start_s, end_s, said = _seconds(row["start"]), _seconds(row["end"]), row["line"]
            start_s = float(start_s) - offset_s
            end_s = duration_s if end_s is None else float(end_s) - offset_s
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{file.name} has a subtitle {row!r:.80} of neither shape") from error
        cues.append(Cue(start_s, end_s, (str(said),)))
    return cues


def _seconds(stamp: str) -> float:
    hours, minutes, seconds = stamp.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def _submit(items: Sequence[Item], chosen: Mapping[str, int | None]) -> dict[str, str]:
    """The letter by question; "" where none was chosen."""
    letters = {}
    for item in items:
        choice = chosen.get(item.id)
        letters[item.id] = "" if choice is None else item.labels[choice]
    return letters


BENCHMARK = Benchmark(
    "longvideobench",
    "LongVideoBench: questions that refer to a moment, up to an hour; arXiv 2407.15754",
    "lvb_val.json, lvb_test_wo_gt.json or the parquet; `videos/`, `subtitles/`",
    read,
    submit=_submit,
)
