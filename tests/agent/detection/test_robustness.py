"""Changed copies of a clip, with real encoders; and real measurements on two sizes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.detection.detector import Detector
from agent.detection.robustness import VARIANTS, survive, write_variant
from agent.detection.task import load_task
from tools.media.video import probe

Make = Callable[..., Any]


def test_changed_copies_are_judged_and_flips_are_counted(
    detector: Make, judge: Make, reply: Make, meter: Make, clip: Make
) -> None:
    """B26: seven variants; the drop and the flips; nothing is left behind."""
    meter(values=lambda given: {"level": 0.25 if given.video.width >= 64 else 0.1})

    def answer(messages: Any) -> str:
        high = "meter reads 0.25" in messages[-1].text
        claim = {"tool": "meter", "frame": 0, "claim": f"it reads {0.25 if high else 0.1}"}
        label = "ai_generated" if high else "real"
        evidence = [{**claim, "direction": label, "strength": "weak"}]
        return str(reply(label, evidence=evidence))

    agent: Detector = detector(judge(answer))
    path, job = clip(), agent.job()
    found = survive(agent, path, job, agent.detect(path, job))
    assert [one.name for one in found] == list(VARIANTS)
    assert {one.name for one in found if one.flipped} == {"half size", "crop"}
    assert {one.drop for one in found} == {0.0, 0.9}
    assert [e.video.path for e in agent.context.library.entries()] == [path]


@pytest.mark.parametrize(
    ("name", "size", "fps"),
    [("half size", (32, 24), 8), ("24 frames a second", (64, 48), 24), ("crop", (52, 40), 8)],
)
def test_variants_are_what_they_say(
    clip: Make, tmp_path: Path, name: str, size: tuple[int, int], fps: int
) -> None:
    write_variant(probe(clip()), VARIANTS[name], tmp_path / "v.mp4")
    made = probe(tmp_path / "v.mp4")
    assert ((made.width, made.height), made.fps) == (size, fps)
    assert made.duration_s == pytest.approx(1.0, abs=0.13)


def test_size_does_not_move_the_measurements(open_plain: Make, judge: Make, clip: Make) -> None:
    """B3: the same content at 240p and 720p reads alike after normalisation."""
    agent = Detector(open_plain(judge([])).context, load_task())
    small, large = (
        {r.tool: r for r in agent.measure(path, ["saturation", "sharpness"])}
        for path in (
            clip("s.mp4", 3, size=(426, 240), seconds=3.0),
            clip("l.mp4", 3, size=(1280, 720), seconds=3.0),
        )
    )
    for reading in (*small.values(), *large.values()):
        assert reading.status == "ok", reading.card
    for name in ("mean", "p95"):
        near = large["saturation"].numbers[name]
        assert small["saturation"].numbers[name] == pytest.approx(near, rel=0.05)


def test_a_cut_and_a_freeze_are_found_without_any_model(
    open_plain: Make, judge: Make, make_clip: Make, clip: Make
) -> None:
    """The second shipped task: rules over real tools; no model is called."""
    import numpy as np

    def two_scenes(time_s: float, width: int, height: int) -> Any:
        return np.full((height, width, 3), (200, 40, 40) if time_s < 3 else (20, 60, 220), np.uint8)

    chat = judge([])
    agent = Detector(open_plain(chat).context, load_task("edits"))
    found = agent.detect(make_clip("cut.mp4", seconds=6.0, fps=8, size=(64, 48), draw=two_scenes))
    assert (found.label, found.by) == ("edited", "rules")
    assert found.claims[0].tool == "shots"
    assert found.claims[0].start_s == pytest.approx(3.0, abs=1.0)
    assert chat.payloads == []
