"""Sampled frames on disk: one decode pass that serves every visual tool."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tools.video import RGBImage, VideoReader


@dataclass(frozen=True, slots=True)
class StoredFrame:
    """One distinct picture, and how long it stayed on screen.

    Attributes:
        number: Position among the distinct frames, from 0.
        start_s: When it was first sampled.
        end_s: When the next distinct frame was sampled, or the end of the video.
        path: JPEG file.
    """

    number: int
    start_s: float
    end_s: float
    path: Path

    def image(self) -> RGBImage:
        """Read the picture, RGB."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Sample:
    """Measurements of one sampled picture, near-duplicates included.

    Attributes:
        time_s: When it appears.
        frame: `StoredFrame.number` that stands for it.
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
) -> FrameSet:
    """Decode once, keep distinct pictures as JPEG, and publish the folder atomically."""
    raise NotImplementedError


def load_frames(folder: Path) -> FrameSet | None:
    """Return the published frame set, or None when there is none."""
    raise NotImplementedError
