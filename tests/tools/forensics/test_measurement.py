"""What all measurements share: outcomes, one decode, normalisation, views, options."""

import base64
import io
import json
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tools.base import ToolInput
from tools.errors import InputError, StoppedError
from tools.evidence import Evidence
from tools.forensics import clip as clips
from tools.forensics.clip import Clip, ClipOptions, open_clip
from tools.forensics.measurement import Measurement, Reading
from tools.media.readers import open_video
from tools.media.video import probe
from tools.registry import make_tool, tool_classes

Moving = Callable[..., Path]
Measure = Callable[..., Evidence]

NAMES = sorted(name for name, one in tool_classes().items() if issubclass(one, Measurement))
SPATIAL = ["saturation", "sharpness", "denoise_residual", "edges", "spectrum", "block_dct"]
MOTION = ["optical_flow", "flow_change", "ssim_jitter", "camera_residual", "duplicate_frames"]
MOTION += ["d3_pixel", "curvature_pixel"]
WEIGHTS = ["d3_embedding", "curvature_embedding", "depth", "segmentation"]
FILE = ["c2pa", "container_metadata"]


def even(number: float) -> tuple[float, float]:
    return 3.0 * number - 24, 1.0 * number - 8


def test_all_are_registered() -> None:
    assert sorted([*SPATIAL, *MOTION, *WEIGHTS, *FILE]) == NAMES


@pytest.mark.parametrize("name", [*SPATIAL, *MOTION])
def test_a_reading_has_values_card_and_a_numbered_view(
    moving: Moving, measure: Measure, name: str
) -> None:
    found = measure(moving(even, "secret-name.mp4"), name)
    data = json.loads(json.dumps(found.to_json(), allow_nan=False))["data"]
    assert (found.kind, data["status"]) == ("measurement", "ok")
    assert (found.start_s, found.end_s) == (0.0, 2.0)
    assert all(np.isfinite(value) for value in data["values"].values())
    assert 1 <= len(found.text.splitlines()) <= 3
    assert "16 frames at 8 fps" in found.text
    assert "secret" not in json.dumps(found.to_json())
    assert [one["number"] for one in data["frames"]] == list(range(16))
    assert [one["t_s"] for one in data["frames"]] == pytest.approx(np.arange(16) / 8)
    _check_view(data["view"])


def _check_view(view: Mapping[str, Any]) -> None:
    picture = Image.open(io.BytesIO(base64.b64decode(view["jpeg"])))
    assert picture.format == "JPEG"
    assert max(picture.size) <= 820
    assert set(view["frames"]) <= set(range(16))
    assert len(view["frames"]) >= 14
    assert len(view["legend"]) > 20


def test_numbers_are_burned_in_and_scales_do_not_follow_the_clip() -> None:
    from tools.forensics.contact_sheet import Scale, heat_sheet

    def shown(values: list[float], numbers: list[int]) -> Any:
        maps = [np.full((100, 150), value) for value in values]
        view = heat_sheet(maps, Scale(0, 10, "px", "test"), numbers)
        return np.asarray(Image.open(io.BytesIO(view.jpeg)), int), view

    sheet, view = shown([2, 9], [0, 1])
    other, _ = shown([2, 4], [7, 1])
    assert view.legend == "test: black 0 to pale yellow 10 px or more (fixed scale)"
    assert view.frames == (0, 1)
    difference = np.abs(sheet - other)
    assert difference[40:90, 20:130].max() < 8  # the same value
    assert difference[40:90, 170:280].mean() > 30  # another one
    assert np.abs(sheet[:20, :40] - other[:20, :40]).max() > 100  # "#0" and "#7"


