"""Find the videos of folders, whatever their links do."""

import logging
import os
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path

from tools.errors import InputError

# Suffixes of containers with pictures or sound that PyAV reads. A file named by the user is taken
# whatever its suffix; in a folder others are texts, pictures and data, which PyAV would open too.
VIDEO = (
    *("3g2", "3gp", "asf", "avi", "divx", "dv", "f4v", "flv", "gif", "ivf", "m1v", "m2t", "m2ts"),
    *("m2v", "m4v", "mj2", "mk3d", "mkv", "mov", "mp4", "mpe", "mpeg", "mpg", "mts", "mxf", "nut"),
    *("ogm", "ogv", "qt", "rm", "rmvb", "ts", "vob", "webm", "wmv", "y4m"),
)
SOUND = (
    *("aac", "ac3", "aif", "aiff", "amr", "ape", "au", "caf", "flac", "m4a", "m4b", "mka", "mp2"),
    *("mp3", "oga", "ogg", "opus", "wav", "wma", "wv"),
)
SUFFIXES = frozenset(f".{suffix}" for suffix in (*VIDEO, *SOUND))
log = logging.getLogger(__name__)


def is_folder(path: Path) -> bool:
    """Whether a path is a folder; False where that cannot be told, as for a name too long."""
    return os.path.isdir(path)  # noqa: PTH112 - `Path.is_dir` raises there


def find_videos(places: Iterable[Path]) -> list[Path]:
    """Return the files named and the video and sound files below the folders named.

    Each folder is entered once, however many links lead there; hidden files and folders are left
    out. The order is that of the places, and by path within a folder.

    Raises:
        InputError: A place does not exist, or there is no video at all.
    """
    found: dict[Path, None] = {}
    places = list(places)
    for place in places:
        if is_folder(place):
            found |= dict.fromkeys(sorted(_below(place)))
        elif os.path.exists(place):  # noqa: PTH110 - likewise
            found[place] = None
        else:
            raise InputError(f"there is no file or folder {place}; check the path")
    if not found:
        names = ", ".join(map(str, places)) or "nothing"
        raise InputError(
            f"no video in {names}; a folder's videos are known by their suffix, so name files "
            f"with another one themselves"
        )
    return list(found)


def _below(top: Path) -> Iterator[Path]:
    """Yield the videos below a folder; links to folders come last, so real names win."""
    ahead, seen = deque([top]), set()
    while ahead:
        folder = ahead.popleft()
        try:
            about = folder.stat()
            if (about.st_dev, about.st_ino) in seen:
                continue
            seen.add((about.st_dev, about.st_ino))
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            log.warning("%s cannot be read and is left out: %s", folder, error.strerror)
            continue
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                (ahead.append if entry.is_symlink() else ahead.appendleft)(folder / entry.name)
            elif entry.is_file() and Path(entry.name).suffix.lower() in SUFFIXES:
                yield folder / entry.name
