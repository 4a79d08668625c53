"""A scripted vision model, scripted measurements, moving clips."""

import base64
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatResult
from PIL import Image
from pydantic import ConfigDict, PrivateAttr

from agent.detection.detector import Detector
from agent.detection.task import Task, parse_task
from agent.models.chat import Capabilities, ChatModel
from agent.session import Session
from tools.base import ToolInput
from tools.evidence import Evidence

Reply = str | AIMessage | Exception
Script = Sequence[Reply] | Callable[[Sequence[BaseMessage]], Reply]


class ScriptedJudge(ChatModel):
    """Returns queued replies, or those of a function, and records every payload."""

    model_config = ConfigDict(frozen=False)

    name: str = "scripted-judge"
    images: bool = True
    script: Any = ()
    _payloads: list[list[BaseMessage]] = PrivateAttr(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "scripted-judge"

    @property
    def payloads(self) -> list[list[BaseMessage]]:
        """Every conversation that was sent."""
        return self._payloads

    @property
    def texts(self) -> list[str]:
        """The whole text of each payload."""
        return ["\n".join(message.text for message in payload) for payload in self._payloads]

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(self.images, self.max_images, 32_000, False, False, False)

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    def image_tokens(self, width: int, height: int, count: int = 1) -> int:
        return 100 * count

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        self._payloads.append(messages)
        number = len(self._payloads) - 1
        script = self.script
        reply = script(messages) if callable(script) else script[min(number, len(script) - 1)]
        if isinstance(reply, Exception):
            raise reply
        message = AIMessage(reply) if isinstance(reply, str) else reply
        message.usage_metadata = UsageMetadata(input_tokens=10, output_tokens=2, total_tokens=12)
        return ChatResult(generations=[ChatGeneration(message=message)])


@pytest.fixture
def judge() -> Callable[..., ScriptedJudge]:
    """`judge([...])` or `judge(function)`: a scripted vision model."""
    return lambda script, **fields: ScriptedJudge(script=script, **fields)


@pytest.fixture
def task() -> Task:
    """A small task with one measurement, `meter`."""
    return parse_task(
        {
            "name": "toy",
            "question": "Is the clip generated?",
            "definition": "ai_generated means synthesised; real means recorded.",
            "positive": "ai_generated",
            "negative": "real",
            "outcomes": {
                "ai_generated": "signs of AI generation",
                "real": "no signs found",
                "inconclusive": "inconclusive",
            },
            "label_words": ["ai", "generated", "fake", "real", "authentic"],
            "tools": ["meter"],
            "default_kit": ["meter"],
            "motion": ["meter", "motion_analysis"],
            "min_seconds": 0.5,
            "rules": [
                {
                    "tool": "c2pa",
                    "where": {"state": "trusted", "states_generated": True},
                    "verdict": "ai_generated",
                    "says": "a trusted manifest states it",
                }
            ],
            "instructions": "Describe first what is seen.",
            "fields": [
                {"name": "raw_frame_analysis", "about": "What the frames show."},
                {"name": "motion_analysis", "about": "What changes from frame to frame."},
            ],
            "caveats": ["No signs found does not mean authentic."],
        }
    )


def reply_json(verdict: str = "ai_generated", **changed: Any) -> str:
    """A valid reply of the toy task with the kit `meter`."""
    values: dict[str, Any] = {
        "raw_frame_analysis": "A wall.",
        "motion_analysis": "It shakes.",
        "meter_analysis": "The meter reads 0.25.",
        "evidence": [
            {
                "tool": "meter",
                "frame": 1,
                "start_s": None,
                "end_s": None,
                "claim": "the meter reads 0.25",
                "direction": verdict,
                "strength": "moderate",
            }
        ],
        "verdict": verdict,
        "confidence": 0.9,
        "limitations": "Short clip.",
    }
    return json.dumps({**values, **changed})


@pytest.fixture
def reply() -> Callable[..., str]:
    """`reply(verdict, **changed)`: a valid reply as JSON."""
    return reply_json


def jpeg(colour: tuple[int, int, int] = (200, 30, 30)) -> str:
    """A small JPEG, base64."""
    file = io.BytesIO()
    Image.new("RGB", (32, 24), colour).save(file, "JPEG")
    return base64.b64encode(file.getvalue()).decode()


@pytest.fixture
def meter(plug_in: Callable[..., Any]) -> Callable[..., list[str]]:
    """Register a scripted measurement: `meter(name=, values=, status=)` -> hashes it ran on."""

    def register(
        name: str = "meter",
        values: Mapping[str, Any] | Callable[[ToolInput], Mapping[str, Any]] | None = None,
        status: str = "ok",
        card: str = "",
        view: bool = True,
        version: str = "1",
    ) -> list[str]:
        ran: list[str] = []

        def run(given: ToolInput) -> Iterator[Evidence]:
            ran.append(given.video.sha256)
            found = values(given) if callable(values) else (values or {"level": 0.25})
            text = card or f"{name} reads {', '.join(f'{v}' for v in found.values())}"
            data = {
                "status": status,
                "values": dict(found) if status == "ok" else {},
                "version": version,
                "params_hash": "0" * 16,
                "ms": 1.5,
                "view": {"jpeg": jpeg(), "legend": "black 0 to white 8", "frames": [0, 1]}
                if view
                else None,
                "frames": [{"number": n, "t_s": n / 8} for n in range(8)],
            }
            end_s = given.video.duration_s
            yield Evidence(name, "measurement", 0.0, end_s, text, data=data)

        plug_in(run, name=name, kind="measurement", version=version)
        return ran

    return register


def noise(seed: int) -> Callable[[float, int, int], Any]:
    """A drawing of moving noise, unlike that of any other seed."""
    field = np.random.default_rng(seed).integers(0, 255, (12, 16, 3), np.uint8)

    def draw(time_s: float, width: int, height: int) -> Any:
        rolled = np.roll(field, round(time_s * 8), axis=1)
        rows, columns = np.arange(height) * 12 // height, np.arange(width) * 16 // width
        return rolled[rows][:, columns]

    return draw


@pytest.fixture
def clip(make_clip: Callable[..., Path]) -> Callable[..., Path]:
    """`clip(name, seed)`: a clip of a second with moving noise."""

    def made(name: str = "clip.mp4", seed: int = 1, **fields: Any) -> Path:
        settings = {"seconds": 1.0, "fps": 8, "size": (64, 48), "draw": noise(seed), **fields}
        return make_clip(name, **settings)

    return made


@pytest.fixture
def detector(open_plain: Callable[..., Session], task: Task) -> Callable[..., Detector]:
    """`detector(chat)`: a detector of the toy task."""
    return lambda chat, of=task, **settings: Detector(open_plain(chat, **settings).context, of)


@pytest.fixture
def open_plain(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Session]:
    """Open a session with a scripted model and no embedder."""
    from agent.models.pool import ModelPool

    def opened(chat: Any = None, **settings: Any) -> Session:
        if chat is not None:
            monkeypatch.setattr(ModelPool, "_load_chat", lambda self: chat)
            monkeypatch.setattr(
                ModelPool, "capabilities", lambda self, role="chat": chat.capabilities
            )
        return Session(settings={"chat.calibration": None, **settings})

    return opened
