"""How well each statistic of a clip tells a known artefact, and how long each measurement takes.

    python benchmarks/forensics.py --media FOLDER

Clips of 2.5 s are cut from every video in FOLDER, one from every 3 s, and written anew at 25 fps.
Each is then written again with one artefact: every fourth frame repeated, a freeze of 0.5 s, or a
smooth random warp of each frame. Further clips show a texture that moves at constant velocity, as
motion that is too even; the untouched clips are their counterpart. Clips of one video are not
independent: the intervals resample videos, not clips. No clip here is AI-generated, so the table
says what a statistic reacts to, and nothing about generators.
"""

import argparse
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import av
import cv2
import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_auc_score

from tools.base import ToolInput
from tools.errors import InputError
from tools.forensics.measurement import Measurement
from tools.media.readers import open_video
from tools.media.video import probe
from tools.registry import make_tool, tool_classes

FPS = 25
SECONDS = 2.5
EVERY_S = 3.0
SIDE = 360  # px, shorter side of the written clips
SEED = 7
RESAMPLES = 1000
BEND_PX = 3.0  # of the random warps

STATISTICS = (
    ("flow_change", "second_ratio"),
    ("flow_change", "warp_residual_levels"),
    ("ssim_jitter", "jitter"),
    ("d3_pixel", "relative_score"),
    ("curvature_pixel", "mean_deg"),
    ("camera_residual", "explained_share"),
    ("duplicate_frames", "share"),
    ("duplicate_frames", "longest_run"),
    ("sharpness", "mean_levels"),
    ("denoise_residual", "mean_levels"),
    ("spectrum", "slope"),
    ("saturation", "mean"),
)

Pictures = npt.NDArray[np.uint8]  # [n, height, width, 3], RGB


@dataclass(frozen=True)
class Sample:
    """A written clip.

    Attributes:
        source: The video or texture that it comes from; clips of one source are not independent.
        artefact: What was done to it.
        path: The file.
    """

    source: str
    artefact: str
    path: Path


def cut(path: Path) -> Iterator[Pictures]:
    """Yield the frames of each clip of a video, SIDE px high or wide, at 25 fps."""
    video = probe(path)
    for start_s in np.arange(0, video.duration_s - SECONDS + 1e-6, EVERY_S):
        times_s = start_s + np.arange(round(SECONDS * FPS)) / FPS
        frames = [frame.image for frame in open_video(video).at([float(t) for t in times_s])]
        yield np.stack([_fitted(frame) for frame in frames])


def _fitted(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    height, width = image.shape[:2]
    scale = SIDE / min(height, width)
    size = 2 * round(width * scale / 2), 2 * round(height * scale / 2)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))


def repeated(frames: Pictures, seed: int) -> Pictures:
    """Replace every fourth frame by the one before."""
    numbers = np.arange(len(frames))
    return frames[numbers - (numbers % 4 == 3)]


def frozen(frames: Pictures, seed: int) -> Pictures:
    """Hold one frame for half a second, somewhere in the first 1.5 s."""
    first = int(np.random.default_rng(seed).integers(5, FPS))
    held = frames.copy()
    held[first : first + FPS // 2] = frames[first]
    return held


def warped(frames: Pictures, seed: int) -> Pictures:
    """Bend each frame by a smooth random field of its own."""
    random = np.random.default_rng(seed)
    height, width = frames.shape[1:3]
    x, y = np.meshgrid(np.arange(width), np.arange(height))

    def bent(frame: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        fields = [cv2.GaussianBlur(random.normal(0, 1, (height, width)), (0, 0), 15) for _ in "xy"]
        dx, dy = (BEND_PX * field / field.std() for field in fields)
        places = np.float32(x + dx), np.float32(y + dy)
        return np.asarray(cv2.remap(frame, *places, cv2.INTER_LINEAR, None, cv2.BORDER_REFLECT))

    return np.stack([bent(frame) for frame in frames])


def even_motion(seed: int) -> Pictures:
    """Return a texture that moves at constant velocity, 1 to 4 px per frame at 25 fps."""
    random = np.random.default_rng(seed)
    width, height, count = 640, SIDE, round(SECONDS * FPS)
    noise = random.uniform(0, 255, (3 * height, 3 * width, 3)).astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), 5)
    wide = (soft - soft.mean()) / soft.std() * 45 + 128
    angle, speed = random.uniform(0, 2 * np.pi), random.uniform(1, 4)
    places = speed * np.array([np.cos(angle), np.sin(angle)]) * (np.arange(count)[:, None] - 31)
    shifts = [np.float32([[1, 0, -width - x], [0, 1, -height - y]]) for x, y in places]
    seen = [cv2.warpAffine(wide, shift, (width, height)) for shift in shifts]
    return np.asarray(np.stack(seen).clip(0, 255), np.uint8)


ARTEFACTS: dict[str, Callable[[Pictures, int], Pictures]] = {
    "none": lambda frames, seed: frames,
    "repeated": repeated,
    "frozen": frozen,
    "warped": warped,
}
EVEN = "even motion"


