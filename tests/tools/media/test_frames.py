import errno
import json
import signal
import subprocess
import sys
import textwrap
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from tools.errors import InputError, StoppedError, StorageError
from tools.media.frames import COLOUR_NAMES, load_frames, sample_frames
from tools.media.picture_stats import colour_shares
from tools.media.readers import open_video
from tools.media.video import Frame, probe


def sample(path, folder, step_s=1.0, **options):
    video = probe(path)
    return sample_frames(open_video(video), folder, video.duration_s, step_s, **options)


def slide(number, ink="black", paper="white", size=(1280, 720)):
    image = Image.new("RGB", size, paper)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default
    draw.text((60, 40), "Results of the observatory", font=font(48), fill=ink)
    for row in range(7):
        text = f"Item {row}: measured with the second instrument, see page {row + 11}"
        draw.text((80, 150 + row * 60), text, font=font(32), fill=ink)
    draw.text((913, 611), number, font=font(33), fill=ink)  # digits 24 px high
    return np.asarray(image)


def changing_at(change_s, before, after):
    return lambda time_s, width, height: before if time_s < change_s else after


@pytest.mark.parametrize(
    ("ink", "paper", "crf"),
    [("black", "white", 28), ("#a0a0a0", "white", 23), ("#aaa", "#222", 28)],
)
def test_one_digit_of_a_slide_is_noticed_and_noise_is_not(make_clip, tmp_path, ink, paper, crf):
    before, after = slide("1024.5", ink, paper), slide("1824.5", ink, paper)
    path = make_clip(
        fps=8, seconds=8, size=(1280, 720), gop=40, b_frames=3, crf=crf,
        draw=changing_at(4.0, before, after),
    )  # fmt: skip
    found = sample(path, tmp_path / "set")
    assert [(f.start_s, f.end_s) for f in found.frames] == [(0, 4), (4, 8)]
    assert [s.frame for s in found.samples] == [0] * 4 + [1] * 4
    for frame, original in zip(found.frames, (before, after), strict=True):
        assert np.abs(frame.image().astype(int) - original).mean() < 4


def test_sensor_noise_is_the_same_picture(make_clip, tmp_path):
    random = np.random.default_rng(0)
    scene = np.kron(random.integers(40, 215, (9, 16, 3)), np.ones((40, 40, 1)))

    def noisy(time_s, width, height):
        return (scene + random.normal(0, 8, scene.shape)).clip(0, 255).astype(np.uint8)

    found = sample(make_clip(fps=8, seconds=6, size=(640, 360), draw=noisy), tmp_path / "set")
    assert len(found.samples) == 6
    assert len(found.frames) == 1


def test_slow_change_is_not_swallowed_step_by_step(make_clip, tmp_path):
    def brighter(time_s, width, height):
        return np.full((height, width, 3), 20 + round(time_s * 5), np.uint8)

    found = sample(make_clip(fps=5, seconds=40, draw=brighter), tmp_path / "set")
    assert 8 <= len(found.frames) <= 20
    assert all(sample.motion < 17 / 255 for sample in found.samples)


def test_set_is_published_and_loaded_again(make_clip, tmp_path):
    folder = tmp_path / "library" / "frames" / "set"
    found = sample(make_clip(), folder, 0.5)
    assert load_frames(folder) == found
    assert [path.name for path in folder.parent.iterdir()] == ["set"]
    text = (folder / "index.json").read_text()
    assert str(tmp_path) not in text
    moved = folder.rename(tmp_path / "elsewhere")
    assert [f.path.parent for f in load_frames(moved).frames] == [moved] * len(found.frames)
    assert load_frames(folder) is None


def test_every_sample_has_its_frame_and_spans_join(make_clip, tmp_path, read_time):
    found = sample(make_clip(times=[0, 0.04, 0.5, 2.0, 2.01, 3.9], gop=2), tmp_path / "set", 0.5)
    assert [s.time_s for s in found.samples] == [0, 0.5, 2.0, 3.9]
    assert all(a.end_s == b.start_s for a, b in pairwise(found.frames))
    assert found.frames[-1].end_s == found.duration_s
    for entry in found.samples:
        frame = found.frames[entry.frame]
        assert frame.start_s <= entry.time_s <= frame.end_s
        assert read_time(frame.image()) == pytest.approx(entry.time_s, abs=1e-3)


