"""Short videos, a question file, and a plug-in whose model and tool misbehave on request."""

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.batch.engine import Events
from agent.batch.records import Job, Row
from agent.batch.work import JobControl, WorkSettings, answer_job
from agent.plugins.load import REGISTRIES
from agent.records import Question

PLUG_IN = '''
import os, re, signal, time
from pathlib import Path
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from agent.models.chat_model import Capabilities, ChatModel
from agent.models.engines import ChatEngine
from tools.base import Tool
from tools.evidence import Evidence

CAN = Capabilities(images=False, max_images=0, context_tokens=8192, option_scoring=False,
                   visual_tokens=False, tool_calling=False)
HERE = Path(__file__).parent

class Parrot(ChatModel):
    """Says the code of the notes, or does what a question tells it to."""

    @property
    def _llm_type(self):
        return "parrot"

    @property
    def capabilities(self):
        return CAN

    def count_tokens(self, text):
        return len(text.split())

    def image_tokens(self, width, height, count=1):
        return 0

    def score_options(self, messages, options):
        return [0.0 for _ in options]

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        prompt = messages[-1].text
        time.sleep(float((HERE / "slow").read_text()) if (HERE / "slow").exists() else 0)
        if "please hang" in prompt:
            time.sleep(600)
        once = HERE / "crashed"
        if "please crash" in prompt or ("crash once" in prompt and not once.exists()):
            once.write_text("")
            os.kill(os.getpid(), signal.SIGSEGV)
        if "please fail" in prompt and not (HERE / "mended").exists():
            raise ValueError("no luck")
        message = AIMessage(re.findall(r"code is (\\d+)", prompt)[-1],
                            response_metadata={"cost": 0.00014}, usage_metadata={
            "input_tokens": 10, "output_tokens": 2, "total_tokens": 12})
        return ChatResult(generations=[ChatGeneration(message=message)])

class Sensor(Tool):
    """Hangs on a video called stuck, whatever Stop says."""

    name, kind, version = "sensor", "speech", "1"
    needs = frozenset({"file"})

    def run(self, given):
        with (HERE / "looked").open("a") as file:
            file.write(given.video.path.name + "\\n")
        if given.video.path.stem == "stuck":
            time.sleep(600)
        yield Evidence("", "", 0.0, 1.0, "20 degrees")

ENGINE = ChatEngine("parrot", "says a code", "1",
                    lambda settings, where: Parrot(name=settings.model), lambda settings: CAN)
'''
CODES = {"a": 7391, "b": 7392, "c": 7393, "d": 7394}


class InlineEngine:
    """Does the work in this process, one row after the other."""

    def run(
        self,
        jobs: Iterable[Job],
        settings: WorkSettings,
        stopped: Callable[[], bool] = lambda: False,
    ) -> Events:
        session, control = settings.open(), JobControl()
        for job in () if stopped() else jobs:
            for event in answer_job(session, job, settings, control):
                yield event
                if stopped():
                    return


@pytest.fixture
def inline() -> InlineEngine:
    """An engine in this process."""
    return InlineEngine()


@pytest.fixture
def plugin(tmp_path: Path) -> Iterator[Path]:
    """The file of the plug-in; it leaves marks beside itself and looks for some."""
    file = tmp_path / "plugin" / "parrot.py"
    file.parent.mkdir()
    file.write_text(PLUG_IN)
    yield file
    for registry in REGISTRIES:
        registry.remove(str(file))


@pytest.fixture
def overrides(plugin: Path) -> dict[str, Any]:
    """Settings with the plug-in's model and tool, and no other."""
    return {
        "plugins": str(plugin),
        "chat.engine": "parrot",
        "chat.model": "grey",
        "method": "subtitles-only",
        "ingest": "[subtitles, sensor]",
    }


@pytest.fixture
def work(overrides: dict[str, Any]) -> WorkSettings:
    """How rows are answered in tests."""
    return WorkSettings("embedded", overrides, deadline_s=120)


@pytest.fixture
def films(make_clip: Callable[..., Path]) -> dict[str, Path]:
    """Four short videos by name, each with a gate code of its own."""
    return {name: _film(make_clip, name, code) for name, code in CODES.items()}


def _film(make_clip: Callable[..., Path], name: str, code: int) -> Path:
    cues = [(0.1, 0.9, "Welcome to the harbour."), (1.0, 1.9, f"The gate code is {code}.")]
    return make_clip(f"films/{name}.mp4", seconds=2, fps=5, size=(64, 48), subtitles=cues)


@pytest.fixture
def stuck(make_clip: Callable[..., Path]) -> Path:
    """A video on which the tool hangs."""
    return _film(make_clip, "stuck", 1234)


@pytest.fixture
def questions(tmp_path: Path) -> Callable[..., Path]:
    """`questions(*rows)`: a question file in JSON lines; a text is one question for all videos."""

    def write(*rows: dict[str, Any] | str, name: str = "questions.jsonl") -> Path:
        plain = [{"question": row} if isinstance(row, str) else row for row in rows]
        file = tmp_path / name
        file.write_text("".join(json.dumps(row) + "\n" for row in plain))
        return file

    return write


@pytest.fixture
def row() -> Callable[..., Row]:
    """`row(id, video, text, *options)`."""

    def make(id: str, video: Path, text: str = "What is the gate code?", *options: str) -> Row:
        return Row(id, video, Question(text, options))

    return make
