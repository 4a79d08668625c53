"""Compare the ways to read a long video: seconds and peak memory, as paired medians of one run.

    python benchmarks/reading.py --minutes 5 --rounds 5

Budgets: dense sampling at least 1.5x faster than decord's get_batch at the same times, memory
independent of the video's length, key frames alone at least 10x faster than dense sampling. The
clip is noisy 720p30 H.264 (x264 medium, 3 B-frames as pyramid, a key frame every 250 frames),
generated once and stored in the folder given by --folder.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import Any

import av
import numpy as np

STEP_S = 1.0
FPS = 30
UNIT_S = 20  # encoded once, then repeated packet by packet
CHUNK = 32  # frames per call of get_batch; all at once would need 2.8 MB each


def main() -> None:
    """Measure every way in a process of its own, in turn, and print medians."""
    options = _options()
    if options.way:
        sys.stdout.write(json.dumps(measure(options.way, options.clip)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        short = make_clip(folder, max(1, options.minutes // 4))
        long = make_clip(folder, options.minutes)
        report(long, options.rounds)
        report_memory(short, long)


def report(clip: Path, rounds: int) -> None:
    """Print medians over rounds in which every way had its turn."""
    results: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for number in range(rounds):
        for way in WAYS:
            results[way].append(in_child(way, clip))
        _say(f"round {number + 1} of {rounds} done")
    for way, found in results.items():
        seconds = sorted(result["seconds"] for result in found)
        _say(
            f"{way:14} {median(seconds):7.2f} s ({seconds[0]:.2f}-{seconds[-1]:.2f})"
            f" {median(result['cpu_s'] for result in found):7.2f} s CPU"
            f" {median(result['peak_mb'] for result in found):6.0f} MB"
            f" {found[0]['frames']:5.0f} frames"
        )
    for unit in ("seconds", "cpu_s"):
        for slow, fast in (("decord", "every"), ("every", "key_frames")):
            pairs = zip(results[slow], results[fast], strict=True)
            ratio = median(a[unit] / b[unit] for a, b in pairs)
            _say(f"{fast} is {ratio:.2f}x faster than {slow} ({unit})")


def report_memory(short: Path, long: Path) -> None:
    """Print the peak memory for a short and a long clip."""
    for way in ("every", "sample_frames"):
        peaks = [in_child(way, clip)["peak_mb"] for clip in (short, long)]
        _say(f"{way}: peak {peaks[0]:.0f} MB for {short.stem}, {peaks[1]:.0f} MB for {long.stem}")


def in_child(way: str, clip: Path) -> dict[str, float]:
    """Measure in a fresh process, so that peak memory is that of one way alone."""
    command = [sys.executable, __file__, "--way", way, "--clip", str(clip)]
    finished = subprocess.run(command, capture_output=True, text=True, check=True)
    result: dict[str, float] = json.loads(finished.stdout.splitlines()[-1])
    return result


def measure(way: str, clip: Path) -> dict[str, float]:
    """Run one way and return wall and CPU seconds, number of frames and peak memory in MB."""
    from tools.media.video import probe

    video = probe(clip)
    start, start_cpu = time.perf_counter(), time.process_time()
    frames = WAYS[way](video)
    seconds, cpu_s = time.perf_counter() - start, time.process_time() - start_cpu
    return {"seconds": seconds, "cpu_s": cpu_s, "frames": frames, "peak_mb": peak_mb()}


def peak_mb() -> float:
    """Return this process's largest resident memory (ru_maxrss would count the parent's)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def by_decord(video: Any) -> int:
    """Read one picture a second with decord as its users do."""
    import decord

    reader = decord.VideoReader(str(video.path))
    numbers = list(range(0, len(reader), round(STEP_S * FPS)))
    return sum(
        len(reader.get_batch(numbers[start : start + CHUNK]).asnumpy())
        for start in range(0, len(numbers), CHUNK)
    )


def by_every(video: Any) -> int:
    """Read one picture a second in one sequential pass."""
    from tools.media.readers import open_video

    return sum(1 for _ in open_video(video).every(STEP_S))


def by_key_frames(video: Any) -> int:
    """Read the key frames alone."""
    from tools.media.readers import open_video

    return sum(1 for _ in open_video(video).key_frames())


def by_sample_frames(video: Any) -> int:
    """Sample, measure and store, as an ingest does."""
    from tools.media.frames import sample_frames
    from tools.media.readers import open_video

    with tempfile.TemporaryDirectory() as folder:
        reader = open_video(video, max_side=1280)
        found = sample_frames(reader, Path(folder) / "frames", video.duration_s, STEP_S)
        return len(found.samples)


WAYS: dict[str, Callable[[Any], int]] = {
    "decord": by_decord,
    "every": by_every,
    "key_frames": by_key_frames,
    "sample_frames": by_sample_frames,
}


def make_clip(folder: Path, minutes: int) -> Path:
    """Write a noisy clip by repeating the packets of an encoded unit."""
    path = folder / f"noisy-{minutes}min.mp4"
    if path.exists():
        return path
    unit = folder / "unit.mp4"
    if not unit.exists():
        _encode_unit(unit)
    part = path.with_suffix(".part.mp4")
    with av.open(str(part), "w") as output:
        stream = None
        for number in range(round(minutes * 60 / UNIT_S)):
            with av.open(str(unit)) as source:
                track = source.streams.video[0]
                stream = stream or output.add_stream_from_template(track)
                shift = round(number * UNIT_S / (track.time_base or 1))
                for packet in source.demux(track):
                    if packet.dts is None or packet.pts is None:
                        continue
                    packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                    packet.stream = stream
                    output.mux(packet)
    part.rename(path)
    return path


def _encode_unit(path: Path) -> None:
    """Encode a drifting texture under sensor noise."""
    random = np.random.default_rng(0)
    coarse = random.integers(0, 255, (90, 160, 3), dtype=np.uint8)
    texture = np.kron(coarse, np.ones((8, 8, 1), np.uint8))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(FPS))
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
        stream.options = {"preset": "medium", "crf": "23"}
        for number in range(UNIT_S * FPS):
            noise = random.integers(-12, 13, texture.shape, dtype=np.int16)
            picture = np.roll(texture, number * 2, axis=1) + noise
            frame = av.VideoFrame.from_ndarray(picture.clip(0, 255).astype(np.uint8), "rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=int, default=5, help="length of the clip")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each way")
    parser.add_argument("--folder", type=Path, help="where to keep the generated clips")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--clip", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
