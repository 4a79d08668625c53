"""The normalised clip that every measurement sees: decoded once, at a fixed size, rate and quality.

Resolution, frame rate and compression identify a data set rather than a generator, so they are made
equal before anything is measured: frames about 1/`fps` apart, the short side `short_side` pixels,
and one JPEG step. Of a span with cuts the longest stretch without one is kept.
"""

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt
from pydantic import Field

from tools.base import ToolOptions
from tools.errors import InputError
from tools.forensics.uncut import longest_uncut
from tools.media.container import picture_times
from tools.media.readers import open_video
from tools.media.video import RGBImage, Video

Frames = npt.NDArray[np.uint8]  # [n, height, width, 3], RGB
Grey = npt.NDArray[np.uint8]  # [n, height, width]
T = TypeVar("T")

LONG_SIDE = 1024  # px; an extreme aspect ratio must not make the frames huge
NATIVE_SIDE = 64  # px of the native-rate frames
TICK_S = 1e-6  # to which times are rounded
UNEVEN = 0.25  # deviation from the usual frame distance above which a rate counts as variable
MAX_NATIVE = 600  # native frames read for one clip
SHARED_CLIPS = 4  # kept in memory at once, about 20 MB each


class ClipOptions(ToolOptions):
    """Which part of the video is measured, and at what size and rate.

    Attributes:
        start_s: Where the clip starts, in seconds.
        frames: Maximum number of frames.
        fps: Frames per second, as near as a whole number of native frames comes to it.
        short_side: Length of the shorter side in pixels.
        jpeg_quality: Quality of the JPEG step, 1 to 95, that all frames pass once.
    """

    start_s: float = Field(0.0, ge=0)
    frames: int = Field(16, ge=1, le=64)
    fps: float = Field(8.0, gt=0, le=60)
    short_side: int = Field(256, ge=64, le=1024)
    jpeg_quality: int = Field(75, ge=1, le=95)


@dataclass(frozen=True, slots=True)
class Native:
    """Every frame that the file holds within the clip, small and without the JPEG step.

    Attributes:
        luma: Grey levels, [m, 64, 64].
        times_s: When each appears, [m].
    """

    luma: Grey
    times_s: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class _Decoded:
    frames: Frames
    times_s: tuple[float, ...]
    native: Native
    is_cut: bool


class Clip:
    """The measured part of a video; nothing is decoded before the first access to its frames.

    Frames are numbered from 0 in the order of time. Arrays are read-only: measurements share them.

    Attributes:
        video: The probed source.
        options: What was asked for.
    """

    def __init__(self, video: Video, options: ClipOptions) -> None:
        self.video = video
        self.options = options
        self._lock = threading.RLock()
        self._made: dict[str, Any] = {}

    @property
    def frames(self) -> Frames:
        """The frames, RGB, [n, height, width, 3]. Raises `InputError` when none decodes."""
        return self._decoded.frames

    @property
    def grey(self) -> Grey:
        """The luma of the frames, [n, height, width]."""
        return self.once("grey", lambda: _grey(self.frames))

    @property
    def times_s(self) -> tuple[float, ...]:
        """When each frame appears, as a player shows it."""
        return self._decoded.times_s

    @property
    def native(self) -> Native:
        """The frames at the rate of the file, over the same span."""
        return self._decoded.native

    @property
    def is_cut(self) -> bool:
        """Whether a cut lies in the span, so that only its longest stretch without one is kept."""
        return self._decoded.is_cut

    @property
    def rates(self) -> npt.NDArray[np.float64]:
        """Nominal over true distance of neighbouring frames, [n-1].

        A motion between two frames, multiplied by it, is a motion per 1/`fps` seconds.
        """
        return 1 / (np.diff(self.times_s) * self.options.fps)

    @property
    def start_s(self) -> float:
        """When the first frame appears."""
        return self.times_s[0]

    @property
    def end_s(self) -> float:
        """When the last frame disappears, at the usual distance of frames."""
        times_s = self.times_s
        usual = float(np.median(np.diff(times_s))) if len(times_s) > 1 else 1 / self.options.fps
        return max(times_s[-1], min(times_s[-1] + usual, self.video.duration_s))

    @property
    def described(self) -> str:
        """What a card says of the clip: frames, rate, start and size."""
        height, width = self.frames.shape[1:3]
        distances, seconds = len(self.times_s) - 1, self.times_s[-1] - self.times_s[0]
        rate = f" at {distances / seconds:.3g} fps" if distances else ""
        frames = f"{distances + 1} frame{'s' * (distances > 0)}"
        uncut = " (the longest stretch without a cut)" if self.is_cut else ""
        return f"{frames}{rate} from {self.start_s:.2f} s{uncut}, {width}x{height} px"

    def once(self, name: str, make: Callable[[], T]) -> T:
        """Return what `make` returned at the first call under this name; threads wait for it."""
        with self._lock:
            if name not in self._made:
                self._made[name] = make()
            return cast(T, self._made[name])

    @property
    def _decoded(self) -> _Decoded:
        return self.once("decoded", lambda: _decode(self.video, self.options))


