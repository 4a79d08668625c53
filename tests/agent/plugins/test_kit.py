"""The kit: every built-in tool keeps the contract, and a tool that breaks it is caught."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.plugins import kit
from agent.plugins.kit import CHECKS, Bench, as_pytest, check_tool
from agent.plugins.load import load_file, load_settings
from tools.forensics.measurement import Measurement
from tools.registry import tool_classes

Write = Callable[..., Path]
BUILT_IN = ("caption", "detect", "ocr", "shots", "subtitles", "transcribe")


def test_all_built_in_tools_are_checked() -> None:
    measurements = {name for name, tool in tool_classes().items() if issubclass(tool, Measurement)}
    assert set(BUILT_IN) | measurements == set(tool_classes())


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_built_in_tool_keeps_the_contract(name: str) -> None:
    results = list(check_tool(name, load_settings()))
    assert [r.check for r in results] == list(CHECKS)
    assert [r for r in results if r.status != "passed"] == []


GOOD = """
@tool
def sensor(frame: StoredFrame):
    '''Counts.'''
    return f"picture {frame.number}"
"""
test_contract = as_pytest("shots")


def sensor(body: str) -> str:
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    return f"@tool\ndef sensor(given: ToolInput):\n    '''Counts.'''\n{lines}"


BAD = {
    "spans lie inside the video": sensor("return Finding('late', 2, 300)"),
    "findings are in time order": sensor("return [Finding('b', 2, 2), Finding('a', 1, 1)]"),
    "two runs find the same": sensor("return str(random.random())"),
    "runs on a clip: no sound": sensor("return str(next(given.audio()).start_s)"),
    "runs on a clip: one frame": sensor("return str(1 / (given.video.duration_s > 1))"),
    "runs on a clip: rotated": sensor("return str(1 / (given.video.rotation == 0))"),
    "ends after Stop": sensor("given.progress(1, 3); time.sleep(1)"),
    "progress goes forward": sensor("given.progress(2, 3); given.progress(1, 3)"),
    "meets the deadline": sensor("time.sleep(2)"),
    "memory is bounded": sensor("HELD.append(b'x' * 30_000_000)"),
    "tells whether it is available": sensor("import not_there_at_all"),
}


@pytest.mark.parametrize("check", BAD)
def test_a_tool_that_breaks_the_contract_fails_its_check(
    write: Write, check: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kit, "STOP_S", 0.5)
    file = write(BAD[check], head="import random, time\nHELD = []")
    assert load_file(file) == ["sensor"]
    deadline_s = 1.0 if check == "meets the deadline" else 30.0
    result = Bench("sensor", deadline_s=deadline_s).check(check)
    assert result.status == "failed"
    assert result.detail


def test_what_is_missing_is_told_and_not_run(write: Write) -> None:
    source = """
class Sensor(Tool):
    '''Needs a device.'''
    name = kind = version = "sensor"

    def available(self):
        return Availability(False, "no device", "plug one in")

    def run(self, given):
        raise AssertionError
"""
    load_file(write(source))
    results = {r.check: r for r in check_tool("sensor")}
    assert results["tells whether it is available"].status == "passed"
    assert "plug one in" in results["tells whether it is available"].detail
    assert results["two runs find the same"].status == "skipped"
    assert not [r for r in results.values() if r.status == "failed"]


def test_a_silent_remedy_fails(write: Write) -> None:
    source = """
class Sensor(Tool):
    name = kind = version = "sensor"

    def available(self):
        return Availability(False, "no device")

    def run(self, given):
        yield from ()
"""
    load_file(write(source))
    results = {r.check: r.status for r in check_tool("sensor")}
    assert results["tells whether it is available"] == "failed"
    assert results["describes itself"] == "failed"


def test_the_command_checks_a_file(write: Write, reelgraph: Any, make_clip: Any) -> None:
    file = write(GOOD)
    done = reelgraph("tools", "check", file, "--json", "--clip", make_clip(seconds=2))
    assert done.code == 0
    results = {one["check"]: one for one in json.loads(done.out)}
    assert len(results) == len(CHECKS)
    assert results["sensor: spans lie inside the video"]["detail"].endswith(" findings")


def test_the_command_tells_what_fails(write: Write, reelgraph: Any) -> None:
    done = reelgraph("tools", "check", write(BAD["two runs find the same"]), "--deadline", "5")
    assert done.code == 1
    assert "failed  sensor: two runs find the same" in done.out


@pytest.mark.parametrize(
    ("given", "words"), [("shot", "did you mean 'shots'"), ("none.py", "no plug-in")]
)
def test_the_command_names_what_is_not_there(reelgraph: Any, given: str, words: str) -> None:
    done = reelgraph("tools", "check", given)
    assert done.code == 2
    assert words in done.err
