import json
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from tools.base import ToolInput
from tools.evidence import Evidence
from tools.media.frames import COLOUR_NAMES, FrameSet, Sample, sample_frames
from tools.media.readers import open_video
from tools.media.video import Video, probe
from tools.shots import Shots, ShotsOptions, find_cuts, say_colours, say_light, say_motion

Picture = npt.NDArray[np.uint8]
Draw = Callable[[float, int, int], Picture]
MakeClip = Callable[..., Path]
VIDEO = Video(Path("a.mp4"), "0" * 64, 0.4, 160, 120, 0, None, False, ())


@cache
def scene(seed: int, width: int, height: int) -> Picture:
    """A still of soft blobs in four colours of its own."""
    random = np.random.default_rng(seed)
    palette = random.integers(0, 256, (4, 3), np.uint8)
    blobs = Image.fromarray(palette[random.integers(0, 4, (5, 7))])
    return np.asarray(blobs.resize((width, height), Image.Resampling.BICUBIC))


def alive(still: Picture, time_s: float) -> Picture:
    """A picture with grain and a white ball that wanders about."""
    height, width = still.shape[:2]
    grain = np.random.default_rng(int(time_s * 1000)).normal(0, 4, still.shape)
    y, x = np.mgrid[:height, :width]
    centre = width * (0.5 + 0.4 * np.sin(2 * time_s)), height * (0.5 + 0.4 * np.cos(1.3 * time_s))
    ball = (x - centre[0]) ** 2 + (y - centre[1]) ** 2 < (height / 8) ** 2
    return np.where(ball[..., None], 245, np.clip(still + grain, 0, 255)).astype(np.uint8)


def scenes_at(cuts: list[float], seed: int) -> Draw:
    def draw(time_s: float, width: int, height: int) -> Picture:
        number = sum(time_s >= cut for cut in cuts)
        return alive(scene(seed + number, width, height), time_s)

    return draw


def shots(path: Path, step_s: float, folder: Path) -> list[Evidence]:
    video = probe(path)
    frames = sample_frames(open_video(video), folder, video.duration_s, step_s)
    return list(Shots().run(ToolInput(video, frames)))


def cut_times(found: list[Evidence]) -> list[float]:
    return [one.start_s for one in found[1:]]


@pytest.mark.parametrize("step_s", [0.5, 1.0])
@pytest.mark.parametrize("seed", [0, 100, 200])
def test_every_cut_is_found_within_a_step_and_nothing_else(
    make_clip: MakeClip, tmp_path: Path, seed: int, step_s: float
) -> None:
    gaps = np.random.default_rng(seed).uniform(2.2, 6, 5)
    cuts = [float(cut) for cut in np.cumsum(gaps)]
    clip = make_clip(fps=10, seconds=cuts[-1] + 3, size=(160, 120), draw=scenes_at(cuts, seed))
    found = cut_times(shots(clip, step_s, tmp_path / "frames"))
    assert len(found) == len(cuts)
    for time_s, cut in zip(found, cuts, strict=True):
        assert -0.1 <= time_s - cut <= step_s + 0.1


def test_shots_cover_the_video_and_are_numbered(make_clip: MakeClip, tmp_path: Path) -> None:
    clip = make_clip(fps=10, seconds=9, size=(160, 120), draw=scenes_at([3, 6], 7))
    found = shots(clip, 0.5, tmp_path / "frames")
    assert (found[0].start_s, found[-1].end_s) == (0, pytest.approx(9, abs=0.1))
    assert all(one.end_s == other.start_s for one, other in pairwise(found))
    assert [one.data["index"] for one in found] == [1, 2, 3]
    assert [one.text.split(",")[0] for one in found] == ["Shot 1", "Shot 2", "Shot 3"]


def fade(time_s: float, width: int, height: int) -> Picture:
    share = float(np.clip((time_s - 3) / 5, 0, 1))
    mixed = (1 - share) * scene(1, width, height) + share * scene(2, width, height)
    return alive(mixed.astype(np.uint8), time_s)


