"""Video-MME-v2 (MME-Benchmarks/Video-MME-v2): eight options, four linked questions a video.

The score is that of the groups: see `agent.evaluation.groups`. Subtitles are one JSON line a word.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from agent.evaluation.task import Benchmark, Item, Sources
from agent.tasks.choices import choice_item, choices_of, split_question
from agent.tasks.files import Values, Videos, beside, need, question_files, read_rows, text
from tools.speech.cues import Cue

PAUSE_S = 0.5  # a longer one ends a line of subtitles
LINE_S = 8.0  # and so does this length
CATEGORIES = ("level", "second_head", "third_head")


def read(sources: Sources) -> list[Item]:
    """Return the questions, those of a video in their order."""
    file = question_files(sources.path, "test*.parquet", "*.parquet", "*.jsonl", "*.json")[0]
    videos = Videos(sources.videos)
    rows = read_rows(file)
    first: dict[str, int] = {}
    for number, row in enumerate(rows):
        first.setdefault(text(row, file, "video_id"), number)
    rows.sort(key=lambda row: (first[text(row, file, "video_id")], _order(row, file)))
    return [_item(row, file, videos, sources) for row in rows]


def _order(row: Values, file: Path) -> int:
    last = text(row, file, "question_id").rpartition("-")[2]
    return int(last) if last.isdigit() else 0


def _item(row: Values, file: Path, videos: Videos, sources: Sources) -> Item:
    video = text(row, file, "video_id")
    options = need(row, file, "options")
    if isinstance(options, str):
        options = split_question(f"\n{options}".replace("\n", "-\n", 1))[1]
    media, note = videos.find(video), ""
    if sources.subtitles:
        folder = sources.path if sources.path.is_dir() else sources.path.parent
        places = [p / sub for p in (sources.videos, folder) for sub in ("subtitle", "subtitles")]
        found = beside([*places, sources.videos.parent / "subtitle"], f"{video}.jsonl")
        note = "" if found else "it has no subtitle file"
        media = replace(media, cues=partial(_cues, found) if found else None)
    item = choice_item(
        text(row, file, "question_id"),
        video,
        media,
        text(row, file, "question"),
        choices_of(options),
        row.get("answer"),
        {
            "group": (text(row, file, "group_type"),),
            "structure": (str(row.get("group_structure") or ""),),
            **{name.replace("_", " "): (str(row[name]),) for name in CATEGORIES if row.get(name)},
        },
    )
    return replace(item, note="; ".join(filter(None, (item.note, note))))


def _cues(file: Path, duration_s: float) -> Sequence[Cue]:
    """Join words to lines."""
    cues: list[Cue] = []
    for row in read_rows(file):
        start_s, end_s = float(row["start_time"]), float(row["end_time"])
        last = cues[-1] if cues else None
        if last and start_s - last.end_s <= PAUSE_S and end_s - last.start_s <= LINE_S:
            cues[-1] = Cue(last.start_s, end_s, (f"{last.text} {row['text']}",))
        else:
            cues.append(Cue(start_s, end_s, (str(row["text"]),)))
    return cues


BENCHMARK = Benchmark(
    "video-mme-v2",
    "Video-MME-v2: eight options, four linked questions a video, scored together",
    "test.parquet; `VIDEO_ID.mp4`, `subtitle/VIDEO_ID.jsonl`",
    read,
    mean="groups",
)
