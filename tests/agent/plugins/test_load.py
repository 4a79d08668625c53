import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.plugins.load import load_plugins, load_settings
from agent.session import Session
from tools.errors import InputError
from tools.registry import TOOLS, broken_tools, detection_task_files, tool_classes

Open = Callable[..., Session]
Write = Callable[..., Path]

SENSOR = """
@tool
def sensor(video: Video, degrees: int = 12):
    '''Tells how warm it is.'''
    return f"{degrees} degrees"
"""


def named(*paths: Path) -> dict[str, Any]:
    return {"plugins": [str(path) for path in paths]}


def test_a_file_that_is_named_becomes_a_tool_of_the_profile(write: Write) -> None:
    settings = load_settings(overrides=named(write(SENSOR)), environ={})
    assert settings.ingest[-1] == "sensor"
    assert tool_classes()["sensor"].__doc__ == "Tells how warm it is."


def test_profile_environment_and_caller_add_up(write: Write, tmp_path: Path) -> None:
    files = [write(SENSOR.replace("sensor", name), f"{name}.py") for name in ("one", "two", "six")]
    profile = tmp_path / "mine.yaml"
    profile.write_text(f"extends: embedded\nplugins: [{files[0]}]\n")
    environ = {"REELGRAPH_PLUGINS": os.pathsep.join([str(files[1]), str(files[0])])}
    settings = load_settings(str(profile), named(files[2]), environ)
    assert settings.ingest[-3:] == ("one", "two", "six")


def test_a_folder_brings_files_and_packages_but_not_hidden_ones(write: Write) -> None:
    write(SENSOR.replace("sensor", "alone"), "alone.py")
    write(SENSOR.replace("sensor", "hidden"), "_hidden.py")
    write("from .inner import boxed", "boxed/__init__.py")
    folder = write(SENSOR.replace("sensor", "boxed"), "boxed/inner.py").parents[1]
    assert load_plugins([str(folder)]) == ["alone", "boxed"]


def test_an_installed_tool_is_named_by_its_name() -> None:
    settings = load_settings(overrides={"ingest": "[]", "plugins": ["shots"]}, environ={})
    assert settings.ingest == ("shots",)


def test_nothing_is_loaded_that_is_not_named(write: Write, monkeypatch: Any) -> None:
    file = write("raise SystemExit('loaded')")
    monkeypatch.chdir(file.parent)
    settings = load_settings(environ={})
    assert settings.plugins == ()
    assert not broken_tools()


@pytest.mark.parametrize("given", ["nothere.py", "nothere", "shot"])
def test_a_name_of_nothing_is_the_users_error(given: str) -> None:
    with pytest.raises(InputError, match=f"no plug-in '{given}'"):
        load_plugins([given])


BROKEN = {
    "an import that is missing": ("import not_there_at_all", "install not_there_at_all"),
    "broken Python": ("def sensor(", "SyntaxError"),
    "an end of the program": ("raise SystemExit(3)", "SystemExit"),
    "nothing in it": ("x = 1", "no tool, method or chat engine"),
    "a parameter without a type": ("@tool\ndef sensor(it): ...", "'it' of sensor has no type"),
    "a type that asks for nothing": ("@tool\ndef sensor(it: int): ...", "<class 'int'>"),
    "two parts at once": (
        "@tool\ndef sensor(a: StoredFrame, b: AudioBlock): ...",
        "expected one part",
    ),
    "a name of a built-in tool": (SENSOR.replace("sensor", "ocr"), "has the same name"),
    "a name of a method": (SENSOR.replace("sensor", "llovi"), "has the same name"),
    "a name of a setting": (SENSOR.replace("sensor", "chat"), "a setting has the same name"),
    "no run": ("class Sensor(Tool):\n    name = kind = version = 'sensor'", "define run"),
}


@pytest.mark.parametrize(("body", "words"), BROKEN.values(), ids=BROKEN.keys())
def test_a_file_that_cannot_be_used_is_told_of_in_one_line_and_costs_no_other(
    write: Write, caplog: pytest.LogCaptureFixture, body: str, words: str
) -> None:
    bad, good = write(body, "bad.py"), write(SENSOR, "good.py")
    settings = load_settings(overrides=named(bad, good), environ={})
    assert settings.ingest[-1] == "sensor"
    (record,) = caplog.records
    line = record.getMessage()
    assert words in line
    assert str(bad) in line
    assert "\n" not in line
    assert line in broken_tools().values()
    assert tool_classes()["ocr"].__module__ == "tools.ocr.tool"


def test_of_two_files_with_one_name_the_first_is_kept(write: Write) -> None:
    first, second = write(SENSOR, "first.py"), write(SENSOR, "second.py")
    assert load_plugins([str(first), str(second)]) == ["sensor"]
    assert str(first) in broken_tools()[str(second)]