def test_measurements(make_clip, tmp_path):
    colours = {"red": (220, 20, 30), "black": (0, 0, 0), "white": (255, 255, 255)}

    def draw(time_s, width, height):
        picture = np.zeros((height, width, 3), np.uint8)
        picture[:] = list(colours.values())[min(int(time_s), 2)]
        picture[:, : width // 4] = (30, 60, 210)
        return picture

    found = sample(make_clip(seconds=3, draw=draw), tmp_path / "set")
    for entry, name in zip(found.samples, colours, strict=True):
        shares = dict(zip(COLOUR_NAMES, entry.colours, strict=True))
        assert sum(entry.colours) == pytest.approx(1)
        assert shares[name] == pytest.approx(0.75, abs=0.03)
        assert shares["blue"] == pytest.approx(0.25, abs=0.03)
    assert found.samples[0].motion == 0
    assert found.samples[2].motion == pytest.approx(0.75, abs=0.03)
    assert found.samples[2].brightness - found.samples[1].brightness == pytest.approx(
        0.75, abs=0.03
    )


@pytest.mark.parametrize(
    ("colour", "name"),
    [
        ((0, 0, 0), "black"), ((128, 128, 128), "grey"), ((255, 255, 255), "white"),
        ((230, 20, 20), "red"), ((255, 140, 0), "orange"), ((255, 230, 0), "yellow"),
        ((20, 160, 40), "green"), ((0, 220, 220), "cyan"), ((20, 40, 220), "blue"),
        ((130, 20, 190), "purple"), ((255, 110, 180), "pink"), ((255, 182, 193), "pink"),
        ((120, 70, 20), "brown"), ((139, 69, 19), "brown"),
    ],
)  # fmt: skip
def test_colours_are_named_as_people_do(colour, name):
    shares = colour_shares(np.full((40, 60, 3), colour, np.uint8))
    assert shares[COLOUR_NAMES.index(name)] == 1


def test_two_runs_give_the_same_files(make_clip, tmp_path):
    path = make_clip(b_frames=3)
    first, second = sample(path, tmp_path / "a"), sample(path, tmp_path / "b")
    assert first.samples == second.samples
    for name in [INDEX, *(frame.path.name for frame in first.frames)]:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


INDEX = "index.json"


def test_an_older_set_is_replaced_as_a_whole(make_clip, tmp_path):
    path = make_clip()
    sample(path, tmp_path / "set", 0.2)
    found = sample(path, tmp_path / "set", 2.0)
    assert load_frames(tmp_path / "set") == found
    assert len(list((tmp_path / "set").iterdir())) == 1 + len(found.frames)


def test_progress_ends_at_the_end(make_clip, tmp_path):
    calls = []
    sample(make_clip(), tmp_path / "set", progress=lambda done, total: calls.append((done, total)))
    assert calls == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]


def test_stop_leaves_nothing(make_clip, tmp_path):
    answers = iter([False, False, True])
    with pytest.raises(StoppedError):
        sample(make_clip(), tmp_path / "sets" / "set", stopped=lambda: next(answers))
    assert list((tmp_path / "sets").iterdir()) == []


def test_damaged_set_counts_as_none(make_clip, tmp_path, caplog):
    found = sample(make_clip(), tmp_path / "set")
    found.frames[1].path.unlink()
    assert load_frames(tmp_path / "set") is None
    assert "1 pictures are missing" in caplog.text
    with pytest.raises(StorageError):
        found.frames[1].image()
    (tmp_path / "set" / INDEX).write_text(json.dumps({"version": 99}))
    assert load_frames(tmp_path / "set") is None


class NothingDecodes:
    def every(self, step_s):
        yield from ()


class Breaks:
    """A reader whose disk fails after two pictures."""

    def every(self, step_s):
        yield Frame(0.0, np.zeros((20, 20, 3), np.uint8))
        yield Frame(1.0, np.full((20, 20, 3), 255, np.uint8))
        raise OSError(errno.EIO, "the video's disk broke")


def test_no_picture_is_an_error_not_an_empty_set(tmp_path):
    with pytest.raises(InputError, match="no picture"):
        sample_frames(NothingDecodes(), tmp_path / "set", 5.0, 1.0)
    assert list(tmp_path.iterdir()) == []


