"""Picture files made of frames, cached beside the library: grids, thumbnails, the tower's squares.

Each is made once; the model's input is the content of these files, so that it can be inspected
afterwards. `library delete` removes them with the video.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from agent.answer import Meter
from agent.frames.files import read_as, save_png
from agent.library.keys import digest
from agent.library.store import Library
from agent.records import PlannedFrame
from agent.visual.encoding import TowerSpec, picture_of, pixels_of, square_of, thumbnail_pixels
from agent.visual.layouts import Layout
from tools.media.readers import open_video
from tools.media.video import Reading, RGBImage, Video

if TYPE_CHECKING:
    from torch import Tensor


def square_files(
    video: Video,
    frames: Sequence[PlannedFrame],
    tower: TowerSpec,
    library: Library,
    meter: Meter,
    reading: Reading = "player",
) -> tuple[Path, ...]:
    """Return a PNG file of each frame as the vision tower's input, decoding only new ones.

    They have the tower's size and are lossless, so their encoding is the same as from the video.
    """
    kind = f"squares-{tower.side}{'-padded' if tower.padded else ''}"
    folder = library.frames_folder(video, read_as(kind, reading))
    files = [folder / f"{frame.index:07d}.png" for frame in frames]
    missing = {f.time_s: file for f, file in zip(frames, files, strict=True) if not file.exists()}
    if missing:
        meter.decodes += 1
        folder.mkdir(parents=True, exist_ok=True)
        pictures = open_video(video, reading=reading).at(list(missing))
        for file, frame in zip(missing.values(), pictures, strict=True):
            save_png(square_of(frame.image, tower), file)
    return tuple(files)


def square_pixels(files: Sequence[Path], tower: TowerSpec) -> "Tensor":
    """Return the normalised pixels of the tower's squares, [T, 3, S, S]."""
    return pixels_of((read_picture(file) for file in files), tower)


def thumbnail_files(
    video: Video,
    squares: Sequence[Path],
    layout: Layout,
    tower: TowerSpec,
    library: Library,
    parity: bool = False,
) -> tuple[Path, ...]:
    """Return a PNG file of each thumbnail of a layout, rounded to 8 bits per channel.

    Args:
        video: Source of the frames.
        squares: See `square_files`.
        layout: See `agent.visual.layouts`.
        tower: Vision tower of the model.
        library: Stores the files.
        parity: Follow the published code to the bit.
    """
    span = layout.thumbnails
    if span is None:
        return ()
    count = len(span.groups(tower.grid(len(squares), parity)))
    values = [[file.stem for file in squares], repr(span), repr(tower), parity]
    folder = library.frames_folder(video, "thumbnails")
    files = [folder / f"{digest(values)}-{number}.png" for number in range(count)]
    if not all(file.exists() for file in files):
        folder.mkdir(parents=True, exist_ok=True)
        made = thumbnail_pixels(square_pixels(squares, tower), layout, tower, parity)
        for pixels, file in zip(made, files, strict=True):
            save_png(picture_of(pixels, tower), file)
    return tuple(files)


def read_picture(file: Path) -> RGBImage:
    """Return the RGB pixels of a picture file, [height, width, 3]."""
    with Image.open(file) as picture:
        return np.asarray(picture.convert("RGB"))
