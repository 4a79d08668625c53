"""Open a probed video with one of the two readers."""

from tools.errors import InputError
from tools.media.pyav_reader import PyavReader
from tools.media.video import Backend, Reading, Video, VideoReader


def open_video(
    video: Video,
    backend: Backend = "pyav",
    max_side: int | None = None,
    reading: Reading = "player",
) -> VideoReader:
    """Return a reader.

    Args:
        video: What is read.
        backend: The library that decodes.
        max_side: Pictures are downscaled so that no side exceeds so many pixels.
        reading: How "pyav" reads the file.

    Raises:
        InputError: There is no video track, or the backend cannot read this file correctly.
    """
    if not video.has_picture:
        raise InputError(f"{video.path} has sound but no picture; ask what is heard in it instead")
    if backend == "decord":
        from tools.media.decord_reader import DecordReader

        return DecordReader(video, max_side)
    return PyavReader(video, max_side, reading)