def pan(time_s: float, width: int, height: int) -> Picture:
    wide = scene(3, 4 * width, height)
    left = round(time_s / 12 * 3 * width)
    return np.ascontiguousarray(wide[:, left : left + width])


def passer_by(time_s: float, width: int, height: int) -> Picture:
    """A dark block, a fifth of the picture wide, that crosses it from 3 s to 9 s."""
    picture = scene(4, width, height).copy()
    left = round((time_s - 3) / 6 * 1.2 * width - 0.2 * width)
    picture[:, max(0, left) : max(0, left + width // 5)] = 20
    return picture


@pytest.mark.parametrize("draw", [fade, pan, passer_by])
@pytest.mark.parametrize("step_s", [0.5, 1.0])
def test_fade_pan_and_passing_object_are_no_cuts(
    make_clip: MakeClip, tmp_path: Path, draw: Draw, step_s: float
) -> None:
    clip = make_clip(fps=10, seconds=12, size=(160, 120), draw=draw)
    assert cut_times(shots(clip, step_s, tmp_path / "frames")) == []


def test_a_shot_is_described_by_light_colour_and_motion(
    make_clip: MakeClip, tmp_path: Path
) -> None:
    def draw(time_s: float, width: int, height: int) -> Picture:
        picture = np.full((height, width, 3), (30, 60, 230), np.uint8)
        picture[: height // 3] = 255
        return picture if time_s < 4 else np.zeros_like(picture)

    clip = make_clip(fps=10, seconds=10, size=(160, 120), draw=draw)
    first, second = shots(clip, 0.5, tmp_path / "frames")
    assert first.text == "Shot 1, 4 s long: medium light, mostly blue and white, still"
    assert second.text == "Shot 2, 6 s long: dark, mostly black, still"
    data = json.loads(json.dumps(first.to_json()))["data"]
    assert data["colours"]["blue"] == pytest.approx(2 / 3, abs=0.03)
    assert data["brightness"] == pytest.approx((1 + 2 * 0.28) / 3, abs=0.05)


def sample(time_s: float, colour: int, motion: float = 0.0) -> Sample:
    shares = [0.0] * len(COLOUR_NAMES)
    shares[colour] = 1.0
    return Sample(time_s, 0, 0.5, motion, tuple(shares))


def test_of_two_close_cuts_the_stronger_stays() -> None:
    samples = [*(sample(t / 2, 0) for t in range(6)), sample(3, 1, 0.1), sample(3.5, 2, 0.4)]
    samples += [sample(4 + t / 2, 2) for t in range(6)]
    assert find_cuts(samples, ShotsOptions()) == [7]
    assert find_cuts(samples, ShotsOptions(min_shot_s=0)) == [6, 7]


def test_one_sample_is_one_shot_and_none_is_none() -> None:
    def run(*samples: Sample) -> list[Evidence]:
        return list(Shots().run(ToolInput(VIDEO, FrameSet(Path(), 0.4, (), samples))))

    assert [(one.start_s, one.end_s) for one in run(sample(0.02, 3))] == [(0, 0.4)]
    assert run() == []


def test_words() -> None:
    assert (say_light(0.1), say_light(0.5), say_light(0.9)) == ("dark", "medium light", "bright")
    assert (say_motion(0), say_motion(0.03), say_motion(0.2)) == (
        "still",
        "some motion",
        "much motion",
    )
    assert say_colours({"red": 0.3, "blue": 0.4, "grey": 0.3}) == "mostly blue, red and grey"
    assert say_colours(dict.fromkeys(COLOUR_NAMES, 1 / 12)) == "many colours"


def test_cuts_of_a_real_clip_with_much_motion(media: Path, tmp_path: Path) -> None:
    # Seen by eye: cuts at about 3.5, 7.5 and 10.5 s between people who never stand still.
    for step_s in (0.5, 1.0):
        found = cut_times(shots(media / "stretching.mp4", step_s, tmp_path / str(step_s)))
        assert found == pytest.approx([3.5, 7.5, 10.5], abs=step_s + 0.1)
    assert cut_times(shots(media / "pancake.mkv", 1.0, tmp_path / "pancake")) == []
