"""Plug-in files for one test."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import ConfigDict, PrivateAttr

from agent.models.chat_model import Capabilities, ChatModel
from agent.plugins.load import REGISTRIES

Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    """Leave no plug-in to the next test."""
    yield
    for registry in REGISTRIES:
        registry.forget()


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """`write(body, name)`: a file whose body follows the imports that a plug-in needs."""

    def written(body: str, name: str = "sensor.py", head: str = "") -> Path:
        path = tmp_path / "plugins" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"from tools import *\n{head}\n\n{body}\n")
        return path

    return written


class Planner(ChatModel):
    """Calls tools as a script says, and records what it was sent."""

    model_config = ConfigDict(frozen=False)

    name: str = "planner"
    script: Sequence[Any] = ()
    _seen: list[list[BaseMessage]] = PrivateAttr(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "planner"

    @property
    def seen(self) -> list[list[BaseMessage]]:
        return self._seen

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            images=False,
            max_images=0,
            context_tokens=None,
            option_scoring=False,
            visual_tokens=False,
            tool_calling=True,
        )

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    def image_tokens(self, width: int, height: int, count: int = 1) -> int:
        return 0

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Any:
        return self.bind(**kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        self._seen.append(messages)
        reply: AIMessage = self.script[min(len(self._seen), len(self.script)) - 1]
        return ChatResult(generations=[ChatGeneration(message=reply.model_copy())])


@pytest.fixture
def planner() -> Callable[[Sequence[AIMessage]], Planner]:
    """`planner(replies)`: a chat model that calls tools."""
    return lambda script: Planner(script=script)
