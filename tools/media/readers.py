"""Open a probed video with one of the two readers."""

from tools.errors import InputError
from tools.media.pyav_reader import PyavReader
from tools.media.video import Backend, Video, VideoReader


def open_video(video: Video, backend: Backend = "pyav", max_side: int | None = None) -> VideoReader:
    """Return a reader; pictures are downscaled so that no side exceeds `max_side` pixels.

    Raises:
        InputError: There is no video track, or the backend cannot read this file correctly.
    """
    if not video.has_picture:
        raise InputError(f"{video.path} has sound but no picture; ask what is heard in it instead")
    if backend == "decord":
        from tools.media.decord_reader import DecordReader

        return DecordReader(video, max_side)
    return PyavReader(video, max_side)
