"""Search over a library of many videos: seconds of the look at them and of queries, and memory.

    python benchmarks/search.py --videos 200

The videos are two minutes long and have forty lines of subtitles each; only these are read, so the
seconds are those of the library and not of the tools. Each command runs in a process of its own.
"""

import argparse
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

import av
import numpy as np
import psutil

from agent import Session
from agent.search.search import VideoSearch

SECONDS, CUES, SIZE = 120, 40, (64, 48)
WHO = ("the guide", "a captain", "our teacher", "the baker", "a visitor", "the mayor", "my sister")
DOES = ("opens", "paints", "repairs", "explains", "sells", "measures", "forgets", "counts")
WHAT = (
    "the old gate",
    "a blue boat",
    "the bridge",
    "some bread",
    "the organ",
    "a map",
    "the clock",
)
QUERIES = ("the gate code", "who repairs the bridge", "bread", "a boat is painted", "number 512")


def main() -> None:
    """Make videos and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--videos", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for number in range(args.videos):
            make_video(folder / "videos", number)
        pairs = ["--set", f"library={folder / 'library'}", "--set", "ingest=[subtitles]"]
        files = sorted(map(str, (folder / "videos").glob("*.mkv")))
        say(f"index of {args.videos} videos: {run(['index', *files, *pairs])}")
        size = sum(f.stat().st_size for f in (folder / "library").rglob("*") if f.is_file())
        say(f"  kept: {size / 1e6:.1f} MB")
        say(f"first search in a new process: {run(['search', QUERIES[0], *pairs])}")
        for query in QUERIES[: args.rounds]:
            say(f"search in a new process: {run(['search', query, *pairs])}")
        measure_warm(folder, args.rounds)


def measure_warm(folder: Path, rounds: int) -> None:
    """Print what a query takes where the search is kept, as on the page."""
    given = {"library": folder / "library", "ingest": ["subtitles"]}
    search = VideoSearch(Session("embedded", given).context)
    start = perf_counter()
    found = search.search(QUERIES[0])
    say(f"search in this process: the first {perf_counter() - start:.2f} s, models loaded")
    seconds = [timed(search, query) for _ in range(rounds) for query in QUERIES]
    used = psutil.Process().memory_full_info().pss / 1e9
    say(f"  then {1000 * median(seconds):.0f} ms, {found.videos} videos, {used:.2f} GB")
    seconds = [timed(search, query, pictures=True) for query in QUERIES]
    say(f"  with thumbnails, most of them new: {1000 * median(seconds):.0f} ms")


def timed(search: VideoSearch, query: str, pictures: bool = False) -> float:
    """Return the seconds of a query."""
    start = perf_counter()
    search.search(query, pictures=pictures)
    return perf_counter() - start


def make_video(folder: Path, number: int) -> None:
    """Write a video of a picture a second, with subtitles beside it."""
    folder.mkdir(exist_ok=True)
    drawn = random.Random(number)
    with av.open(str(folder / f"tour{number:04}.mkv"), "w") as container:
        stream = container.add_stream("libx264", rate=1)
        stream.width, stream.height = SIZE
        for second in range(SECONDS):
            image = np.full((SIZE[1], SIZE[0], 3), (number + second) % 250, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    step = SECONDS / CUES
    cues = [
        f"{cue + 1}\n{clock(cue * step)} --> {clock((cue + 1) * step - 0.2)}\n{line(drawn)}\n"
        for cue in range(CUES)
    ]
    (folder / f"tour{number:04}.srt").write_text("\n".join(cues))


def line(drawn: random.Random) -> str:
    """Return a sentence."""
    who, does, what = drawn.choice(WHO), drawn.choice(DOES), drawn.choice(WHAT)
    return f"{who.capitalize()} {does} {what}, number {drawn.randrange(1000)}."


def clock(seconds: float) -> str:
    """Return a time as subtitle files write it."""
    return f"00:{int(seconds // 60):02}:{int(seconds % 60):02},{int(seconds * 1000 % 1000):03}"


def run(arguments: list[str]) -> str:
    """Run a command of the program; return its seconds, those of its cores, and its memory."""
    code = (
        "import resource, sys\nfrom agent.cli.main import main\ntry:\n    main()\nfinally:\n"
        "    used = resource.getrusage(resource.RUSAGE_SELF)\n"
        "    print(used.ru_utime + used.ru_stime, used.ru_maxrss, file=sys.stderr)"
    )
    start = perf_counter()
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    cores, kilobytes = map(float, done.stderr.splitlines()[-1].split())
    return f"{perf_counter() - start:.1f} s, {cores:.1f} s of a core, {kilobytes / 1e6:.2f} GB"


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
