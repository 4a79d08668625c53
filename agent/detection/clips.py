"""A labelled set of clips: two folders or a manifest, split by source, checked for duplicates."""

import csv
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import combinations
from pathlib import Path

import numpy as np

from agent.graph import find_video
from agent.library.store import Library
from tools.errors import InputError
from tools.media.readers import open_video
from tools.media.video import Video

SUFFIXES = frozenset({".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".mpg", ".mpeg", ".ts"})
HASHED = 5  # frames of a clip
NEAR = 5  # bits of 64 in which the hashes of near-duplicates differ at most, on average
FLAT = 4.0  # grey levels; a flatter picture has no hash to compare


@dataclass(frozen=True, slots=True)
class LabelledClip:
    """A clip whose label is known.

    Attributes:
        path: The file.
        positive: Whether it is positive.
        group: Source and generator: clips of one group stay in one split.
        generator: What made it, as far as the manifest says.
        split: As the manifest says; "" leaves it to us.
        sha256: Hash of its content.
    """

    path: Path
    positive: bool
    group: str = ""
    generator: str = ""
    split: str = ""
    sha256: str = ""


def from_folders(negative: Path, positive: Path) -> list[LabelledClip]:
    """Return the clips of two folders; a subfolder is a source.

    Raises:
        InputError: A folder is missing or holds no clip.
    """
    found = []
    for folder, label in ((negative, False), (positive, True)):
        clips = clips_in(folder)
        for clip in clips:
            parts = clip.relative_to(folder).parts
            group = f"{label}/{parts[0]}" if len(parts) > 1 else ""
            found.append(LabelledClip(clip, label, group))
    return found


def clips_in(folder: Path) -> list[Path]:
    """Return the clips of a folder, sorted. `InputError` when there are none."""
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}; name one with clips")
    clips = sorted(f for f in folder.rglob("*") if f.suffix.lower() in SUFFIXES and f.is_file())
    if not clips:
        raise InputError(f"{folder} holds no clip; expected {', '.join(sorted(SUFFIXES))}")
    return clips


def from_manifest(file: Path, labels: Mapping[str, bool]) -> list[LabelledClip]:
    """Return the clips of a CSV or JSONL file with the columns path and label.

    Further columns: source, generator, split. A path is relative to the manifest.

    Args:
        file: The manifest.
        labels: Whether a label is positive, by label.
    """
    try:
        rows = list(_rows(file))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, csv.Error) as error:
        raise InputError(f"{file} is no CSV or JSONL file in UTF-8; check it") from error
    found = []
    for number, row in enumerate(rows, 1):
        label = str(row.get("label", "")).strip()
        if not row.get("path") or label not in labels:
            raise InputError(
                f"row {number} of {file.name}: expected a path and one of the labels "
                f"{', '.join(labels)}, got {label!r}"
            )
        named = {k: str(row.get(k) or "") for k in ("source", "generator", "split")}
        group = "/".join(filter(None, (named["source"], named["generator"])))
        path = file.parent / str(row["path"])
        clip = LabelledClip(path, labels[label], group, named["generator"], named["split"])
        found.append(clip)
    return found


def _rows(file: Path) -> Iterator[Mapping[str, object]]:
    text = file.read_text(encoding="utf-8-sig")
    if file.suffix.lower() == ".jsonl":
        yield from (json.loads(line) for line in text.splitlines() if line.strip())
    else:
        yield from csv.DictReader(text.splitlines())


def prepare(
    clips: Sequence[LabelledClip],
    shares: Mapping[str, float],
    library: Library,
    *,
    one_label: bool = False,
) -> list[LabelledClip]:
    """Return the clips with hash and split, after all checks.

    Args:
        clips: Labelled clips.
        shares: Share of each split, in order; they sum to 1.
        library: Keeps the probes.
        one_label: Whether clips of one label are enough, as where no label is used.

    Raises:
        InputError: One class only, a file that is no video, or the same or nearly the same clip
            in two splits or classes.
    """
    counts = Counter(clip.positive for clip in clips)
    if len(counts) < 2 and not one_label:
        have = "positive" if counts[True] else "negative"
        raise InputError(f"all clips are {have}; calibration needs clips of both labels")
    videos = [find_video(clip.path, library) for clip in clips]
    hashed = [
        replace(clip, sha256=video.sha256, group=clip.group or video.sha256)
        for clip, video in zip(clips, videos, strict=True)
    ]
    placed = assign(hashed, shares)
    refuse_duplicates(placed, [fingerprint(video) for video in videos])
    return placed


def assign(clips: Sequence[LabelledClip], shares: Mapping[str, float]) -> list[LabelledClip]:
    """Assign whole groups to splits, each class by itself, in the order of their hashes."""
    splits: dict[tuple[bool, str], str] = {}
    for label in (True, False):
        sizes = Counter(c.group for c in clips if c.positive == label and not c.split)
        order = sorted(sizes, key=lambda group: sha256(group.encode()).hexdigest())
        done, total = 0, sum(sizes.values())
        for group in order:
            splits[label, group] = _split_at((done + sizes[group] / 2) / total, shares)
            done += sizes[group]
    return [
        clip if clip.split else replace(clip, split=splits[clip.positive, clip.group])
        for clip in clips
    ]


def _split_at(place: float, shares: Mapping[str, float]) -> str:
    end, names = 0.0, list(shares)
    for name in names:
        end += shares[name]
        if place <= end:
            return name
    return names[-1]


Fingerprint = tuple[int | None, ...]


def fingerprint(video: Video) -> Fingerprint:
    """Return a difference hash of 64 bits of five evenly spaced frames; None of a flat one."""
    if not video.has_picture:
        return ()
    times = [video.duration_s * (k + 0.5) / HASHED for k in range(HASHED)]
    return tuple(_hash(frame.image) for frame in open_video(video, max_side=128).at(times))


def _hash(image: "np.ndarray") -> int | None:
    import cv2

    small = cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (9, 8), interpolation=3).astype(int)
    if small.std() < FLAT:
        return None
    bits = (small[:, 1:] > small[:, :-1]).ravel()
    return int("".join("1" if bit else "0" for bit in bits), 2)


def near(a: Fingerprint, b: Fingerprint) -> bool:
    """Whether two clips are nearly the same: a copy, re-encoded or resized."""
    pairs = [(x, y) for x, y in zip(a, b, strict=False) if x is not None and y is not None]
    if len(pairs) < 2:
        return False
    return sum((x ^ y).bit_count() for x, y in pairs) / len(pairs) <= NEAR


def refuse_duplicates(clips: Sequence[LabelledClip], prints: Sequence[Fingerprint]) -> None:
    """Raise `InputError` where two splits or classes hold the same or nearly the same clip."""
    for (a, x), (b, y) in combinations(zip(clips, prints, strict=True), 2):
        same = a.sha256 == b.sha256
        if (a.split, a.positive) != (b.split, b.positive) and (same or near(x, y)):
            how = "the same" if same else "nearly the same"
            raise InputError(
                f"{a.path.name} and {b.path.name} are {how} clip in two splits or labels, so any "
                f"score would be inflated; remove one, or give both the same source"
            )


def set_hash(clips: Sequence[LabelledClip]) -> str:
    """Return a hash of a labelled set, independent of order and names."""
    lines = sorted(f"{clip.sha256} {clip.positive} {clip.split}" for clip in clips)
    return sha256("\n".join(lines).encode()).hexdigest()
