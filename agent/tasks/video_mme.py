"""Video-MME (Fu et al., arXiv 2405.21075): 2,700 questions with four options to 900 videos.

Read as the data set's parquet (one row a question) or as the JSON of the official evaluation (one
object a video, `questions` inside). `duration` is a word. Videos are named by their YouTube id.
"""

from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from agent.evaluation.task import Benchmark, Item, Media, Sources
from agent.tasks.choices import choice_item, choices_of
from agent.tasks.files import Values, Videos, beside, need, question_files, read_rows, text

CATEGORIES = ("duration", "domain", "sub_category", "task_type")


def read(sources: Sources) -> list[Item]:
    """Return the questions."""
    file = question_files(
        sources.path, "videomme/test-*.parquet", "test-*.parquet", "*.parquet", "*.json"
    )[0]
    videos = Videos(sources.videos)
    rows = read_rows(file)
    flat = [{**row, **one} for row in rows for one in row.get("questions", [{}])]
    return [_item(row, file, videos, sources) for row in flat]


def _item(row: Values, file: Path, videos: Videos, sources: Sources) -> Item:
    names = _names(row, file)
    media = videos.find(*names)
    note = ""
    if sources.subtitles:
        media, note = _with_subtitles(media, names, sources)
    item = choice_item(
        text(row, file, "question_id"),
        text(row, file, "video_id"),
        media,
        text(row, file, "question"),
        choices_of(need(row, file, "options")),
        row.get("answer"),
        {name.replace("_", " "): (str(row[name]),) for name in CATEGORIES if row.get(name)},
    )
    return replace(item, note="; ".join(filter(None, (item.note, note))))


def _names(row: Values, file: Path) -> list[str]:
    """Return how the video may be called, most likely first."""
    url = str(row.get("url") or "")
    in_url = parse_qs(urlsplit(url).query).get("v", [url.rpartition("/")[2]])
    names = [str(row.get("videoid") or ""), *in_url, text(row, file, "video_id")]
    return list(dict.fromkeys(name for name in names if name))


def _with_subtitles(media: Media, names: list[str], sources: Sources) -> tuple[Media, str]:
    folder = sources.path if sources.path.is_dir() else sources.path.parent
    places = [
        place / sub for place in (sources.videos, folder) for sub in ("subtitle", "subtitles")
    ]
    places += [sources.videos.parent / "subtitle"]
    found = beside(places, *(f"{name}.srt" for name in names))
    return replace(media, subtitles=found), "" if found else "it has no subtitle file"


BENCHMARK = Benchmark(
    "video-mme",
    "Video-MME: four options, videos of 11 seconds to an hour; arXiv 2405.21075",
    "test-*.parquet or the official JSON; `video/ID.mp4`, `subtitle/ID.srt`",
    read,
)
