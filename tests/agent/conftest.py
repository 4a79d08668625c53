"""Real models, loaded once per worker, a scripted chat model, and tools registered for one test."""

import base64
import importlib.util
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import pytest
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import ConfigDict, Field, PrivateAttr

import prompts
from agent.batch.records import Result
from agent.cli.main import main
from agent.evaluation.task import Item
from agent.models.chat import Capabilities, ChatModel
from agent.models.embedding import SentenceEmbeddings
from agent.models.pool import ModelPool, Role
from agent.plugins.isolate import isolated
from agent.session import Event, Session
from agent.state import Context
from agent.text import words
from tools.base import Availability, Need, Tool, ToolInput, ToolOptions
from tools.evidence import Evidence
from tools.model_files.store import ModelStore
from tools.registry import tool_classes

DECOUPLE = prompts.source("decouple").split("{")[0]
CUES = [
    (0.2, 1.2, "Welcome to the harbour tour."),
    (1.4, 2.6, "The gate code is 7391."),
    (2.8, 3.8, "The last ferry leaves at nine."),
]


UNMEASURED = {"chat.calibration": None}  # as another model than the profile's is


class ScriptedChat(ChatModel):
    """Returns scripted replies, one after the other, and records its prompts."""

    model_config = ConfigDict(frozen=False)

    name: str = "scripted"
    images: bool = False
    tool_calling: bool = False
    option_scoring: bool = True
    context: int = 8192
    replies: Sequence[str] = ("7391",)
    request: str = '{"speech": null, "entities": ["gate"], "aspects": []}'
    on_call: Callable[[str], None] = Field(default=lambda prompt: None)
    _seen: list[str] = PrivateAttr(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    @property
    def asked(self) -> list[str]:
        """The prompts other than those that decouple a question."""
        return [prompt for prompt in self._seen if not prompt.startswith(DECOUPLE)]

    @property
    def seen(self) -> list[str]:
        """Every prompt."""
        return self._seen

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            images=self.images,
            max_images=self.max_images,
            context_tokens=self.context,
            option_scoring=self.option_scoring,
            visual_tokens=False,
            tool_calling=self.tool_calling,
        )

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    def image_tokens(self, width: int, height: int, count: int = 1) -> int:
        return 100 * count

    def score_options(self, messages: Sequence[BaseMessage], options: Sequence[str]) -> list[float]:
        known = set(words(messages[-1].text))  # likelier, the more of its words are in the prompt
        shares = [[word in known for word in words(option)] for option in options]
        return [3 * sum(share) / max(1, len(share)) - 3 for share in shares]

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        prompt = messages[-1].text
        self._seen.append(prompt)
        self.on_call(prompt)
        position = min(len(self.asked), len(self.replies)) - 1
        text = self.request if prompt.startswith(DECOUPLE) else self.replies[position]
        return ChatResult(generations=[ChatGeneration(message=_message(text))])


def _message(text: str) -> AIMessage:
    usage = UsageMetadata(input_tokens=10, output_tokens=2, total_tokens=12)
    return AIMessage(text, usage_metadata=usage)


class SharedPool(ModelPool):
    """A pool with the worker's one embedding model and, if given, a chat model."""

    def __init__(self, session: Session, shared: SentenceEmbeddings, chat: object | None) -> None:
        super().__init__(session.settings, isolated)
        self._shared = shared
        self._chat = chat

    def _load_embedder(self) -> SentenceEmbeddings:
        return self._shared

    def _load_chat(self) -> ChatModel:
        return cast("ChatModel", self._chat) if self._chat else super()._load_chat()

    def capabilities(self, role: Role = "chat") -> Capabilities:
        """The scripted model has the embedded one's name and may have vision."""
        own = role == "captioner" and self.settings.captioner not in (None, self.settings.chat)
        chat = None if own else cast("ChatModel | None", self._chat)
        return chat.capabilities if chat else super().capabilities(role)


