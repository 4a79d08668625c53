"""Sampled frames on disk: one decode pass that serves every visual tool."""

import errno
import json
import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tools.errors import InputError, StoppedError, StorageError
from tools.media.detail import loses_detail, shrunk
from tools.media.jpeg import encode_jpeg
from tools.media.picture_stats import COLOUR_NAMES as COLOUR_NAMES
from tools.media.picture_stats import (
    Luma,
    brightness,
    colour_shares,
    compared_luma,
    motion,
    show_the_same,
)
from tools.media.video import Frame, RGBImage, VideoReader

log = logging.getLogger(__name__)

INDEX = "index.json"
INDEX_VERSION = 1
JPEG_QUALITY = 92  # text stays legible for OCR; about 150 kB a 720p picture


@dataclass(frozen=True, slots=True)
class StoredFrame:
    """One distinct picture, and how long it stayed on screen.

    Attributes:
        number: Position among the distinct frames, from 0.
        start_s: When it was first sampled.
        end_s: When the next distinct frame was sampled, or the end of the video.
        path: JPEG file.
        detail: The same larger, if that shows detail such as small letters; else None.
    """

    number: int
    start_s: float
    end_s: float
    path: Path
    detail: Path | None = None

    def image(self) -> RGBImage:
        """Read the picture, RGB. Raises `StorageError` when the file is gone or damaged."""
        return np.ascontiguousarray(self.bgr()[..., ::-1])

    def bgr(self, *, detailed: bool = False) -> npt.NDArray[np.uint8]:
        """Read the picture, BGR as in OpenCV; raises as `image` does.

        Args:
            detailed: Read the larger one, where there is one.
        """
        import cv2

        path = (detailed and self.detail) or self.path
        with _storage(path.parent):
            data = np.frombuffer(path.read_bytes(), np.uint8)
        picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
        if picture is None:
            raise StorageError(f"{path} is no picture any more; delete its folder, run again")
        return np.asarray(picture)


@dataclass(frozen=True, slots=True)
class Sample:
    """Measurements of one sampled picture, near-duplicates included.

    Attributes:
        time_s: When it appears.
        frame: `StoredFrame.number` of the distinct frame that represents it.
        brightness: Mean luma, 0 to 1.
        motion: Mean absolute luma difference to the previous sample, 0 to 1.
        colours: Share of each colour bin (see COLOUR_NAMES), sums to 1.
    """

    time_s: float
    frame: int
    brightness: float
    motion: float
    colours: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class FrameSet:
    """The distinct frames of a video and the measurements of every sample, in time order."""

    folder: Path
    duration_s: float
    frames: tuple[StoredFrame, ...]
    samples: tuple[Sample, ...]


def sample_frames(
    reader: VideoReader,
    folder: Path,
    duration_s: float,
    step_s: float,
    progress: Callable[[float, float], None] = lambda done_s, total_s: None,
    stopped: Callable[[], bool] = lambda: False,
    max_side: int | None = None,
) -> FrameSet:
    """Decode once, store distinct frames as JPEG, and publish the folder atomically.

    One caller per folder at a time, ensured by the library's claim. Leftovers of an earlier, killed
    run for the folder are removed first.

    Args:
        reader: Source of the frames; its `max_side` bounds pictures with detail.
        folder: Where the set is published; replaced if it exists.
        duration_s: Length of the video in seconds.
        step_s: Seconds between two samples.
        progress: Called with (seconds of video done, seconds in all).
        stopped: Called before each sample; True once the user pressed Stop.
        max_side: Bound of the JPEGs in pixels. A picture that loses detail by it is also stored as
            it came from the reader.

    Raises:
        InputError: No frame decodes.
        StorageError: The folder cannot be written, or the disk is full.
        StoppedError: The user pressed Stop; nothing is published.
    """
    part = folder.with_name(f".{folder.name}.part")
    with _storage(folder):
        _remove(part)
        part.mkdir(parents=True)
    try:
        kept = _Kept(part, max_side)
        for frame in reader.every(step_s):
            if stopped():
                raise StoppedError
            kept.add(frame)
            progress(min(frame.time_s, duration_s), duration_s)
        if not kept.samples:
            raise InputError("no picture of the video decodes; convert it to MP4 (H.264, AAC)")
        with _storage(folder):
            _write_index(part, duration_s, kept)
            _remove(folder)
            part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    progress(duration_s, duration_s)
    return FrameSet(folder, duration_s, _spans(folder, duration_s, kept), tuple(kept.samples))


def load_frames(folder: Path) -> FrameSet | None:
    """Return the published frame set, or None when there is none or it is damaged."""
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        return _from_json(folder, index)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        log.warning("A set of sampled frames is damaged and is made anew: %r", error)
        return None


