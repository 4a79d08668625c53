"""Repeated frames, other values whose truth is known, and what the file says of itself."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tools.evidence import Evidence
from tools.forensics.sampling import evenly
from tools.forensics.trajectory import steps, turns

Moving = Callable[..., Path]
Measure = Callable[..., Evidence]


def test_repeated_frames_are_counted_at_the_rate_of_the_file(
    moving: Moving, measure: Measure
) -> None:
    def held(number: float) -> tuple[float, float]:
        frame = round(number * 3)  # at 24 fps
        frame = 20 if 20 <= frame < 26 else frame - frame % 8 // 7  # a freeze, and every 8th
        return frame - 24, 0

    values = measure(moving(held, fps=24, seconds=2.5, crf=4), "duplicate_frames").data["values"]
    assert values["longest_run"] == 5
    assert values["duplicates"] == 5 + 5
    assert values["native_frames"] == 48
    smooth = measure(moving(lambda n: (3 * n - 24, 0), "smooth.mp4", fps=24), "duplicate_frames")
    assert smooth.data["values"]["duplicates"] == 0


def test_a_freeze_is_found_beside_a_cut(moving: Moving, measure: Measure) -> None:
    def held(number: float) -> tuple[float, float]:
        frame = round(number * 3)
        return 3 * (20 if 20 <= frame < 26 else frame) - 24, 0

    def cut(picture: np.ndarray, number: int) -> np.ndarray:
        return picture // 3 if number < 12 else 255 - picture[:, ::-1] // 3

    found = measure(moving(held, fps=24, seconds=2.5, crf=4, alter=cut), "duplicate_frames")
    assert found.data["values"]["longest_run"] == 5
    assert "without a cut" in found.text


def test_the_camera_explains_its_own_motion(moving: Moving, measure: Measure) -> None:
    values = measure(moving(lambda n: (3 * n - 24, n)), "camera_residual").data["values"]
    assert values["camera_px"] == pytest.approx(10**0.5 * 256 / 240, rel=0.1)
    assert values["explained_share"] > 0.8


def test_the_flow_has_the_speed_and_direction_of_the_motion(
    moving: Moving, measure: Measure
) -> None:
    values = measure(moving(lambda n: (3 * n - 24, 0)), "optical_flow").data["values"]
    assert values["mean_px"] == pytest.approx(3 * 256 / 240, rel=0.1)
    assert values["coherence"] > 0.9


def test_saturation_and_edges_of_known_pictures(moving: Moving, measure: Measure) -> None:
    def half(picture: np.ndarray, number: int) -> np.ndarray:
        flat = np.full_like(picture, 128)
        flat[:, : picture.shape[1] // 2] = (255, 0, 0)
        return flat

    clip = moving(lambda n: (0, 0), alter=half)
    assert measure(clip, "saturation").data["values"]["mean"] == pytest.approx(0.5, abs=0.03)
    assert 0 < measure(clip, "edges").data["values"]["density"] < 0.02
    black = moving(lambda n: (0, 0), "black.mp4", alter=lambda picture, n: picture * 0)
    assert measure(black, "spectrum").data["status"] == "not_applicable"


def test_noise_flattens_the_spectrum_and_raises_detail(moving: Moving, measure: Measure) -> None:
    def grain(picture: np.ndarray, number: int) -> np.ndarray:
        noise = np.random.default_rng(number).normal(0, 12, picture.shape)
        return np.asarray((picture + noise).clip(0, 255), np.uint8)

    clean = moving(lambda n: (n, 0), "clean.mp4")
    rough = moving(lambda n: (n, 0), "rough.mp4", alter=grain)
    pairs = [("spectrum", "slope"), ("spectrum", "high_share"), ("block_dct", "grade_mean")]
    pairs += [("sharpness", "mean_levels"), ("denoise_residual", "mean_levels")]
    for name, value in pairs:
        low, high = (measure(path, name).data["values"][value] for path in (clean, rough))
        assert high > low + 0.1 * abs(low), (name, value)


def test_steps_and_turns_of_a_known_path() -> None:
    path = np.array([(0, 0), (1, 0), (2, 0), (2, 1), (2, 1), (1, 1)], np.float32)
    assert turns(path) == pytest.approx([0, 90])  # a zero step has no direction
    assert steps(path, np.full(5, 2.0)) == pytest.approx(np.array([1, 1, 1, 0, 1]) * 2 / 2**0.5)


@pytest.mark.parametrize(("count", "wanted"), [(16, 4), (16, 8), (3, 4), (1, 1), (15, 4)])
def test_evenly_spread_numbers(count: int, wanted: int) -> None:
    numbers = evenly(count, wanted)
    assert len(numbers) == min(count, wanted)
    assert numbers[0] == 0
    assert max(np.diff([*numbers, count])) <= -(-count // len(numbers))


def test_the_container_says_how_it_was_written(
    make_clip: Callable[..., Path], measure: Measure
) -> None:
    found = measure(make_clip(fps=25, seconds=1, size=(320, 240), audio=True), "container_metadata")
    values = found.data["values"]
    assert (values["video_codec"], values["audio"]) == ("h264", True)
    assert (values["width"], values["height"], values["native_fps"]) == (320, 240, 25)
    assert (values["native_frames"], values["uneven_share"]) == (25, 0)
    assert values["encoder"].startswith("Lavf")
    assert found.data["view"] is None
    sound = measure(make_clip("a.m4a", picture=False, audio=True, seconds=1), "container_metadata")
    assert (sound.data["status"], sound.data["values"]["audio_codec"]) == ("ok", "aac")
    assert "width" not in sound.data["values"]


def test_real_clips_are_measured(media: Path, measure: Measure) -> None:
    found = measure(media / "pancake.mkv", "flow_change")  # timestamps in whole milliseconds
    assert found.data["status"] == "ok"
    assert "16 frames at 7.5 fps" in found.text
    repeats = measure(media / "pancake.mkv", "duplicate_frames").data["values"]
    assert repeats["share"] > 0.15  # its encoder repeated every fifth frame
    turned = [measure(media / f"rot_{angle}.mov", "saturation") for angle in (0, 90, 180, 270)]
    means = [one.data["values"]["mean"] for one in turned]
    assert max(means) - min(means) < 0.03
