"""The frames that the model is shown: those of the measurements, or 16 at 8 a second of our own.

Eight of them, evenly spaced, at most 768 pixels a side. LAVID's own sampling is unknown to us; 16
frames at 8 fps is the setting of D3 (arXiv 2508.00701).
"""

import random
from collections.abc import Sequence
from dataclasses import replace

from agent.answer import Meter
from agent.detection.records import ShownFrames, ToolReading
from agent.frames.files import frames_at, picture_files
from agent.library.store import Library
from agent.records import PlannedFrame
from tools.media.video import Video

FPS, SAMPLED, SHOWN, MAX_SIDE = 8, 16, 8, 768


def plan_frames(video: Video) -> tuple[PlannedFrame, ...]:
    """Return the sampled frames by number and time: the first 16 at 8 a second."""
    if not video.has_picture:
        return ()
    last_s = max(0.0, video.duration_s - 1 / FPS)
    times = [k / FPS for k in range(SAMPLED) if k / FPS <= last_s or k == 0]
    return tuple(PlannedFrame(k, time_s) for k, time_s in enumerate(times))


def measured_frames(
    readings: Sequence[ToolReading], planned: tuple[PlannedFrame, ...]
) -> tuple[PlannedFrame, ...]:
    """Return the frames that the measurements looked at, else the planned ones.

    The numbers are then those burned into the views, so that a claim can cite them.
    """
    for reading in readings:
        if len(reading.frames) > 1:
            return tuple(PlannedFrame(n, t) for n, t in sorted(reading.frames.items()))
    return planned


def show(
    video: Video, frames: Sequence[PlannedFrame], library: Library, meter: Meter, count: int = SHOWN
) -> ShownFrames:
    """Return at most `count` evenly spaced frames as picture files."""
    if not frames or count < 1:
        return ShownFrames()
    count = min(count, len(frames))
    step = (len(frames) - 1) / max(1, count - 1)
    chosen = tuple(frames[round(k * step)] for k in range(count))
    stored = frames_at(video, [frame.time_s for frame in chosen])
    files = picture_files(video, stored, library, meter, MAX_SIDE)
    return ShownFrames(chosen, files)


def shuffled(shown: ShownFrames, seed: int) -> ShownFrames:
    """Return the same numbers and times with the pictures in another order.

    With more than one picture, the order differs from the given one.
    """
    files = list(shown.files)
    draw = random.Random(seed)
    while len(set(files)) > 1 and tuple(files) == shown.files:
        draw.shuffle(files)
    return replace(shown, files=tuple(files))
