"""Measure which sizes of letters are read on screens of which sizes, and how long a picture takes.

    python benchmarks/ocr.py --models FOLDER

Each cell is a clip (H.264, CRF 18) of two still pages, dark on light and light on dark, with six
lines of random words at one font size, sampled and read as an ingest does. Recall is the share of
the words that are read to the letter. Seconds are CPU time of the detector and the recogniser, for
a picture that is new as a whole.
"""

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tools.base import ToolInput, ToolRuntime
from tools.media.frames import sample_frames
from tools.media.readers import open_video
from tools.media.video import RGBImage, probe
from tools.ocr.tool import Ocr

SCREENS = {"720p": (1280, 720), "1080p": (1920, 1080), "1440p": (2560, 1440), "4K": (3840, 2160)}
LETTERS = (12, 14, 16, 20, 24, 32, 40)  # font size in px
WORDS = (Path(__file__).parent.parent / "LICENSE").read_text(encoding="utf-8")
MAX_SIDE = 1280  # of stored pictures, as in the default profile


def main() -> None:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=Path, default=Path.home() / ".cache" / "reelgraph")
    parser.add_argument("--screens", nargs="+", choices=SCREENS, default=list(SCREENS))
    parser.add_argument("--letters", nargs="+", type=int, default=list(LETTERS))
    options = parser.parse_args()
    ocr = Ocr()
    ocr.setup(ToolRuntime("cpu", offline=True, models=options.models))
    _say("| font size | " + " | ".join(options.screens) + " |")
    _say("|---" * (1 + len(options.screens)) + "|")
    for letters in options.letters:
        cells = [measure(ocr, SCREENS[name], letters) for name in options.screens]
        _say(f"| {letters} px | " + " | ".join(cells) + " |")


def measure(ocr: Ocr, size: tuple[int, int], letters: int) -> str:
    """Return the recall and the seconds a picture of one size of letters on one screen."""
    pages = [page(size, letters, dark=dark) for dark in (False, True)]
    with tempfile.TemporaryDirectory() as temporary:
        clip = write_clip(Path(temporary) / "clip.mp4", [image for image, _ in pages])
        video = probe(clip)
        # Before small letters were looked for, pictures were stored at MAX_SIDE alone.
        reader = open_video(video, max_side=3840)
        frames = sample_frames(
            reader, Path(temporary) / "frames", video.duration_s, 1.0, max_side=MAX_SIDE
        )
        start = time.process_time()
        found = list(ocr.run(ToolInput(video, frames)))
        seconds = (time.process_time() - start) / len(frames.frames)
    read = " ".join(one.text for one in found).split()
    words = [word for _, shown in pages for word in shown]
    recall = sum(word in read for word in words) / len(words)
    return f"{100 * recall:.0f} %, {seconds:.2f} s"


def page(size: tuple[int, int], letters: int, *, dark: bool) -> tuple[RGBImage, list[str]]:
    """Return a page and its words."""
    chance = random.Random(letters + dark)
    known = sorted({word for word in WORDS.split() if word.isalpha() and len(word) > 3})
    image = Image.new("RGB", size, "#1e1e1e" if dark else "white")
    font, words = ImageFont.load_default(letters), list[str]()
    for line in range(6):
        shown = chance.sample(known, 5)
        at = (size[0] * (1 + 3 * (line % 3)) // 16, size[1] * (1 + 2 * line) // 13)
        ImageDraw.Draw(image).text(at, " ".join(shown), "#d4d4d4" if dark else "#202020", font)
        words += shown
    return np.asarray(image), words


def write_clip(path: Path, pages: list[RGBImage]) -> Path:
    """Write each page for two seconds."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=2, options={"crf": "18", "preset": "fast"})
        stream.height, stream.width = pages[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for number in range(4 * len(pages)):
            frame = av.VideoFrame.from_ndarray(pages[number // 4], format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