def test_a_broken_source_is_not_blamed_on_the_library(tmp_path):
    with pytest.raises(OSError, match="the video's disk broke"):
        sample_frames(Breaks(), tmp_path / "set", 5.0, 1.0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_full_disk_is_said_and_leaves_nothing(make_clip, tmp_path, monkeypatch):
    path, write = make_clip(), Path.write_bytes

    def onto_a_full_disk(self, data):
        return write(Path("/dev/full") if self.name == "000002.jpg" else self, data)

    monkeypatch.setattr(Path, "write_bytes", onto_a_full_disk)
    with pytest.raises(StorageError, match="disk is full; free some space"):
        sample(path, tmp_path / "sets" / "set")
    assert list((tmp_path / "sets").iterdir()) == []


def test_read_only_folder_names_the_remedy(make_clip, tmp_path, as_plain_user):
    path = make_clip(seconds=0.2)
    video = probe(path)
    reader = open_video(video)
    tmp_path.chmod(0o555)
    with as_plain_user(), pytest.raises(StorageError, match="--set library=DIR or REELGRAPH_LIB"):
        sample_frames(reader, tmp_path / "sets" / "set", video.duration_s, 1.0)
    tmp_path.chmod(0o755)


def test_a_kill_leaves_no_half_set_and_the_next_run_cleans_up(make_clip, tmp_path):
    path, folder = make_clip(seconds=8), tmp_path / "sets" / "set"
    script = """
        import os, signal, sys
        from pathlib import Path
        from tools.media.frames import sample_frames
        from tools.media.readers import open_video
        from tools.media.video import probe
        def die(done_s, total_s):
            if done_s >= 4:
                os.kill(os.getpid(), signal.SIGKILL)
        video = probe(sys.argv[1])
        sample_frames(open_video(video), Path(sys.argv[2]), video.duration_s, 1.0, progress=die)
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(path), str(folder)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert load_frames(folder) is None
    assert [child.name for child in folder.parent.iterdir()] == [".set.part"]
    found = sample(path, folder)
    assert [child.name for child in folder.parent.iterdir()] == ["set"]
    assert load_frames(folder) == found


def peak_mb(path: Path, folder: Path) -> float:
    script = """
        import sys
        from pathlib import Path
        from tools.media.frames import sample_frames
        from tools.media.readers import open_video
        from tools.media.video import probe
        video = probe(sys.argv[1])
        sample_frames(open_video(video), Path(sys.argv[2]), video.duration_s, 0.2)
        print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(path), str(folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(done.stdout) / 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory from /proc")
def test_memory_does_not_grow_with_the_length(make_clip, tmp_path):
    size = (640, 360)
    short = peak_mb(make_clip("short.mp4", seconds=2, size=size), tmp_path / "a")
    long = peak_mb(make_clip("long.mp4", seconds=24, size=size), tmp_path / "b")
    # 110 further pictures of 0.7 MB would be 75 MB if they were kept.
    assert long - short < 25
    assert load_frames(tmp_path / "b").duration_s == 24


def screen(digit, size):
    image = Image.new("RGB", (1920, 1080), "white")
    text = f"Backup {digit} of the observatory took seconds"
    ImageDraw.Draw(image).text((300, 500), text, font=ImageFont.load_default(size), fill="#333")
    return np.asarray(image)


def test_a_picture_with_small_letters_is_also_kept_as_it_came(make_clip, tmp_path):
    path = make_clip(
        fps=4, seconds=4, size=(1920, 1080), draw=changing_at(2.0, screen(3, 14), screen(8, 14))
    )
    found = sample(path, tmp_path / "set", max_side=1280)
    assert [(f.start_s, f.end_s) for f in found.frames] == [(0, 2), (2, 4)]
    assert [f.bgr().shape for f in found.frames] == [(720, 1280, 3)] * 2
    assert [f.bgr(detailed=True).shape for f in found.frames] == [(1080, 1920, 3)] * 2
    assert load_frames(tmp_path / "set") == found
    found.frames[1].detail.unlink()
    assert load_frames(tmp_path / "set") is None


def test_a_picture_without_small_letters_is_kept_once(make_clip, tmp_path):
    path = make_clip(fps=4, seconds=1, size=(1920, 1080), draw=lambda *_: screen(3, 80))
    (frame,) = sample(path, tmp_path / "set", max_side=1280).frames
    assert frame.detail is None
    assert frame.bgr(detailed=True).shape == (720, 1280, 3)