def write(path: Path, frames: Pictures) -> None:
    """Encode frames as H.264 at CRF 18."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"crf": "18"})
        stream.height, stream.width = frames.shape[1:3]
        for picture in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def make_samples(media: Path, folder: Path) -> Iterator[Sample]:
    """Write all clips; a file that cannot be read is reported and left out."""
    number = 0
    for path in sorted(media.iterdir()):
        try:
            clips = list(cut(path))
        except InputError as error:
            _print(f"left out: {error}")
            continue
        for frames in clips:
            for artefact, alter in ARTEFACTS.items():
                number += 1
                target = folder / f"{number}.mp4"
                write(target, alter(frames, SEED + number))
                yield Sample(path.stem.split("_")[0], artefact, target)
    for seed in range(12):
        target = folder / f"even-{seed}.mp4"
        write(target, even_motion(seed))
        yield Sample(f"texture {seed}", EVEN, target)


@dataclass
class Found:
    """All values and times.

    Attributes:
        values: By statistic and artefact: (source, value).
        status: By tool and artefact: how many clips gave "ok".
        times_ms: By tool: of each clip that gave "ok".
    """

    values: dict[tuple[tuple[str, str], str], list[tuple[str, float]]]
    status: dict[tuple[str, str], int]
    times_ms: dict[str, list[float]]


def measure_all(samples: Sequence[Sample]) -> Found:
    """Run every measurement that is available on every clip."""
    found = Found(defaultdict(list), defaultdict(int), defaultdict(list))
    names = [name for name, one in tool_classes().items() if issubclass(one, Measurement)]
    tools = [tool for tool in (make_tool(name, {}) for name in names) if tool.available().ok]
    for sample in samples:
        video = probe(sample.path)
        for tool in tools:
            (record,) = tool.run(ToolInput(video))
            if record.data["status"] != "ok":
                continue
            found.status[tool.name, sample.artefact] += 1
            found.times_ms[tool.name].append(record.data["ms"])
            for statistic in STATISTICS:
                if statistic[0] == tool.name:
                    value = float(record.data["values"][statistic[1]])
                    found.values[statistic, sample.artefact].append((sample.source, value))
    return found


def auc(untouched: Sequence[float], altered: Sequence[float]) -> float:
    """Return the probability that an altered clip has the larger value."""
    truth = [0] * len(untouched) + [1] * len(altered)
    return float(roc_auc_score(truth, [*untouched, *altered]))


def interval(
    untouched: Sequence[tuple[str, float]], altered: Sequence[tuple[str, float]]
) -> tuple[float, float]:
    """Return the 95 % interval of the AUC over resampled sources."""
    random = np.random.default_rng(SEED)

    def resampled(pairs: Sequence[tuple[str, float]]) -> list[float]:
        groups: dict[str, list[float]] = defaultdict(list)
        for source, value in pairs:
            groups[source].append(value)
        names = random.choice(sorted(groups), len(groups))
        return [value for name in names for value in groups[str(name)]]

    found = [auc(resampled(untouched), resampled(altered)) for _ in range(RESAMPLES)]
    low, high = np.percentile(found, [2.5, 97.5])
    return float(low), float(high)


def cell(untouched: Sequence[tuple[str, float]], altered: Sequence[tuple[str, float]]) -> str:
    """Return "0.93 (0.80-1.00) 9/8": AUC, interval, and how many clips of each were measured."""
    if len(untouched) < 3 or len(altered) < 3:
        return f"- {len(untouched)}/{len(altered)}"
    area = auc([value for _, value in untouched], [value for _, value in altered])
    low, high = interval(untouched, altered)
    return f"{area:.2f} ({low:.2f}-{high:.2f}) {len(untouched)}/{len(altered)}"


def print_tables(found: Found) -> None:
    """Print both tables as Markdown."""
    columns = [*list(ARTEFACTS)[1:], EVEN]
    _print(f"| statistic | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
    for statistic in STATISTICS:
        untouched = found.values[statistic, "none"]
        cells = [cell(untouched, found.values[statistic, column]) for column in columns]
        _print(f"| {' '.join(statistic)} | {' | '.join(cells)} |")
    _print("\n| tool | ms per clip (median) | clips |\n|---|---|---|")
    for name, times_ms in sorted(found.times_ms.items(), key=lambda item: -median(item[1])):
        _print(f"| {name} | {median(times_ms):.1f} | {len(times_ms)} |")


def main() -> None:
    """Make the clips, measure them, print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--media", type=Path, required=True, help="folder of real videos")
    media = parser.parse_args().media
    with TemporaryDirectory() as folder:
        samples = list(make_samples(media, Path(folder)))
        _print(f"clips by artefact: {dict(Counter(sample.artefact for sample in samples))}")
        real = Counter(sample.source for sample in samples if sample.artefact == "none")
        _print(f"untouched clips by source: {dict(real)}")
        print_tables(measure_all(samples))


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
