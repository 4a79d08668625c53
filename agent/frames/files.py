"""Frames for the chat model: chosen by number, decoded once, cached as files beside the library.

Pixels never enter the graph's state; it holds numbers, times and files.
"""

import os
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from fractions import Fraction
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from threading import get_ident

import numpy as np
from PIL import Image

from agent.answer import Meter
from agent.frames.grids import GridShape, cell_captions, compose_grid
from agent.library.keys import digest
from agent.library.store import Library
from agent.records import PlannedFrame
from tools.errors import InputError
from tools.evidence import Evidence
from tools.media.container import picture_times
from tools.media.jpeg import encode_jpeg
from tools.media.readers import open_video
from tools.media.video import Reading, RGBImage, Video, fit

PICTURE = "picture"  # the kind of evidence for frames given to the model


def frames_of(
    video: Video, choose: Callable[[int], Sequence[int]], reading: Reading = "player"
) -> tuple[PlannedFrame, ...]:
    """Return the frames that a sampling rule chooses, with their times.

    Args:
        video: A video with a picture track; no frame is decoded.
        choose: Returns ascending frame numbers, given how many frames there are.
        reading: Which frames count, see `tools.media.video.Reading`.

    Raises:
        InputError: The file has no picture.
    """
    if not video.has_picture:
        raise InputError("the file has no picture to look at; take --method video-rag")
    times = _times(video.sha256, video.path, video.shifts_s, reading == "decord")
    return tuple(PlannedFrame(i, times[i]) for i in choose(len(times)))


def picture_count(video: Video, reading: Reading = "player") -> int:
    """Return the number of frames of a video; none is decoded."""
    return len(_times(video.sha256, video.path, video.shifts_s, reading == "decord"))


def frames_at(video: Video, times_s: Sequence[float]) -> tuple[PlannedFrame, ...]:
    """Return the frames that a player shows at some times, in order.

    Args:
        video: A video with a picture track; no frame is decoded.
        times_s: In seconds; a time before the first frame means that frame.
    """
    times = _times(video.sha256, video.path, video.shifts_s)
    places = [max(0, bisect_right(times, time_s) - 1) for time_s in times_s]
    return tuple(PlannedFrame(i, times[i]) for i in places)


def frames_on_grid(
    video: Video, times_s: Sequence[float], fps: Fraction
) -> tuple[PlannedFrame, ...]:
    """Return the frames at times of a steady rate, onto which FFmpeg's program puts all frames."""
    return frames_at(video, [time_s + float(1 / fps) / 2 for time_s in times_s])


@lru_cache(maxsize=16)
def _times(
    sha256: str, path: Path, shifts_s: tuple[Fraction, ...], unedited: bool = False
) -> list[float]:
    """Return the time of each frame; cached, for reading those of an hour takes seconds."""
    return picture_times(path, shifts_s, edited=not unedited)


def picture_files(
    video: Video,
    frames: Sequence[PlannedFrame],
    library: Library,
    meter: Meter,
    max_side: int | None = None,
    reading: Reading = "player",
) -> tuple[Path, ...]:
    """Return a JPEG file of each frame, decoding only those without a file.

    Args:
        video: Their source.
        frames: In time order.
        library: Stores the files, and deletes them with the video.
        meter: Counts the decode, if there is one.
        max_side: Maximum pixels of the longer side; None keeps the size.
        reading: How they are decoded.
    """
    folder = library.frames_folder(video, read_as("pictures", reading))
    files = [folder / f"{frame.index:07d}-{max_side or 'full'}.jpg" for frame in frames]
    missing = [i for i, file in enumerate(files) if not file.exists()]
    if missing:
        meter.decodes += 1
        folder.mkdir(parents=True, exist_ok=True)
        reader = open_video(video, max_side=max_side, reading=reading)
        wanted = [frames[i].time_s for i in missing]
        for i, frame in zip(missing, reader.at(wanted), strict=True):
            save_jpeg(frame.image, files[i])
    return tuple(files)


def read_as(folder: str, reading: Reading) -> str:
    """Return the name of a folder for pictures that were decoded in a certain way."""
    return folder if reading == "player" else f"{folder}-{reading}"


def save_jpeg(image: RGBImage, file: Path) -> None:
    """Write an RGB picture atomically, with the channels in the right order."""
    _save(encode_jpeg(image), file)


def save_png(image: RGBImage, file: Path) -> None:
    """Write an RGB picture atomically and without loss."""
    data = BytesIO()
    Image.fromarray(image).save(data, format="PNG", compress_level=1)
    _save(data.getvalue(), file)


def _save(data: bytes, file: Path) -> None:
    part = file.with_suffix(f".{os.getpid()}-{get_ident()}.part")
    part.write_bytes(data)
    part.replace(file)


def shown(frames: Sequence[PlannedFrame]) -> tuple[Evidence, ...]:
    """Return frames as evidence, so that the user can look at what the model saw."""
    return tuple(
        Evidence(
            tool="look",
            kind=PICTURE,
            start_s=frame.time_s,
            end_s=frame.time_s,
            text="picture shown to the model",
            data={"frame": frame.index},
        )
        for frame in frames
    )


@dataclass(frozen=True, slots=True)
class GridStyle:
    """How a grid of frames is drawn and saved.

    Attributes:
        numbered: Write its number and time above each cell.
        max_side: Maximum pixels of the grid's longer side; None keeps the size.
        lossless: PNG instead of JPEG.
        reading: How the frames are decoded.
    """

    numbered: bool = False
    max_side: int | None = None
    lossless: bool = False
    reading: Reading = "player"


def grid_file(
    video: Video,
    frames: Sequence[PlannedFrame],
    shape: GridShape,
    library: Library,
    meter: Meter,
    style: GridStyle = GridStyle(),
) -> Path:
    """Return the file of a grid of frames in native resolution and true RGB.

    Args:
        video: Their source.
        frames: In time order.
        shape: Rows and columns.
        library: Stores the file.
        meter: Counts the decode, if there is one.
        style: How it is drawn.
    """
    values = [[f.index for f in frames], shape.rows, shape.columns, *astuple(style)]
    ending, save = ("png", save_png) if style.lossless else ("jpg", save_jpeg)
    file = library.frames_folder(video, "grids") / f"{digest(values)}.{ending}"
    if not file.exists():
        meter.decodes += 1
        file.parent.mkdir(parents=True, exist_ok=True)
        times_s = [frame.time_s for frame in frames]
        images = [frame.image for frame in open_video(video, reading=style.reading).at(times_s)]
        captions = cell_captions(times_s) if style.numbered else None
        save(_at_most(compose_grid(images, shape, captions), style.max_side), file)
    return file


def _at_most(picture: RGBImage, max_side: int | None) -> RGBImage:
    height, width = picture.shape[:2]
    size = fit(width, height, max_side)
    if size == (width, height):
        return picture
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))