def test_a_changed_file_is_loaded_anew_and_its_tool_runs_again(
    write: Write, open_session: Open, make_clip: Callable[..., Path]
) -> None:
    clip, texts, cached = make_clip(seconds=1), [], []
    for degrees in (12, 12, 20):
        file = write(SENSOR.replace("12", str(degrees)))
        session = open_session(ingest="[]", **named(file))
        (report,) = session.index(clip)
        cached.append(report.cached)
        run = session.library.find(str(clip)).runs[-1]
        texts += [p.evidence.text for p in session.library.passages([run.id])]
    assert texts == ["12 degrees", "12 degrees", "20 degrees"]
    assert cached == [False, True, False]


def test_a_parameter_with_a_default_is_an_option(write: Write, open_session: Open) -> None:
    file = write(SENSOR)
    with pytest.raises(InputError, match=r"sensor\.degrees.*integer"):
        open_session(**named(file), **{"sensor.degrees": "many"})
    with pytest.raises(InputError, match="did you mean 'degrees'"):
        open_session(**named(file), **{"sensor.degree": "3"})


METHOD = '''
class Options(Section):
    """No settings."""

def ask(state, runtime):
    """Write the prompt."""
    return ask_for("ask", state["question"])

METHOD = Method("guess", "guesses", Options, lambda settings: build_asking("guess", ask),
                lambda video, question, context: MethodPlan((), (1, 2), 0))
'''
IMPORTS = """
from agent.answering.method import Method, MethodPlan, build_asking
from agent.answering.prompt import ask_for
from agent.settings import Section
"""


def test_a_file_brings_a_method(
    write: Write, open_session: Open, scripted: Any, make_clip: Callable[..., Path]
) -> None:
    file = write(METHOD, "guessing.py", IMPORTS)
    session = open_session(scripted(replies=["blue"]), method="guess", **named(file))
    found = session.ask(make_clip(seconds=1), "Which colour?")
    assert found.method == "guess"
    assert "blue" in session.context.pool.chat().replies


ENGINE = """
class Parrot(ChatModel):

    @property
    def _llm_type(self): return "parrot"

    @property
    def capabilities(self): return CAN

    def count_tokens(self, text): return len(text.split())

    def image_tokens(self, width, height, count=1): return 0

    def score_options(self, messages, options): return [0.0] * len(options)

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        return ChatResult(generations=[ChatGeneration(message=AIMessage("7391"))])

CAN = Capabilities(images=False, max_images=0, context_tokens=4096, option_scoring=False,
                   visual_tokens=False, tool_calling=False)
ENGINE = ChatEngine("parrot", "says a code", "1",
                    lambda settings, where: Parrot(name=settings.model), lambda settings: CAN)
"""
CHAT = """
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from agent.models.chat_model import Capabilities, ChatModel
from agent.models.engines import ChatEngine
"""


def test_a_file_brings_a_chat_model(write: Write, open_session: Open, harbour: Path) -> None:
    chosen = {"chat.engine": "parrot", "chat.model": "grey"}
    session = open_session(**chosen, **named(write(ENGINE, "parrot.py", CHAT)))
    found = session.ask(harbour, "What is the gate code?")
    assert found.answer == "7391"
    plan = session.plan(harbour, "What is the gate code?")
    assert plan.identities["chat"]["engine"] == "parrot 1"


def test_an_engine_that_no_plug_in_brings_is_refused() -> None:
    with pytest.raises(InputError, match=r"chat\.engine.*transformers, endpoint"):
        load_settings(overrides={"chat.engine": "parrot"}, environ={})


def test_packages_name_files_of_detection_tasks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    package, info = tmp_path / "judging", tmp_path / "judging-1.0.dist-info"
    package.mkdir()
    info.mkdir()
    (package / "__init__.py").write_text("HERE = __file__.replace('__init__.py', 'b.yaml')")
    for name in ("a.yaml", "b.yaml", "notes.txt"):
        (package / name).write_text("name: x\n")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: judging\nVersion: 1.0\n")
    entries = "folder = judging\nfile = judging:HERE\nnone = math:pi\n"
    (info / "entry_points.txt").write_text(f"[reelgraph.detection_tasks]\n{entries}")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert detection_task_files() == [package / "a.yaml", package / "b.yaml"]
    assert "math:pi" in caplog.text


def test_a_plug_in_shows_on_the_page(write: Write, open_session: Open) -> None:
    from agent.page.page_context import PageContext
    from agent.page.sessions import Sessions
    from agent.page.tools import ToolsTab

    file = write(SENSOR)
    opened = Sessions(settings=named(file), open_session=lambda _, v: open_session(**v))
    shown, graph = ToolsTab(PageContext(opened)).show("video-rag")
    assert "Tells how warm it is." in shown
    assert "sensor.degrees" in shown
    assert "listen\\3asensor" in graph
    assert TOOLS.added_by(str(file)) == ["sensor"]
