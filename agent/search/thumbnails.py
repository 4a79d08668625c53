"""Thumbnails of moments: small JPEG files beside the library, deleted with their video."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from agent.frames.files import save_jpeg
from agent.library.store import Library
from agent.search.moments import Moment
from tools.errors import ReelgraphError
from tools.media.frames import load_frames
from tools.media.readers import open_video
from tools.media.video import Video

SIDE = 320  # pixels of the longer side
FOLDER = "thumbnails"


def with_thumbnails(moments: Sequence[Moment], library: Library) -> list[Moment]:
    """Return moments with their thumbnails: the frame that a player shows at their start.

    Frames are decoded once, a video at a time. Where the file is gone, the frame sampled from it
    at that time is taken, if the library still has it.
    """
    order = sorted(moments, key=lambda m: (m.video.sha256, m.evidence.start_s))
    files: dict[tuple[str, float], Path | None] = {}
    for _, group in groupby(order, lambda m: m.video.sha256):
        same = list(group)
        times_s = sorted({m.evidence.start_s for m in same})
        made = thumbnails(same[0].video, times_s, library)
        files |= {(same[0].video.sha256, t): file for t, file in zip(times_s, made, strict=True)}
    return [replace(m, thumbnail=files[m.video.sha256, m.evidence.start_s]) for m in moments]


def thumbnails(video: Video, times_s: Sequence[float], library: Library) -> list[Path | None]:
    """Return the file of the frame at each time (ascending); None where there is no picture."""
    if not video.has_picture:
        return [None] * len(times_s)
    folder = library.frames_folder(video, FOLDER)
    files = [folder / f"{round(time_s * 1000):09d}.jpg" for time_s in times_s]
    missing = [i for i, file in enumerate(files) if not file.is_file()]
    try:
        if missing:
            folder.mkdir(parents=True, exist_ok=True)
            frames = open_video(video, max_side=SIDE).at([times_s[i] for i in missing])
            for i, frame in zip(missing, frames, strict=True):
                save_jpeg(frame.image, files[i])
    except (ReelgraphError, OSError, ValueError):  # the file is gone or damaged, or the disk full
        pairs = zip(files, times_s, strict=True)
        return [_there(file) or sampled(video, time_s, library) for file, time_s in pairs]
    return [*files]


def _there(file: Path) -> Path | None:
    return file if file.is_file() else None


def sampled(video: Video, time_s: float, library: Library) -> Path | None:
    """Return the file of the frame that was sampled at or before a time; None without one."""
    for folder in sorted(library.frames_folder(video, FOLDER).parent.glob("*/index.json")):
        if found := load_frames(folder.parent):
            before = [frame for frame in found.frames if frame.start_s <= time_s]
            return (before or found.frames[:1])[-1].path
    return None