@pytest.mark.parametrize("name", ["block_dct", "camera_residual", "flow_change", "spectrum"])
def test_two_runs_agree_to_the_last_bit(
    moving: Moving, measure: Measure, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    path, found = moving(even), []
    for _ in range(2):
        monkeypatch.setattr(clips, "_shared", clips._Shared(1))
        one = measure(path, name)
        found.append((one.text, one.data["values"], one.data["view"], one.data["params_hash"]))
    assert found[0] == found[1]


def test_the_same_clip_at_240_and_720_lines_reads_alike(moving: Moving, measure: Measure) -> None:
    small = moving(even, "small.mp4", (320, 240), crf=16)
    large = moving(even, "large.mp4", (960, 720), crf=16)
    tolerances = {  # absolute
        ("saturation", "mean"): 0.02,
        ("optical_flow", "mean_px"): 0.1,
        ("flow_change", "second_ratio"): 0.02,
        ("ssim_jitter", "mean"): 0.02,
        ("camera_residual", "camera_px"): 0.1,
        ("d3_pixel", "mean_step"): 0.01,
        ("curvature_pixel", "mean_deg"): 3.0,
        ("edges", "density"): 0.02,
        ("spectrum", "slope"): 0.5,
        ("block_dct", "grade_mean"): 2.0,
        ("sharpness", "mean_levels"): 1.0,
        ("denoise_residual", "mean_levels"): 0.3,
    }
    for (name, value), tolerance in tolerances.items():
        pair = [measure(path, name).data["values"][value] for path in (small, large)]
        assert pair[0] == pytest.approx(pair[1], abs=tolerance), (name, value)


def test_measurements_of_one_video_decode_it_once(
    moving: Moving, measure: Measure, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Any] = []
    monkeypatch.setattr(clips, "open_video", lambda *given: opened.append(1) or open_video(*given))
    path = moving(even, crf=13)
    threads = [threading.Thread(target=measure, args=(path, name)) for name in [*SPATIAL, *MOTION]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 1
    measure(path, "saturation", frames=8)
    assert len(opened) == 2


def test_few_clips_are_kept_and_frames_cannot_be_changed(moving: Moving) -> None:
    shared = clips._Shared(2)
    video = probe(moving(even))
    first = shared.get(video, ClipOptions(frames=4))
    assert shared.get(video, ClipOptions(frames=4)) is first
    for frames in (5, 6):
        shared.get(video, ClipOptions(frames=frames))
    assert shared.get(video, ClipOptions(frames=4)) is not first
    with pytest.raises(ValueError, match="read-only"):
        first.frames[0] = 0


def test_one_second_is_enough_and_a_third_is_not(moving: Moving, measure: Measure) -> None:
    second = moving(even, "second.mp4", seconds=1.0)
    third = moving(even, "third.mp4", seconds=0.375)
    for name in MOTION:
        assert measure(second, name).data["status"] == "ok", name
        short = measure(third, name)
        assert short.data["status"] == "not_applicable"
        assert "too short" in short.text


def test_one_frame(moving: Moving, measure: Measure) -> None:
    single = moving(even, seconds=0.125)
    for name in SPATIAL:
        found = measure(single, name)
        assert (found.data["status"], len(found.data["frames"])) == ("ok", 1)
        assert "jitter" not in found.data["values"]
    assert measure(single, "d3_pixel").data["status"] == "not_applicable"


@pytest.mark.parametrize("name", [*SPATIAL, *MOTION])
def test_sound_alone_is_not_applicable(
    make_clip: Callable[..., Path], measure: Measure, name: str
) -> None:
    found = measure(make_clip("sound.m4a", picture=False, audio=True, seconds=1), name)
    assert (found.data["status"], found.data["frames"]) == ("not_applicable", [])
    assert "no picture" in found.text


def test_a_rotated_clip_is_measured_upright(moving: Moving, measure: Measure) -> None:
    upright = measure(moving(even), "optical_flow")
    turned = measure(moving(even, "turned.mp4", rotation=90), "optical_flow")
    mean = "mean_px"
    assert turned.data["values"][mean] == pytest.approx(upright.data["values"][mean], rel=0.05)
    assert "341x256 px" in turned.text


def test_a_start_and_a_number_of_frames_can_be_chosen(moving: Moving, measure: Measure) -> None:
    found = measure(moving(even, seconds=4), "saturation", start_s=1.0, frames=8, short_side=128)
    assert (found.start_s, found.end_s) == (1.0, 2.0)
    assert "8 frames at 8 fps from 1.00 s, 171x128 px" in found.text
    late = measure(moving(even), "saturation", start_s=60)
    assert late.data["status"] == "error"
    assert "choose an earlier start_s" in late.text


def test_a_variable_rate_is_sampled_on_a_grid(moving: Moving, measure: Measure) -> None:
    random = np.random.default_rng(0)
    times = np.cumsum([0, *random.uniform(0.01, 0.1, 80)])
    clip = moving(lambda n: (3 * n - 24, 0), times=[float(t) for t in times], fps=30)
    found = measure(clip, "flow_change")
    assert len(found.data["frames"]) == 16
    assert found.data["values"]["second_ratio"] < 0.1  # motion per time, not per frame


class Failing(Measurement):
    name, version = "failing", "1"

    def measure(self, clip: Clip) -> Reading:
        raise RuntimeError(f"cannot open {clip.video.path}")


def test_a_failure_is_a_status_and_names_no_file(moving: Moving) -> None:
    path = moving(even, "private.mp4")
    (found,) = Failing().run(ToolInput(probe(path)))
    assert found.data["status"] == "error"
    assert found.text == "Failed: RuntimeError: cannot open the file."
    with pytest.raises(StoppedError):
        list(Failing().run(ToolInput(probe(path), stopped=lambda: True)))


@pytest.mark.parametrize("name", NAMES)
def test_unknown_options_are_rejected(name: str) -> None:
    with pytest.raises(InputError, match="unknown key"):
        make_tool(name, {"thresold": 1})


@pytest.mark.parametrize("bad", [{"frames": 0}, {"fps": 0}, {"jpeg_quality": 100}, {"start_s": -1}])
def test_options_out_of_range_are_rejected(bad: dict[str, float]) -> None:
    with pytest.raises(InputError, match="bad value"):
        make_tool("saturation", bad)


def test_the_hash_of_the_options_follows_them(moving: Moving, measure: Measure) -> None:
    path = moving(even)
    hashes = [measure(path, "edges", **o).data["params_hash"] for o in ({}, {}, {"frames": 8})]
    assert hashes[0] == hashes[1] != hashes[2]


def test_the_clip_is_shared_whatever_the_other_options(moving: Moving) -> None:
    video = probe(moving(even))
    depth = make_tool("depth", {"pictures": 3}).options
    assert isinstance(depth, ClipOptions)
    assert open_clip(video, depth) is open_clip(video, ClipOptions())