class _Kept:
    """The distinct frames so far; only two frames are in memory, at reduced size."""

    def __init__(self, folder: Path, max_side: int | None) -> None:
        self._folder = folder
        self._max_side = max_side
        self._distinct: Luma | None = None
        self._previous: Luma | None = None
        self.starts_s: list[float] = []
        self.detailed: list[bool] = []
        self.samples: list[Sample] = []

    def add(self, frame: Frame) -> None:
        """Measure a sample, and write its picture if it differs from the last one written.

        Comparing with that one, not with the previous sample, detects slow changes.
        """
        size = None if self._distinct is None else self._distinct.shape[::-1]
        luma = compared_luma(frame.image, size)
        if self._distinct is None or not show_the_same(luma, self._distinct):
            self._write(frame.image)
            self._distinct = luma
            self.starts_s.append(frame.time_s)
        moved = 0.0 if self._previous is None else motion(luma, self._previous)
        self._previous = luma
        self.samples.append(
            Sample(
                frame.time_s,
                len(self.starts_s) - 1,
                round(brightness(luma), 6),
                round(moved, 6),
                colour_shares(frame.image),
            )
        )

    def _write(self, image: RGBImage) -> None:
        number = len(self.starts_s)
        small = shrunk(image, self._max_side)
        detailed = small is not image and loses_detail(image, small.shape[1] / image.shape[1])
        self.detailed.append(detailed)
        with _storage(self._folder):
            file = self._folder / _file_name(number)
            file.write_bytes(encode_jpeg(small, JPEG_QUALITY))
            if detailed:
                file = self._folder / _file_name(number, detailed=True)
                file.write_bytes(encode_jpeg(image, JPEG_QUALITY))


def _file_name(number: int, *, detailed: bool = False) -> str:
    return f"{number:06d}{'-detail' if detailed else ''}.jpg"


def _spans(folder: Path, duration_s: float, kept: _Kept) -> tuple[StoredFrame, ...]:
    starts = kept.starts_s
    ends = [*starts[1:], max(duration_s, kept.samples[-1].time_s)]
    return tuple(
        StoredFrame(
            number,
            start_s,
            end_s,
            folder / _file_name(number),
            folder / _file_name(number, detailed=True) if detailed else None,
        )
        for number, (start_s, end_s, detailed) in enumerate(
            zip(starts, ends, kept.detailed, strict=True)
        )
    )


def _write_index(part: Path, duration_s: float, kept: _Kept) -> None:
    frames = _spans(part, duration_s, kept)
    index = {
        "version": INDEX_VERSION,
        "duration_s": duration_s,
        "colour_names": COLOUR_NAMES,
        "frames": [
            {
                "start_s": frame.start_s,
                "end_s": frame.end_s,
                "file": frame.path.name,
                "detail": frame.detail.name if frame.detail else None,
            }
            for frame in frames
        ],
        "samples": [asdict(sample) for sample in kept.samples],
    }
    (part / INDEX).write_text(json.dumps(index), encoding="utf-8")


def _from_json(folder: Path, index: dict[str, Any]) -> FrameSet:
    if index["version"] != INDEX_VERSION or tuple(index["colour_names"]) != COLOUR_NAMES:
        raise ValueError("written by another version")
    there = {path.name for path in folder.iterdir()}
    files = {one.get(kind) for one in index["frames"] for kind in ("file", "detail")}
    missing = files - there - {None}
    if missing:
        raise ValueError(f"{len(missing)} pictures are missing")
    frames = tuple(
        StoredFrame(
            number,
            entry["start_s"],
            entry["end_s"],
            folder / entry["file"],
            folder / entry["detail"] if entry.get("detail") else None,
        )
        for number, entry in enumerate(index["frames"])
    )
    samples = tuple(
        Sample(**{**entry, "colours": tuple(entry["colours"])}) for entry in index["samples"]
    )
    return FrameSet(folder, index["duration_s"], frames, samples)


def _remove(folder: Path) -> None:
    """Delete a folder, index first: a kill in between leaves no set that looks complete."""
    (folder / INDEX).unlink(missing_ok=True)
    if folder.exists():
        shutil.rmtree(folder)


@contextmanager
def _storage(folder: Path) -> Iterator[None]:
    """Turn an `OSError` into a `StorageError` that names the remedy."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            problem = "the disk is full; free some space"
        else:
            problem = f"it cannot be written or read ({error.strerror or error})"
        raise StorageError(
            f"frames cannot be kept in {folder}: {problem}, or set another library folder with "
            "--set library=DIR or REELGRAPH_LIBRARY"
        ) from error
