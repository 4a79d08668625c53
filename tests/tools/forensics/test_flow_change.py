"""B2: what the second difference of the flow says of motion that is known."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from tools.evidence import Evidence

Moving = Callable[..., Path]
Measure = Callable[..., Evidence]
Picture = npt.NDArray[np.uint8]


def even(number: float) -> tuple[float, float]:
    return 3.0 * number - 24, 1.0 * number - 8


def test_constant_velocity_has_almost_no_change(moving: Moving, measure: Measure) -> None:
    found = measure(moving(even), "flow_change")
    assert found.data["status"] == "ok"
    assert found.data["values"]["second_ratio"] < 0.05


def test_constant_acceleration_has_little(moving: Moving, measure: Measure) -> None:
    clip = moving(lambda number: (1.0 * number + 0.15 * number**2 - 24, 0))
    assert measure(clip, "flow_change").data["values"]["second_ratio"] < 0.2


def test_jitter_has_much(moving: Moving, measure: Measure) -> None:
    places = np.random.default_rng(1).uniform(-6, 6, (32, 2))
    clip = moving(lambda number: tuple(places[round(number)]))
    assert measure(clip, "flow_change").data["values"]["second_ratio"] > 0.8


def warped(picture: Picture, number: int) -> Picture:
    """A picture bent by a smooth field of some pixels, another for each frame."""
    random = np.random.default_rng(number)
    height, width = picture.shape[:2]
    field = [cv2.GaussianBlur(random.normal(0, 1, (height, width)), (0, 0), 12) for _ in "xy"]
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    x, y = (at + 4 * one / one.std() for at, one in zip((x, y), field, strict=True))
    at = np.float32(x), np.float32(y)
    return np.asarray(cv2.remap(picture, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT))


def test_a_random_warp_of_each_frame_has_much(moving: Moving, measure: Measure) -> None:
    found = measure(moving(even, alter=warped), "flow_change")
    assert found.data["values"]["second_ratio"] > 0.5
    calm = measure(moving(even, "calm.mp4"), "flow_change")
    key = "warp_residual_levels"
    assert found.data["values"][key] > 1.5 * calm.data["values"][key]


@pytest.mark.parametrize("fps", [24, 30, 25, 12])
def test_the_rate_of_the_file_makes_no_motion_uneven(
    moving: Moving, measure: Measure, fps: int
) -> None:
    # 30 fps has no whole number of frames in 1/8 s; uneven sampling alone would give 0.13.
    clip = moving(lambda number: (3.0 * number - 24, 0), fps=fps, seconds=2.5)
    values = measure(clip, "flow_change").data["values"]
    assert values["second_ratio"] < 0.05
    speed = measure(clip, "optical_flow").data["values"]["mean_px"]
    assert speed == pytest.approx(3 * 256 / 240, rel=0.1)  # px per 1/8 s, whatever the rate


def noisy(picture: Picture, number: int) -> Picture:
    grain = np.random.default_rng(number).normal(0, 4, picture.shape)
    return np.asarray((picture + grain).clip(0, 255), np.uint8)


@pytest.mark.parametrize("alter", [lambda picture, number: picture, noisy])
@pytest.mark.parametrize(
    "name",
    [
        *("optical_flow", "flow_change", "ssim_jitter", "camera_residual"),
        *("duplicate_frames", "d3_pixel", "curvature_pixel"),
    ],
)
def test_a_static_clip_is_not_applicable_with_or_without_noise(
    moving: Moving, measure: Measure, name: str, alter: Callable[[Picture, int], Picture]
) -> None:
    found = measure(moving(lambda number: (0, 0), alter=alter), name)
    assert found.data["status"] == "not_applicable"
    assert found.data["view"] is None
    assert found.data["values"]["mean_px"] < 0.25
    assert "static" in found.text


def test_a_cut_is_not_motion(moving: Moving, measure: Measure) -> None:
    def cut(picture: Picture, number: int) -> Picture:
        return 255 - picture[:, ::-1] // 3 if number >= 8 else picture // 3

    whole, found = (
        measure(moving(even), "flow_change"),
        measure(moving(even, alter=cut), "flow_change"),
    )
    assert found.data["status"] == "ok"
    assert "the longest stretch without a cut" in found.text
    assert (found.start_s, found.end_s) == pytest.approx((0.0, 1.0), abs=0.01)
    assert len(found.data["frames"]) == 8
    assert found.data["values"]["second_ratio"] == pytest.approx(
        whole.data["values"]["second_ratio"], abs=0.05
    )


def test_stretches_between_cuts_that_are_too_short_are_not_applicable(
    moving: Moving, measure: Measure
) -> None:
    def cuts(picture: Picture, number: int) -> Picture:
        return 255 - picture[:, ::-1] // 3 if 5 <= number < 10 else picture // 3

    found = measure(moving(even, alter=cuts), "flow_change")
    assert found.data["status"] == "not_applicable"
    assert "the longest stretch without a cut is too short, 6 frame(s)" in found.text
