import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tools.errors import InputError, MissingError
from tools.registry import TOOLS, broken_tools, make_tool, suggest, tool_classes

MEASUREMENTS = {
    *("saturation", "optical_flow", "flow_change", "sharpness", "denoise_residual", "edges"),
    *("spectrum", "block_dct", "ssim_jitter", "camera_residual", "duplicate_frames", "d3_pixel"),
    *("d3_embedding", "curvature_pixel", "curvature_embedding", "c2pa", "container_metadata"),
    *("depth", "segmentation"),
}
BUILT_IN = {"subtitles", "transcribe", "ocr", "detect", "shots", "caption", *MEASUREMENTS}
SENSOR = """
from pydantic import Field
from tools.base import Tool, ToolOptions
from tools.evidence import Evidence

class SensorOptions(ToolOptions):
    limit: int = Field(3, ge=1)

class Sensor(Tool):
    name, kind, version, Options = "sensor", "measurement", "1", SensorOptions

    def run(self, given):
        yield Evidence(self.name, self.kind, 0, 1, "12 degrees")
"""
Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install a package with one tool, as pip would, for this test."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(source: str, entry: str, name: str) -> None:
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (tmp_path / f"{name}.py").write_text(source)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[reelgraph.tools]\n{entry}\n")
        TOOLS.forget()

    yield write
    TOOLS.forget()


def test_built_in_tools_keep_the_contract() -> None:
    classes = tool_classes()
    assert classes.keys() >= BUILT_IN
    for name, tool_class in classes.items():
        tool = make_tool(name, {})
        assert (tool.name, type(tool)) == (name, tool_class)
        assert tool.kind
        assert tool.version
        assert tool.needs <= {"file", "frames", "audio", "phrases", "vision"}
        assert tool.options == tool_class.Options()
        state = tool.available()
        assert state.ok or (state.reason and state.remedy)


def test_a_package_brings_a_tool(install: Install) -> None:
    install(SENSOR, "sensor = plug_a:Sensor", "plug_a")
    assert tool_classes().keys() >= {*BUILT_IN, "sensor"}
    tool = make_tool("sensor", {"limit": 5})
    assert tool.options.model_dump() == {"limit": 5}
    assert tool.needs == frozenset()
    assert tool.available().ok


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"limt": 5}, ["sensor.limt", "'limit'"]),
        ({"limit": 0}, ["sensor.limit", "0", "greater than or equal to 1"]),
        ({"limit": "many"}, ["sensor.limit", "many"]),
    ],
)
def test_wrong_options_are_named_in_one_line(
    install: Install, options: dict[str, object], words: list[str]
) -> None:
    install(SENSOR, "sensor = plug_b:Sensor", "plug_b")
    with pytest.raises(InputError) as error:
        make_tool("sensor", options)
    assert "\n" not in str(error.value)
    for word in words:
        assert word in str(error.value)


def test_an_unknown_tool_names_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'subtitles'"):
        make_tool("subtitels", {})


def test_a_suggestion_is_the_nearest_or_all() -> None:
    known = {"red": 1, "green": 2}
    assert suggest("gren", known) == "; did you mean 'green'?"
    assert suggest("xxxxx", known) == "; known: red, green"


BROKEN = {
    "a missing package": ("import not_there_at_all", "sensor = plug_c:Sensor"),
    "another name": (SENSOR, "sensor = plug_c:Sensoor"),
    "no tool": ("Sensor = 5", "sensor = plug_c:Sensor"),
    "a function": ("def Sensor(): ...", "sensor = plug_c:Sensor"),
    "an error of its own": ("raise RuntimeError('no\\nlicence')", "sensor = plug_c:Sensor"),
    "an end of the program": ("raise SystemExit(3)", "sensor = plug_c:Sensor"),
    "broken Python": ("class Sensor(", "sensor = plug_c:Sensor"),
    "a bug": ("Sensor = Tool", "sensor = plug_c:Sensor"),
    "nothing to do": (
        "from tools.base import Tool\nclass Sensor(Tool):\n    name = kind = version = 'sensor'",
        "sensor = plug_c:Sensor",
    ),
    "no version": (
        SENSOR.replace(', "1", ', ", ").replace("version, ", ""),
        "sensor = plug_c:Sensor",
    ),
    "two names": (SENSOR, "thermometer = plug_c:Sensor"),
    "a name that is taken": (SENSOR.replace('"sensor"', '"ocr"'), "ocr = plug_c:Sensor"),
}


@pytest.mark.parametrize(("source", "entry"), BROKEN.values(), ids=BROKEN.keys())
def test_a_package_that_cannot_be_used_is_named_and_costs_no_other_tool(
    install: Install,
    source: str,
    entry: str,
    request: pytest.FixtureRequest,
    caplog: pytest.LogCaptureFixture,
) -> None:
    name = f"plug_c_{list(BROKEN).index(request.node.callspec.id)}"
    install(source, entry.replace("plug_c", name), name)
    called = entry.split(" = ")[0]
    assert tool_classes().keys() == BUILT_IN
    assert tool_classes()["ocr"].__module__ == "tools.ocr.tool"
    assert list(broken_tools()) == [called]
    assert name in broken_tools()[called]
    assert "uninstall" in broken_tools()[called]
    assert "\n" not in broken_tools()[called]
    assert [record.getMessage() for record in caplog.records] == [broken_tools()[called]]
    if called not in BUILT_IN:
        with pytest.raises(MissingError, match=re.escape(broken_tools()[called])):
            make_tool(called, {})
