"""Decode frames with decord, for comparison and for users who prefer it.

decord 0.6 counts time from the first frame, in single precision (0.2 ms off after an hour), and
stops at damaged data. The adapter takes the times from the packets, and raises where decord cannot
read. It uses more memory than PyAV and is slower (`benchmarks/reading.py`).
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tools.errors import InputError, MissingError
from tools.media.container import is_raw, open_container, origin, read_packets, video_stream
from tools.media.video import Frame, RGBImage, Video, fit, require_ascending, require_positive

CHUNK = 8  # frames per batch: decord returns them as one array, 22 MB at 720p
ANY_FAULT = 1e-9  # share of frames that decord may replace by a neighbour before it raises
TICK_S = 1e-6
UNSEEKABLE = frozenset({"mpegts"})  # decord returns the wrong frames
ROUNDING, FLOAT32 = 1e-3, 2e-7  # tolerance of decord's times: in seconds, and relative


class DecordReader:
    """A reader on decord's frame index; times come from the packets, never from the index."""

    def __init__(self, video: Video, max_side: int | None = None) -> None:
        self._video = video
        self._size = (-1, -1)
        if max_side is not None and max(video.width, video.height) > max_side:
            self._size = fit(video.width, video.height, max_side)
        self._times_s = self._picture_times_s()
        self._handle = self._open()
        self._check_times()

    def at(self, times_s: Sequence[float]) -> Iterator[Frame]:
        """Yield the picture on screen at each time (ascending)."""
        require_ascending(times_s)
        after = np.searchsorted(self._times_s, np.asarray(times_s) + TICK_S, side="right")
        yield from self._frames(np.maximum(after - 1, 0).tolist())

    def every(self, step_s: float) -> Iterator[Frame]:
        """Yield for each grid point the first picture at or after it, each picture once."""
        require_positive(step_s)
        points = np.floor((self._times_s + TICK_S) / step_s)
        first_of_point = np.flatnonzero(np.diff(points, prepend=-1))
        yield from self._frames(first_of_point.tolist())

    def key_frames(self) -> Iterator[Frame]:
        """Yield the key frames; decord also decodes the frames between them."""
        yield from self._frames(list(self._handle.get_key_indices()))

    def _frames(self, numbers: Sequence[int]) -> Iterator[Frame]:
        from decord import DECORDError

        for start in range(0, len(numbers), CHUNK):
            chunk = numbers[start : start + CHUNK]
            try:
                images = self._handle.get_batch(chunk).asnumpy()
            except DECORDError as error:
                raise self._unfit(_first_line(error)) from error
            for number, image in zip(chunk, images, strict=True):
                yield Frame(float(self._times_s[number]), self._unmirrored(image).copy())

    def _unmirrored(self, image: RGBImage) -> RGBImage:
        """Flip what decord, which turns pictures itself, leaves mirrored."""
        if not self._video.flipped:
            return image
        return image[:, ::-1] if self._video.rotation % 180 else image[::-1]

    def _open(self) -> Any:
        try:
            import decord
        except (ImportError, OSError) as error:
            raise MissingError(
                f"decord cannot be imported ({error}); pip install decord, or use backend pyav"
            ) from error
        width, height = self._size
        try:
            return decord.VideoReader(
                str(self._video.path), decord.cpu(0), width, height, fault_tol=ANY_FAULT
            )
        except (decord.DECORDError, AssertionError, RuntimeError) as error:
            raise self._unfit(_first_line(error)) from error

    def _picture_times_s(self) -> npt.NDArray[np.float64]:
        """Return the time of each frame in seconds, in presentation order, [n]."""
        with open_container(self._video.path) as container:
            stream = video_stream(container)
            unfit = container.format.name in UNSEEKABLE or is_raw(container)
            if unfit or self._video.shifts_s or stream is None or stream.time_base is None:
                raise self._unfit(f"it seeks wrongly in {container.format.long_name}")
            ticks = [p.pts for p in read_packets(container, stream) if p.pts is not None]
            start_s = origin(container)
            times = [float(tick * stream.time_base - start_s) for tick in sorted(ticks)]
            return np.round(np.array(times), 6)

    def _check_times(self) -> None:
        """Check that decord's frame numbers match the packets."""
        count = len(self._handle)
        if count != len(self._times_s):
            raise self._unfit(f"it counts {count} pictures, the file has {len(self._times_s)}")
        own = self._handle.get_frame_timestamp(range(count))[:, 0]  # seconds since the first
        exact = self._times_s - self._times_s[0]
        if (np.abs(own - exact) > ROUNDING + FLOAT32 * exact).any():
            raise self._unfit("its times differ from those in the file")

    def _unfit(self, reason: str) -> InputError:
        return InputError(
            f"decord cannot read {self._video.path} ({reason}); use backend pyav for this file"
        )


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