class _Shared:
    """The clips used last: measurements of one video decode it once between them."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._clips: OrderedDict[tuple[str, ClipOptions], Clip] = OrderedDict()

    def get(self, video: Video, options: ClipOptions) -> Clip:
        key = (video.sha256, options)
        with self._lock:
            clip = self._clips.setdefault(key, Clip(video, options))
            self._clips.move_to_end(key)
            while len(self._clips) > self._size:
                self._clips.popitem(last=False)
            return clip


_shared = _Shared(SHARED_CLIPS)


def open_clip(video: Video, options: ClipOptions) -> Clip:
    """Return the clip of a video, the same object for the same content and clip options."""
    names = ClipOptions.model_fields
    return _shared.get(video, ClipOptions(**{name: getattr(options, name) for name in names}))


def _decode(video: Video, options: ClipOptions) -> _Decoded:
    """Read every native frame of the span once; keep the chosen ones normalised, all small.

    Raises:
        InputError: The video has no picture, or none in the span.
    """
    reader = open_video(video)
    native_s = _native_times(video, options)
    chosen = choose_times(native_s, options)
    frames, times_s, lumas, luma_times_s = [], [], [], []
    seen_s = -1.0
    for frame in reader.at([time_s for time_s in native_s if time_s <= _until(chosen)]):
        if frame.time_s <= seen_s:  # the packet of this time did not decode
            continue
        seen_s = frame.time_s
        lumas.append(_small(frame.image))
        luma_times_s.append(frame.time_s)
        if frame.time_s in chosen:
            frames.append(_normalised(frame.image, options))
            times_s.append(frame.time_s)
    if not frames:
        raise InputError(
            f"no picture decodes from {options.start_s:g} s on; choose an earlier start_s "
            f"(the video lasts {video.duration_s:g} s)"
        )
    return _uncut(frames, times_s, lumas, luma_times_s)


def _uncut(
    frames: list[RGBImage], times_s: list[float], lumas: list[Grey], luma_times_s: list[float]
) -> _Decoded:
    """Keep the longest stretch without a cut: the chosen frames, and all native ones in it."""
    stretch = longest_uncut(frames, times_s)
    kept_s = times_s[stretch]
    last_s = kept_s[-1] if stretch.stop < len(times_s) else math.inf
    native = [n for n, time_s in enumerate(luma_times_s) if kept_s[0] <= time_s <= last_s]
    return _Decoded(
        _fixed(frames[stretch]),
        tuple(kept_s),
        Native(_fixed([lumas[n] for n in native]), tuple(luma_times_s[n] for n in native)),
        is_cut=len(kept_s) < len(times_s),
    )


def _native_times(video: Video, options: ClipOptions) -> list[float]:
    """Return the times of the file's frames from the start on, for a clip and half as much again.

    The chosen rate may be lower than `fps`, and then the clip lasts longer.
    """
    start_s, length_s = options.start_s, options.frames / options.fps
    end_s = start_s + 1.5 * length_s
    times_s = [t for t in picture_times(video.path, video.shifts_s) if start_s <= t < end_s]
    if times_s:
        return times_s[:MAX_NATIVE]
    grid = [start_s + number / options.fps for number in range(options.frames)]
    shown = [frame.time_s for frame in open_video(video).at(grid)]  # no packet has a time
    return sorted({time_s for time_s in shown if time_s >= start_s})


def _until(chosen: Sequence[float]) -> float:
    """Return the end of the span: one distance after the last chosen frame."""
    if len(chosen) < 2:
        return math.inf
    return chosen[-1] + (chosen[-1] - chosen[0]) / (len(chosen) - 1) - TICK_S


def choose_times(native_s: Sequence[float], options: ClipOptions) -> list[float]:
    """Choose the frames to measure.

    At a constant rate every k-th frame, k the nearest whole number to the native rate over `fps`:
    evenly spaced frames, for uneven ones look like uneven motion. At a variable rate, the first
    frame at or after each grid point.
    """
    if len(native_s) < 2:
        return list(native_s)
    gaps = np.diff(native_s)
    usual = float(np.median(gaps))
    if (np.abs(gaps - usual) <= UNEVEN * usual).all():
        stride = max(1, round(1 / (options.fps * usual)))
        return list(native_s[::stride][: options.frames])
    grid = native_s[0] + np.arange(options.frames) / options.fps
    at = np.searchsorted(native_s, grid - TICK_S)
    return [native_s[position] for position in dict.fromkeys(at) if position < len(native_s)]


def _normalised(image: RGBImage, options: ClipOptions) -> RGBImage:
    """Return a frame at the fixed size after the JPEG step."""
    import cv2

    height, width = image.shape[:2]
    scale = min(options.short_side / min(height, width), LONG_SIDE / max(height, width))
    size = max(16, round(width * scale)), max(16, round(height * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    resized = cv2.cvtColor(cv2.resize(image, size, interpolation=method), cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", resized, [cv2.IMWRITE_JPEG_QUALITY, options.jpeg_quality])
    return np.asarray(cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB))


def _small(image: RGBImage) -> Grey:
    import cv2

    size = NATIVE_SIDE, NATIVE_SIDE
    return np.asarray(
        cv2.cvtColor(cv2.resize(image, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    )


def _grey(frames: Frames) -> Grey:
    import cv2

    return _fixed([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames])


def _fixed(pictures: Sequence[npt.NDArray[np.uint8]]) -> npt.NDArray[np.uint8]:
    stacked = np.stack(pictures)
    stacked.flags.writeable = False
    return stacked
