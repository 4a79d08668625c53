"""Does a verdict survive what happens to clips on their way? Variants of one clip, judged again.

CRF 23 and 35, half size, 8 frames a second, a crop, and a simulated screen recording: resampled to
another size and rate with a border and a pointer-like block.
"""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from agent.detection.detection import Detection
from agent.detection.detector import Detector
from agent.detection.state import Job
from agent.graph import find_video
from tools.media.readers import open_video
from tools.media.video import Frame, RGBImage, Video

MAX_S = 4.0  # of a variant; a measurement looks at the first seconds


@dataclass(frozen=True, slots=True)
class Variant:
    """How a clip is changed.

    Attributes:
        crf: Quality of H.264; larger is coarser.
        scale: Factor of width and height.
        fps: Frames a second; None keeps the rate.
        change: Changes a picture [height, width, 3].
    """

    crf: int = 18
    scale: float = 1.0
    fps: float | None = None
    change: Callable[[RGBImage], RGBImage] = lambda image: image


def crop(image: RGBImage) -> RGBImage:
    """Return the middle 80 % of a picture."""
    rows, columns = image.shape[0] // 10, image.shape[1] // 10
    return image[rows : image.shape[0] - rows, columns : image.shape[1] - columns]


def on_a_screen(image: RGBImage) -> RGBImage:
    """Return a picture in a window: smaller, with a border, a bar and a block like a pointer."""
    height, width = image.shape[:2]
    small = Image.fromarray(image).resize((max(2, width * 4 // 5), max(2, height * 4 // 5)))
    screen = np.full_like(image, 40)
    top, left = height // 10, width // 10
    screen[top : top + small.height, left : left + small.width] = np.asarray(small)
    screen[: top // 2] = 90
    screen[height // 2 : height // 2 + 6, width // 2 : width // 2 + 4] = 255
    return screen


VARIANTS = {
    "crf 23": Variant(crf=23),
    "crf 35": Variant(crf=35),
    "half size": Variant(scale=0.5),
    "8 frames a second": Variant(fps=8),
    "24 frames a second": Variant(fps=24),
    "crop": Variant(change=crop),
    "screen recording": Variant(fps=30, change=on_a_screen),
}


@dataclass(frozen=True, slots=True)
class Survived:
    """How a variant of a clip was judged.

    Attributes:
        name: Of the variant.
        label: The verdict.
        flipped: Whether it is the other label than that of the clip as it is.
        drop: How far the self-reported confidence in the clip's own verdict fell.
    """

    name: str
    label: str
    flipped: bool
    drop: float


def survive(detector: Detector, path: Path, job: Job, original: Detection) -> list[Survived]:
    """Judge every variant of a clip; the variants' files and findings are removed afterwards."""
    library, found = detector.context.library, []
    video = find_video(path, library)
    with tempfile.TemporaryDirectory(prefix="reelgraph-") as folder:
        for number, (name, variant) in enumerate(VARIANTS.items()):
            file = Path(folder) / f"{number}.mp4"
            write_variant(video, variant, file)
            judged = detector.detect(file, job, resumable=False)
            library.delete(find_video(file, library))
            found.append(_compare(name, judged, original))
    return found


def _compare(name: str, judged: Detection, original: Detection) -> Survived:
    decided = None not in (judged.positive, original.positive)
    same = judged.label == original.label
    left = judged.verdict.confidence if same else 0.0
    drop = round(original.verdict.confidence - left, 3)
    return Survived(name, judged.label, decided and not same, drop)


def write_variant(video: Video, variant: Variant, file: Path) -> None:
    """Write the first seconds of a video in another form, without sound."""
    rate = Fraction(variant.fps or video.fps or 25).limit_denominator(1001)
    with av.open(str(file), "w") as container:
        stream: Any = None
        for number, frame in enumerate(_frames(video, rate)):
            image = variant.change(frame.image)
            height, width = (max(2, int(side * variant.scale) // 2 * 2) for side in image.shape[:2])
            if stream is None:
                stream = container.add_stream("libx264", rate, options={"crf": str(variant.crf)})
                stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            picture = Image.fromarray(image).resize((width, height))
            coded = av.VideoFrame.from_ndarray(np.asarray(picture), format="rgb24")
            coded.pts, coded.time_base = number, 1 / rate
            container.mux(stream.encode(coded))
        if stream is not None:
            container.mux(stream.encode())


def _frames(video: Video, rate: Fraction) -> Iterator[Frame]:
    count = max(1, int(min(video.duration_s, MAX_S) * rate))
    return open_video(video).at([float(k / rate) for k in range(count)])
