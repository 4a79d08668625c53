"""Behaviour 29: a plan is plain data, the same bytes in every process."""

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import pytest

from agent.frames.sampling import centre_ids, ts_parity_ids
from agent.visual.budget import Budget, fit_layout
from agent.visual.encoding import TowerSpec
from agent.visual.layouts import PRESETS, parse_layout, ts_llava
from agent.visual.plan import VisualPlan, plan_grid, plan_tokens

CLIP = TowerSpec(336, 14, (0.5,) * 3, (0.5,) * 3)
SIGLIP = TowerSpec(384, 14, (0.5,) * 3, (0.5,) * 3)


@dataclass(frozen=True)
class At:
    """A frame of a video of 25 frames a second."""

    index: int

    @property
    def time_s(self) -> float:
        return self.index / 25


def plan(
    name: str = "V2", tower: TowerSpec = CLIP, limit: int = 8192, parity: bool = False
) -> VisualPlan:
    layout = parse_layout(name)
    choose = ts_parity_ids if parity else centre_ids
    frames = tuple(At(index) for index in choose(1000, layout.frames))
    budget = Budget(limit, 100, 16)
    fitted = fit_layout(layout, tower.grid(len(frames), parity), budget)
    return plan_tokens(fitted, frames, 1000, tower, budget, parity)


def test_a_plan_of_tokens_says_all_that_is_shown() -> None:
    said = json.loads(plan(parity=True).dumps())
    assert [frame["index"] for frame in said["frames"]][:3] == [10, 30, 50]
    assert said["frames"][0]["time_s"] == pytest.approx(0.4)
    (thumbnail,) = said["pictures"]
    assert (thumbnail["rows"], thumbnail["columns"]) == (3, 2)
    assert (thumbnail["width"], thumbnail["height"]) == (336, 336)
    assert thumbnail["frames"] == [0, 10, 20, 29, 39, 49]
    assert said["token_ids"] == "128c1e018d5559cb"
    assert said["visual_tokens"] == 3456
    samples, cells = said["spans"]
    assert (samples["kind"], samples["start"], samples["tokens"]) == ("Sampled", 0, 2880)
    assert (cells["kind"], cells["start"], cells["tokens"]) == ("Thumbnails", 2880, 576)
    assert samples["frames"] == list(range(50))
    assert said["notes"] == []


@pytest.mark.parametrize("name", ["V1", "Y3", "X2", "Z2", "U3", "W3b", *PRESETS])
def test_every_layout_can_be_planned(name: str) -> None:
    planned = plan(name)
    assert sum(span.tokens for span in planned.spans) == planned.visual_tokens
    assert planned.spans[0].start == 0
    assert (planned.token_ids is None) == (name not in {"V1", "Y3", "U3", "W3b"})


def test_a_plan_says_what_was_left_out_and_what_is_blurred() -> None:
    cut = plan(limit=3520)
    assert (cut.visual_tokens, cut.cut) == (3404, 52)
    assert "52 of 3456 visual tokens were left out" in cut.notes[0]
    assert "some tokens mix two frames" in plan(tower=SIGLIP).notes[0]


def test_a_plan_of_a_grid_says_its_size_and_cost() -> None:
    frames = tuple(At(index) for index in centre_ids(300, 6))
    planned = plan_grid(frames, 300, 640, 360, 2536)
    (grid,) = planned.pictures
    assert (grid.width, grid.height, grid.rows, grid.columns) == (1280, 1080, 3, 2)
    assert planned.visual_tokens == grid.tokens == 2536
    assert planned.token_ids is None


PROGRAM = """
import sys
from agent.visual.budget import Budget, fit_layout
from agent.visual.encoding import TowerSpec
from agent.frames.sampling import centre_ids
from agent.visual.layouts import ts_llava
from agent.visual.plan import plan_tokens
class At:
    def __init__(self, index):
        self.index, self.time_s = index, index / 25
tower = TowerSpec(336, 14, (0.5,) * 3, (0.5,) * 3)
frames = tuple(At(index) for index in centre_ids(1000, 50))
budget = Budget(8192, 100, 16)
fitted = fit_layout(ts_llava(), tower.grid(50), budget)
print(plan_tokens(fitted, frames, 1000, tower, budget).dumps())
print("torch" in sys.modules)
"""


def test_a_plan_has_the_same_bytes_in_another_process_and_needs_no_torch() -> None:
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    printed, torch_loaded = run.stdout.splitlines()
    assert printed == plan().dumps()
    assert torch_loaded == "False"


def test_a_grid_of_unknown_cost_is_planned_all_the_same() -> None:
    planned: dict[str, Any] = plan_grid((At(0),), 1, 10, 20).to_json()
    assert planned["visual_tokens"] is None
    assert planned["pictures"][0]["rows"] == 1
    assert ts_llava().name == "V2"
