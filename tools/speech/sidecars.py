"""The subtitle files that belong to a video, by the names that players accept.

`film.srt`, `film.en.srt`, `film.English.srt`, `film_en.srt`, `film.mp4.srt`, `film.default.en.srt`,
and in a folder Subs or Subtitles the same, or `Subs/film/2_English.srt` and, where there is one
video only, `Subs/2_English.srt`.
"""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from time import time_ns

from tools.media.folders import SUFFIXES as MEDIA
from tools.media.languages import code_of

PICTURES = (".sup", ".idx")
SUFFIXES = (
    *(".srt", ".vtt", ".ass", ".ssa", ".ttml", ".dfxp", ".sbv", ".lrc", ".smi", ".sami", ".sub"),
    *PICTURES,
)
FOLDERS = frozenset({"subs", "sub", "subtitles", "subtitle"})
ROLES = frozenset({"auto", "cc", "commentary", "default", "forced", "foreign", "full", "sdh"})
ROLES |= {"signs", "songs", "sub", "subs", "subtitles"}
PARTIAL = frozenset({"forced", "foreign", "signs", "songs"})  # not all that is said

SETTLED_NS = 2 * 10**9
"""Age from which a folder's modification time is trusted to reflect every change."""

_PARTS = re.compile(r"[\s._()\[\]-]+")


@dataclass(frozen=True, slots=True)
class Sidecar:
    """A subtitle file that belongs to a video, and what its name says."""

    path: Path
    language: str = ""
    roles: frozenset[str] = frozenset()

    @property
    def forced(self) -> bool:
        """Whether it holds only foreign-language passages, signs or songs."""
        return bool(self.roles & PARTIAL)


@dataclass(frozen=True, slots=True)
class Beside:
    """The subtitle files beside a video: those that belong to it, best first, and the others."""

    belong: tuple[Sidecar, ...]
    unclear: tuple[Path, ...]


def look_beside(video: Path) -> Beside:
    """Return the subtitle files near a video whose names begin as its own, or in its Subs folder.

    Raises:
        OSError: The folder cannot be listed.
    """
    near = _listing(video.parent, video.stem)
    # `talk.cut.srt` belongs to `talk.cut.mp4`, if there is one, and not to `talk.mp4`.
    others = {path.stem for path in near.files if path.suffix.lower() in MEDIA} - {video.stem}
    files = [path for path in near.files if not any(_begins(path.name, one) for one in others)]
    named = [(path, path.stem[len(video.stem) :]) for path in files]
    for folder in near.folders:
        if folder.name.lower() not in FOLDERS:
            continue
        named += list(_in_folder(folder, video, alone=near.videos == 1))
    wanted = [(path, rest) for path, rest in named if path.suffix.lower() in SUFFIXES]
    read = {path: _read_name(path, rest, video.suffix) for path, rest in _without_pairs(wanted)}
    belong = [one for one in read.values() if one is not None]
    return Beside(
        tuple(sorted(belong, key=lambda one: _rank(one, video))),
        tuple(path for path, one in read.items() if one is None),
    )


def _in_folder(folder: Path, video: Path, alone: bool) -> Iterator[tuple[Path, str]]:
    """Yield the files of a Subs folder with what their names say beside the video's own."""
    own = _listing(folder, video.stem)
    for path in own.files:
        yield path, path.stem[len(video.stem) :]
    for inner in own.folders:
        if inner.name == video.stem:
            yield from ((path, f".{path.stem}") for path in _listing(inner, "").files)
    if alone:
        rest = set(_listing(folder, "").files) - set(own.files)
        yield from ((path, f".{path.stem}") for path in sorted(rest))


def _without_pairs(named: Sequence[tuple[Path, str]]) -> Iterator[tuple[Path, str]]:
    """Leave out the .sub of an .idx: the two are one source."""
    indexes = {path.with_suffix("") for path, _ in named if path.suffix.lower() == ".idx"}
    for path, rest in named:
        if path.suffix.lower() != ".sub" or path.with_suffix("") not in indexes:
            yield path, rest


def _read_name(path: Path, rest: str, suffix: str) -> Sidecar | None:
    """Return what a name says after the video's, None if a part of it says something else.

    Args:
        path: The file.
        rest: Its name without that of the video and its own ending: ".en.forced".
        suffix: The video's own ending, which some programs leave in.
    """
    language, roles, numbered = "", set[str](), False
    stripped = (part.strip(" _-()[]") for part in rest.split("."))
    parts = [part for part in stripped if part]
    if parts and f".{parts[0]}".lower() == suffix.lower():
        del parts[0]
    for part in _finest(parts):
        word = part.lower()
        if word in ROLES or (language and word == "hi"):
            roles.add(word)
        elif code_of(part):
            language = language or part
        elif part.isdigit():
            numbered = True
        else:
            return None
    if numbered and not language and not roles:
        return None  # `film.2.srt` may belong to a second film
    return Sidecar(path, language, frozenset(roles))


def _finest(parts: Sequence[str]) -> Iterator[str]:
    """Yield a part whole where it is a language ("pt-BR", "Brazilian Portuguese"), else split."""
    for part in parts:
        if part.lower() in ROLES or code_of(part):
            yield part
        else:
            yield from filter(None, _PARTS.split(part))


def _rank(one: Sidecar, video: Path) -> tuple[bool, bool, bool, bool, int, str]:
    plain = one.path.stem == video.stem
    ending = SUFFIXES.index(one.path.suffix.lower())
    near = one.path.parent == video.parent
    return (
        one.forced or "commentary" in one.roles,
        not plain,
        "default" not in one.roles,
        not near,
        ending,
        one.path.name,
    )


@dataclass(frozen=True, slots=True)
class _Listing:
    """What a folder holds that matters: files named alike, folders, and how many videos."""

    files: tuple[Path, ...]
    folders: tuple[Path, ...]
    videos: int


def _listing(folder: Path, stem: str) -> _Listing:
    """Return the files whose names begin with `stem`.

    The listing is cached until the folder's modification time changes. Since that time is coarse, a
    folder that has just changed is listed again.
    """
    changed_ns = folder.stat().st_mtime_ns
    if time_ns() - changed_ns < SETTLED_NS:
        return _list(folder, stem)
    return _settled(folder, stem, changed_ns)


@lru_cache(maxsize=256)
def _settled(folder: Path, stem: str, changed_ns: int) -> _Listing:
    return _list(folder, stem)


def _list(folder: Path, stem: str) -> _Listing:
    files, folders, videos = [], [], 0
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                if entry.name.lower() in FOLDERS or entry.name == stem:
                    folders.append(Path(entry.path))
            elif entry.is_file():
                videos += Path(entry.name).suffix.lower() in MEDIA
                if _begins(entry.name, stem):
                    files.append(Path(entry.path))
    return _Listing(tuple(sorted(files)), tuple(sorted(folders)), videos)


def _begins(name: str, stem: str) -> bool:
    """Whether a name is a stem and something behind a separator."""
    return not stem or (name.startswith(stem) and bool(_PARTS.match(name, len(stem))))
