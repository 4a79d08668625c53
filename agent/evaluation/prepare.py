"""Turn the items of a benchmark into rows about ordinary files, for the agent as it is.

Every video is put into a folder of its own below the output: a link to the file, or the part that
is asked about, with the subtitles beside it where they are given. So a subtitle file that lies
beside the benchmark's videos is used only where it shall be.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path

from agent.batch.records import Row
from agent.evaluation.task import Item, Media
from tools.errors import InputError, StorageError
from tools.media.cut import cut, join_pictures
from tools.media.video import probe
from tools.speech.cues import Cue

PICTURES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})
TRACK_S = 86_400.0  # subtitles are asked for so many seconds where nothing needs the length
_DIGITS = re.compile(r"(\d+)")


def prepare_rows(
    items: Sequence[Item], folder: Path, on_item: Callable[[int], None] = lambda done: None
) -> list[Row]:
    """Return a row for each item; what is there from an earlier run is not made again.

    Args:
        items: The items of a benchmark.
        folder: Where the prepared files go.
        on_item: Called with the number of items done.

    Returns:
        The rows in the order of the items. One whose media cannot be prepared has its `error` set.

    Raises:
        StorageError: The folder cannot be written.
    """
    rows, made = [], dict[str, Path | str]()
    for number, item in enumerate(items, 1):
        key = _key(item.media)
        if key not in made:
            made[key] = _prepare(item.media, folder / key)
        ready = made[key]
        if isinstance(ready, str):
            rows.append(Row(item.id, item.media.file or Path(), item.question, ready))
        else:
            rows.append(Row(item.id, ready, item.question))
        on_item(number)
    return rows


def natural_order(paths: Iterator[Path]) -> list[Path]:
    """Return paths in the order of the numbers in their names: 2 before 10."""
    return sorted(
        paths, key=lambda p: [int(s) if s.isdigit() else s for s in _DIGITS.split(p.name)]
    )


def _prepare(media: Media, folder: Path) -> Path | str:
    """Return the prepared file of some media, or why there is none."""
    try:
        video = _video(media, folder)
        _write_subtitles(media, video)
    except InputError as error:
        return str(error)
    except OSError as error:
        raise StorageError(
            f"{folder} cannot be written ({error.strerror}); free some space or give another --out"
        ) from error
    return video


def _video(media: Media, folder: Path) -> Path:
    if media.file is None:
        raise InputError(media.why)
    source, made = media.file.absolute(), folder / f"{media.file.stem}.mp4"
    if source.is_dir():
        pictures = _within(media, natural_order(_pictures(source)))
        if not made.exists():
            join_pictures(pictures, media.frame_rate, made)
    elif source.suffix.lower() in PICTURES:
        if not made.exists():
            join_pictures([source], media.frame_rate, made)
    elif media.clip:
        if not made.exists():
            cut(source, media.clip.start_s, media.clip.end_s, made)
    else:
        return _link(source, folder / source.name)
    return made


def _within(media: Media, pictures: list[Path]) -> list[Path]:
    """Return the pictures of a folder that lie within the clip."""
    if media.clip is None:
        return pictures
    first = int(media.clip.start_s * media.frame_rate)
    return pictures[first : max(first + 1, int(media.clip.end_s * media.frame_rate))]


def _pictures(folder: Path) -> Iterator[Path]:
    return (path for path in folder.iterdir() if path.suffix.lower() in PICTURES)


def _link(source: Path, link: Path) -> Path:
    if not source.is_file():
        raise InputError(f"there is no file {source}; check the folder of the videos")
    link.parent.mkdir(parents=True, exist_ok=True)
    if not (link.is_symlink() and link.readlink() == source):
        link.unlink(missing_ok=True)
        link.symlink_to(source)
    return link


def _write_subtitles(media: Media, video: Path) -> None:
    """Write the subtitles beside a video, under its name."""
    beside = video.with_suffix(".srt")
    if media.subtitles:
        _link(media.subtitles.absolute(), video.with_suffix(media.subtitles.suffix))
    elif media.cues and not beside.exists():
        duration_s = probe(video).duration_s
        cues = [cue for cue in media.cues(duration_s) if cue.end_s > 0 and cue.start_s < duration_s]
        new = beside.with_name(f".{beside.name}.new")
        new.write_text("\n".join(_srt(cues)), encoding="utf-8")
        new.replace(beside)


def _srt(cues: Sequence[Cue]) -> Iterator[str]:
    for number, cue in enumerate(cues, 1):
        yield f"{number}\n{_time(max(0.0, cue.start_s))} --> {_time(cue.end_s)}\n{cue.text}\n"


def _time(seconds: float) -> str:
    whole, milliseconds = divmod(round(seconds * 1000), 1000)
    minutes, second = divmod(whole, 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{second:02},{milliseconds:03}"


def _key(media: Media) -> str:
    """Return a short name of some media: other times or subtitles have another."""
    cues = media.cues(TRACK_S) if media.cues else None
    parts = (str(media.file and media.file.absolute()), media.why, media.clip, media.frame_rate)
    given = str(media.subtitles and media.subtitles.absolute())
    return sha256(repr((*parts, given, cues)).encode()).hexdigest()[:12]