@pytest.fixture(autouse=True)
def own_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, models_folder: Path) -> Path:
    """A library of its own for every test, also for the programs that it starts."""
    for name in [name for name in os.environ if name.startswith("REELGRAPH_")]:
        if name not in {"REELGRAPH_TEST_MEDIA", "REELGRAPH_MODELS"}:
            monkeypatch.delenv(name)
    monkeypatch.setenv("REELGRAPH_LIBRARY", str(tmp_path / "library"))
    monkeypatch.setenv("REELGRAPH_MODELS", str(models_folder))
    return tmp_path / "library"


@pytest.fixture(scope="session")
def embedder(embedding_model: Path) -> SentenceEmbeddings:
    """The real embedding model."""
    source = str(embedding_model)
    return SentenceEmbeddings(embedding_model.name, "cpu", offline=True, batch=32, source=source)


@pytest.fixture(scope="session")
def embedding_model(models_folder: Path) -> Path:
    """The folder of the embedding model."""
    return ModelStore(models_folder).find("all-MiniLM-L6-v2")


@pytest.fixture(scope="session")
def tiny_models() -> ModuleType:
    """The module `tiny_models` beside this file, which no import path leads to."""
    file = Path(__file__).with_name("tiny_models.py")
    spec = importlib.util.spec_from_file_location("tiny_models", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def tiny_model(
    tiny_models: ModuleType, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """`tiny_model("llava")`: the folder of a checkpoint with random weights, built once."""

    @cache
    def built(name: str) -> Path:
        folder = tmp_path_factory.mktemp(f"tiny-{name}")
        tiny_models.BUILDERS[name](folder)
        return folder

    return built


@pytest.fixture(scope="session")
def tiny_llama(tiny_model: Callable[[str], Path]) -> Path:
    """Text only."""
    return tiny_model("llama")


@pytest.fixture(scope="session")
def tiny_llava(tiny_model: Callable[[str], Path]) -> Path:
    """LLaVA-1.5: 24 x 24 = 576 tokens a picture."""
    return tiny_model("llava")


@pytest.fixture(scope="session")
def tiny_smolvlm(tiny_model: Callable[[str], Path]) -> Path:
    """SmolVLM2: 64 tokens a tile of 512 pixels."""
    return tiny_model("smolvlm")


@pytest.fixture
def open_session(embedder: SentenceEmbeddings) -> Callable[..., Session]:
    """Open a session that shares the embedding model: `open_session(chat, **settings)`."""

    def opened(chat: object | None = None, **settings: Any) -> Session:
        session = Session(settings={"ingest": "[subtitles]", **UNMEASURED, **settings})
        pool = SharedPool(session, embedder, chat)
        session.context = Context(session.settings, session.library, pool)
        return session

    return opened


@pytest.fixture
def shared_embedder(embedder: SentenceEmbeddings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every pool of this test use the worker's embedding model."""
    monkeypatch.setattr(ModelPool, "_load_embedder", lambda self: embedder)


@pytest.fixture
def scripted_chat(monkeypatch: pytest.MonkeyPatch, shared_embedder: None) -> ScriptedChat:
    """Let every pool of this test use the embedding model above and this scripted chat model."""
    chat = ScriptedChat()
    for key in UNMEASURED:
        monkeypatch.setenv(f"REELGRAPH_{key.upper().replace('.', '__')}", "null")
    monkeypatch.setattr(ModelPool, "_load_chat", lambda self: chat)
    monkeypatch.setattr(ModelPool, "capabilities", lambda self, role="chat": chat.capabilities)
    return chat


@dataclass(frozen=True)
class Done:
    """The result of a command."""

    code: int
    out: str
    err: str


@pytest.fixture
def reelgraph(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Done]:
    """Run the command line in this process: `reelgraph("ask", clip, ...)`. No traceback ever."""

    def command(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["reelgraph", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "200")
        capsys.readouterr()
        warnings = logging.getLogger("transformers")
        if warnings.handlers:  # made in an earlier test, whose stderr is closed by now
            monkeypatch.setattr(warnings, "handlers", [logging.StreamHandler()])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return Done(int(ended.value.code or 0), out, err)

    return command


@pytest.fixture
def reelgraph_process(tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Start the command line as a process; Python packages in `tmp_path/site` are installed."""

    def start(*arguments: object, code: str = "", **environ: str) -> subprocess.Popen[str]:
        program = f"from agent.cli.main import main; {code or 'main()'}"
        return subprocess.Popen(
            [sys.executable, "-c", program, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(tmp_path / "site"), **environ},
        )

    return start


@pytest.fixture
def install(tmp_path: Path) -> Callable[..., Path]:
    """Install a package with one tool into `tmp_path/site`, as pip would."""

    def write(source: str, entry: str = "sensor = sensing:Sensor", name: str = "sensing") -> Path:
        site = tmp_path / "site"
        info = site / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (site / f"{name}.py").write_text(source)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[reelgraph.tools]\n{entry}\n")
        return site

    return write


@pytest.fixture(scope="session")
def answered() -> Callable[..., Result]:
    """`answered(item, choice, text=, spans=, ...)`: the result of an item that was answered."""

    def result(
        item: Item,
        choice: int | None = None,
        text: str = "",
        spans: Sequence[tuple[float, float]] = (),
        **answer: Any,
    ) -> Result:
        evidence = [
            {"tool": "sensor", "start_s": start, "end_s": end, "text": "seen", "score": 1.0}
            for start, end in spans
        ]
        options = item.question.options
        answer = {"answer": text, "choice": choice, "evidence": evidence, **answer}
        return Result(
            item.id, item.video, "", item.question.text, options, "answered", answer=answer
        )

    return result


Run = Callable[[ToolInput], Iterator[Evidence]]


@pytest.fixture
def plug_in(monkeypatch: pytest.MonkeyPatch) -> Callable[..., type[Tool]]:
    """Register a tool for this test: `plug_in(run, name=, needs=, ...)` -> its class."""

    def register(
        run: Run,
        name: str = "sensor",
        kind: str = "measurement",
        needs: frozenset[Need] = frozenset({"file"}),
        version: str = "1",
        options: type[ToolOptions] = ToolOptions,
        available: Availability | None = None,
    ) -> type[Tool]:
        members: Mapping[str, Any] = {
            "name": name,
            "kind": kind,
            "version": version,
            "Options": options,
            "needs": property(lambda self: needs),
            "available": lambda self: available or Availability(ok=True),
            "run": lambda self, given: run(given),
        }
        made = type(name.title(), (Tool,), dict(members))
        monkeypatch.setitem(tool_classes(), name, made)
        return made

    return register


def finding(text: str, start_s: float = 0.0, end_s: float = 1.0) -> Evidence:
    """A finding of the tool `sensor`."""
    return Evidence("sensor", "measurement", start_s, end_s, text)


@pytest.fixture(scope="session")
def say() -> Callable[..., Evidence]:
    """`say(text, start_s, end_s)`: a finding of the tool `sensor`."""
    return finding


@pytest.fixture
def scripted() -> Callable[..., ScriptedChat]:
    """`scripted(replies=[...], request=...)`: a chat model that follows a script."""
    return ScriptedChat


class WatchingChat(ScriptedChat):
    """A scripted vision model that records the pictures it is sent."""

    images: bool = True
    _sent: list[list[BaseMessage]] = PrivateAttr(default_factory=list)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        self._sent.append(messages)
        return super()._generate(messages, stop, run_manager, **kwargs)

    @property
    def pictures(self) -> list[bytes]:
        """The picture files of the last call, in order."""
        blocks = self._sent[-1][-1].content_blocks
        return [base64.b64decode(b["base64"]) for b in blocks if b["type"] == "image"]


@pytest.fixture
def watching() -> Callable[..., WatchingChat]:
    """`watching(replies=[...])`: a scripted vision chat model."""
    return WatchingChat


@pytest.fixture
def harbour(make_clip: Callable[..., Path]) -> Path:
    """Four seconds with three lines of embedded subtitles; the second contains a gate code."""
    return make_clip("harbour.mp4", subtitles=CUES, audio=True)


@pytest.fixture
def collect() -> Callable[[Iterator[Event]], dict[str, list[Any]]]:
    """`collect(events)`: what happened, by kind of event."""

    def by_kind(events: Iterator[Event]) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = {"progress": [], "channel": [], "stage": [], "answer": []}
        for event in events:
            found[event.kind].append(event.data)
        return found

    return by_kind
