"""The canary: what size, frame rate and bit rate alone would tell.

They identify a data set, not a generator. A tool whose gain the canary reproduces is not selected,
and every score is reported beside the canary's.
"""

from math import log

from agent.detection.records import ToolReading
from tools.media.video import Video

CANARY = "canary"


def canary_reading(video: Video) -> ToolReading:
    """Return size, frame rate and bit rate as if a tool had measured them."""
    area, fps, rate = video.width * video.height, float(video.fps or 0), bit_rate(video)
    card = f"{video.width} x {video.height} pixels, {fps:.2f} frames a second, {rate:.0f} kbit/s"
    return ToolReading(
        CANARY, "ok", card, {"area": float(area), "fps": fps, "kbit_s": rate}, version="1"
    )


def canary_features(video: Video) -> tuple[float, float, float]:
    """Return log area, frame rate and log bit rate, for the baseline classifier."""
    area = max(1, video.width * video.height)
    return log(area), float(video.fps or 0), log(max(1.0, bit_rate(video)))


def bit_rate(video: Video) -> float:
    """Return the file's kilobits a second."""
    return video.path.stat().st_size * 8 / 1000 / max(video.duration_s, 1e-3)
