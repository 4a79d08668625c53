"""The samplers of `direct`, from the command line and on a clip whose scenes are known."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from agent.session import Session
from tools.errors import InputError

QUESTION = "What happens?"


@pytest.fixture
def settings(tiny_model: Callable[[str], Path]) -> dict[str, Any]:
    return {
        "method": "direct",
        "chat.model": str(tiny_model("smolvlm")),
        "chat.max_new_tokens": 2,
        "image_encoder.model": str(tiny_model("siglip")),
        "sampling.step_s": 0.2,
        "direct.frames": 4,
    }


@pytest.fixture
def clip(make_clip: Callable[..., Path]) -> Path:
    """Two seconds."""
    return make_clip(seconds=2, size=(64, 48))


@pytest.mark.parametrize("sampler", ["even", "clusters", "tree"])
def test_from_the_command_line(
    reelgraph: Callable[..., Any], clip: Path, settings: dict[str, Any], sampler: str
) -> None:
    values = {**settings, "direct.sampler": sampler}
    sets = [part for key in list(values)[1:] for part in ("--set", f"{key}={values[key]}")]
    ask = ("ask", clip, QUESTION, "--method", "direct", "--json", *sets)
    plan = json.loads(reelgraph(*ask, "--dry-run").out)
    assert plan["visuals"]["sampler"] == sampler
    assert len(plan["frames"]) == (4 if sampler == "even" else 0)
    assert ("image encoder" in plan["models"]) == (sampler != "even")
    done = reelgraph(*ask)
    assert done.code in (0, 3), done.err


def draw_scenes(time_s: float, width: int, height: int) -> npt.NDArray[np.uint8]:
    """Red for three seconds, green for a half, then blue, with an edge that moves all the time."""
    colour = (220, 10, 10) if time_s < 3 else (10, 220, 10) if time_s < 3.5 else (10, 10, 220)
    picture = np.full((height, width, 3), colour, np.uint8)
    picture[:, : 1 + int(time_s * 4)] //= 2
    return picture


def test_one_picture_of_each_scene_however_short(
    make_clip: Callable[..., Path], settings: dict[str, Any]
) -> None:
    clip = make_clip(seconds=5, size=(64, 48), fps=10, draw=draw_scenes)
    settings |= {"direct.frames": 3, "direct.sampler": "clusters"}
    times_s = shown(Session(settings=settings), clip)
    assert [(time_s >= 3) + (time_s >= 3.5) for time_s in times_s] == [0, 1, 2]
    even = shown(Session(settings=settings | {"direct.sampler": "even"}), clip)
    assert [(time_s >= 3) + (time_s >= 3.5) for time_s in even] == [0, 0, 2]


def test_a_tree_shows_no_more_than_asked_and_the_same_twice(
    make_clip: Callable[..., Path], settings: dict[str, Any]
) -> None:
    clip = make_clip(seconds=5, size=(64, 48), fps=10, draw=draw_scenes)
    session = Session(settings=settings | {"direct.sampler": "tree"})
    times_s = shown(session, clip)
    assert 1 <= len(times_s) <= 4
    assert times_s == sorted(times_s)
    assert shown(session, clip) == times_s


def shown(session: Session, clip: Path) -> list[float]:
    """Return the times of the pictures that the model was shown, in seconds."""
    folder = clip.parent / f"shown-{len(list(clip.parent.iterdir()))}"
    list(session.stream(clip, QUESTION, save_visuals=folder))
    return [float(file.stem.split("-")[-1].rstrip("s")) for file in sorted(folder.iterdir())]


def test_without_an_encoder_a_sampler_says_what_it_needs(
    clip: Path, settings: dict[str, Any]
) -> None:
    settings |= {"image_encoder.model": "none", "direct.sampler": "tree"}
    with pytest.raises(InputError, match=r"direct\.sampler=tree .*--set image_encoder\.model=NAME"):
        Session(settings=settings).ask(clip, QUESTION)
