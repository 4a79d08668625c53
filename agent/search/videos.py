"""Which videos a search is about, and what they are called in its results."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.graph import find_video
from agent.library.store import Library, stat_of
from tools.errors import InputError

HASH_DIGITS = 8  # in a name, where two videos have the same path


@dataclass(frozen=True, slots=True)
class Recognised:
    """The videos of some files.

    Attributes:
        known: Hash of each file that the library has evidence of.
        unknown: The other files.
    """

    known: Mapping[Path, str]
    unknown: tuple[Path, ...]


def recognise(files: Sequence[Path], library: Library) -> Recognised:
    """Find the files' videos in the library, also under another name than they were added by.

    A file is known again by path, size and time; else it is hashed if a known one has its size.
    """
    indexed = set(library.latest_runs().values())
    hashes = {file: _hash(file, library) for file in files}
    known = {file: sha256 for file, sha256 in hashes.items() if sha256 in indexed}
    return Recognised(known, tuple(file for file in files if file not in known))


def _hash(file: Path, library: Library) -> str:
    path = file.expanduser().absolute()
    if video := library.known_file(path):
        return video.sha256
    stat = stat_of(path)
    if stat is None or not library.knows_size(stat.st_size):
        return ""
    try:
        return find_video(path, library).sha256
    except InputError:  # a broken file; whoever indexes it is told why
        return ""


def names(paths: Mapping[str, Path]) -> dict[str, str]:
    """Return a distinct name for each video: its file's, with as many folders as that takes.

    Args:
        paths: Path of each video by its hash.

    >>> names({"1": Path("/a/x.mp4"), "2": Path("/b/x.mp4"), "3": Path("/b/y.mp4")})
    {'1': 'a/x.mp4', '2': 'b/x.mp4', '3': 'y.mp4'}
    """
    found: dict[str, str] = {}
    parts, open_ones = 1, dict(paths)
    while open_ones:
        longest = all(parts >= len(path.parts) for path in open_ones.values())
        tried = {sha: "/".join(path.parts[-parts:]) for sha, path in open_ones.items()}
        same = _by_name(tried)
        for name, hashes in same.items():
            if len(hashes) == 1:
                found[hashes[0]] = name
            elif longest:
                found |= {sha: f"{name} ({sha[:HASH_DIGITS]})" for sha in hashes}
        open_ones = {sha: path for sha, path in open_ones.items() if sha not in found}
        parts += 1
    return {sha: found[sha] for sha in paths}


def _by_name(tried: Mapping[str, str]) -> dict[str, list[str]]:
    same: defaultdict[str, list[str]] = defaultdict(list)
    for sha, name in tried.items():
        same[name].append(sha)
    return same


def runs_of(videos: Iterable[str], latest: Mapping[int, str]) -> list[int]:
    """Return the runs of some videos, of those that `Library.latest_runs` returns."""
    wanted = set(videos)
    return [run for run, video in latest.items() if video in wanted]
