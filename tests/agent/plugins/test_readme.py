"""What the README and the reference say of plug-ins is true."""

import importlib.util
import json
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest

from agent.plugins.load import load_file

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text(encoding="utf-8")
ADDRESS = "https://example.org/7391"


@pytest.fixture
def clip(make_clip: Callable[..., Path]) -> Path:
    """Four seconds; a QR code is shown from second two on."""
    small = cv2.QRCodeEncoder.create().encode(ADDRESS)
    code = cv2.resize(small, None, fx=8, fy=8, interpolation=cv2.INTER_NEAREST)

    def draw(time_s: float, width: int, height: int) -> Any:
        image = np.full((height, width, 3), 255, np.uint8)
        if time_s >= 2:
            image[40 : 40 + len(code), 40 : 40 + len(code)] = code[..., None]
        return image

    return make_clip(size=(640, 360), draw=draw)


def section() -> str:
    return README[README.index("## Add a tool") : README.index("## Profiles")]


def test_the_ten_lines_answer_with_their_evidence(
    tmp_path: Path, reelgraph: Any, scripted_chat: Any, clip: Path
) -> None:
    (source,) = re.findall(r"```python\n(.*?)```", section(), re.DOTALL)
    assert len(source.strip().splitlines()) <= 10
    (file := tmp_path / "codes.py").write_text(source)
    scripted_chat.replies = (ADDRESS,)
    (question,) = re.findall(r'ask VIDEO "(.*?)" --plugin', section())
    asked = ("ask", clip, question, "--plugin", file, "--set", "ingest=[]", "--json")
    answer = json.loads(reelgraph(*asked).out)
    (channel,) = answer["channels"]
    assert (channel["tool"], channel["status"], channel["count"]) == ("codes", "ok", 1)
    (evidence,) = answer["evidence"]
    assert (evidence["text"], evidence["start_s"]) == (f"QR code: {ADDRESS}", 2.0)
    assert ADDRESS in answer["answer"]
    assert "codes" in reelgraph("tools", "--plugin", file).out
    assert "look\\3acodes" in reelgraph("graph", "--plugin", file).out
    least = reelgraph(*asked, "--set", "codes.least=99")
    assert json.loads(least.out)["channels"][0]["status"] == "empty"


def page_maker() -> ModuleType:
    file = ROOT / "examples" / "make_plugins_page.py"
    spec = importlib.util.spec_from_file_location("make_plugins_page", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_is_what_the_code_says() -> None:
    module = page_maker()
    written = (ROOT / "examples" / "PLUGINS.md").read_text(encoding="utf-8")
    assert written == module.page(), "run python examples/make_plugins_page.py"


def test_the_code_of_the_reference_is_a_plug_in(tmp_path: Path) -> None:
    page = (ROOT / "examples" / "PLUGINS.md").read_text(encoding="utf-8")
    (source,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (file := tmp_path / "prices.py").write_text(source)
    assert load_file(file) == ["prices"]


def test_the_types_of_the_reference_are_those_that_a_function_may_ask_for() -> None:
    from tools.function_tool import ASKED, WISHES

    names = {str(kind).split(".")[-1].rstrip("]'>") for kind in WISHES}
    assert {"StoredFrame", "FrameSet", "Video", "Question", "Phrases", "ToolInput"} <= names
    assert len(ASKED) == len(WISHES)  # Iterable for Iterator, and list[Evidence] beside them
