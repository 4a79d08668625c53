"""The Batch tab: questions of several videos in a real browser, by the real worker process."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from playwright.sync_api import Page, expect

from agent.page.batch import BatchTab, Watched
from agent.page.batches import Batches
from agent.page.page_context import PageContext
from agent.page.sessions import Sessions
from agent.plugins.load import REGISTRIES

Serve = Callable[..., str]
Visit = Callable[[str], Page]

# A model that says the code of the notes, once a file named `go` lies beside it.
PLUG_IN = '''
import re, time
from pathlib import Path
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from agent.models.chat_model import Capabilities, ChatModel
from agent.models.engines import ChatEngine

CAN = Capabilities(images=False, max_images=0, context_tokens=8192, option_scoring=False,
                   visual_tokens=False, tool_calling=False)

class Reader(ChatModel):
    """Says the code of the notes."""

    @property
    def _llm_type(self):
        return "reader"

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
        while not Path(__file__).with_name("go").exists():
            time.sleep(0.05)
        message = AIMessage(re.findall(r"code is (\\d+)", messages[-1].text)[-1])
        return ChatResult(generations=[ChatGeneration(message=message)])

ENGINE = ChatEngine("reader", "says a code", "1",
                    lambda settings, where: Reader(name=settings.model), lambda settings: CAN)
'''


@pytest.fixture
def plugin(tmp_path: Path) -> Iterator[Path]:
    """The file of the plug-in."""
    file = tmp_path / "plugin" / "reader.py"
    file.parent.mkdir()
    file.write_text(PLUG_IN)
    yield file
    for registry in REGISTRIES:
        registry.remove(str(file))


@pytest.fixture
def settings(plugin: Path) -> dict[str, Any]:
    return {
        "plugins": str(plugin),
        "chat.engine": "reader",
        "chat.model": "grey",
        "method": "subtitles-only",
        "ingest": "[subtitles]",
    }


@pytest.fixture
def films(make_clip: Callable[..., Path]) -> Path:
    """A folder of two videos, each with a gate code of its own."""
    for name, code in (("harbour", 7391), ("museum", 7392)):
        cues = [(0.1, 0.9, "Welcome."), (1.2, 1.9, f"The gate code is {code}.")]
        film = make_clip(f"films/{name}.mp4", seconds=2, fps=5, size=(64, 48), subtitles=cues)
    return film.parent


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    """A question to all videos, one to the harbour, and one to a video that is not there."""
    file = tmp_path / "questions.csv"
    file.write_text(
        "question,video\nWhat is the gate code?,\n"
        "Which code opens the gate?,harbour.mp4\nWhat is the gate code?,nowhere.mp4\n"
    )
    return file


def fill(page: Page, field: str, text: str) -> None:
    page.locator(f"#{field} textarea, #{field} input").first.fill(text)


@pytest.mark.browser
@pytest.mark.slow
def test_a_batch_is_stopped_gone_on_with_narrowed_down_and_downloaded(
    serve: Serve, visit: Visit, settings: dict[str, Any], plugin: Path, films: Path, questions: Path
) -> None:
    page = visit(serve(None, **settings))
    page.get_by_role("tab", name="Batch", exact=True).click()
    fill(page, "batch-videos", str(films))
    fill(page, "batch-questions", str(questions))
    page.locator("#batch").click()
    lines, told = page.locator("#batch-table tbody tr"), page.locator("#batch-told")
    expect(lines.filter(has_text="at work")).to_have_count(1)
    expect(lines.filter(has_text="waiting")).to_have_count(2)
    expect(lines.filter(has_text="nowhere.mp4")).to_contain_text("failed")
    expect(page.locator("#batch-progress")).to_contain_text("questions: 0 of 3")
    page.locator("#batch-stop").click()
    (plugin.parent / "go").touch()
    expect(told).to_contain_text("It was stopped. Start it again under the same name")
    page.reload()  # what was done is found again
    page.get_by_role("tab", name="Batch", exact=True).click()
    expect(lines.filter(has_text="nowhere.mp4")).to_contain_text("failed")
    expect(page.locator("#batch")).to_be_enabled()
    fill(page, "batch-videos", str(films))
    fill(page, "batch-questions", str(questions))
    page.locator("#batch").click()
    expect(told).to_contain_text("4 questions: 3 answered, 0 abstained, 1 failed")
    expect(lines).to_have_count(4)
    page.locator("#batch-status").get_by_label("failed").check()
    expect(lines).to_have_count(1)
    expect(lines).to_contain_text("no video 'nowhere.mp4' among the 2 given")
    page.locator("#batch-status").get_by_label("all").check()
    expect(lines).to_have_count(4)
    fill(page, "batch-text", "MUSEUM")
    expect(lines).to_have_count(1)
    expect(lines).to_contain_text("7392")

    with page.expect_download() as saved:
        told.get_by_role("link", name="Download the results").click()
    rows = [json.loads(line) for line in saved.value.path().read_text().splitlines()]
    assert sorted(row["status"] for row in rows) == ["answered"] * 3 + ["failed"]
    report = told.get_by_role("link", name="Open the report").get_attribute("href")
    assert "<svg" in page.request.get(f"{page.url.partition('?')[0]}{report}").text()
    lines.get_by_role("button", name="Open museum.mp4").click()
    expect(page.locator("#player figcaption")).to_contain_text("museum.mp4")
    page.wait_for_function("document.querySelector('#player video').currentTime > 0")


def test_a_person_asks_only_about_own_uploads_and_writes_only_own_results(
    open_session: Callable[..., Any], films: Path, questions: Path, tmp_path: Path
) -> None:
    sessions = Sessions(open_session=lambda _, values: open_session(None, **values))
    context = PageContext(sessions, named=True).of("ada")
    tab = BatchTab(context, Batches())
    with gr.Blocks():
        tab.lay_out()

    def told(videos: Path, file: Path, name: str = "results") -> str:
        updates = tab.go(Watched(), str(videos), str(file), name, "subtitles-only", [])
        return str(list(updates)[-1][tab.told])

    own = context.uploads.folder / "1" / "own.csv"
    own.parent.mkdir(parents=True)
    own.write_text(f"question,video\nWhat is the gate code?,{films / 'museum.mp4'}\n")
    mine = own.with_name("harbour.mp4")
    mine.write_bytes((films / "harbour.mp4").read_bytes())
    assert tab.take_uploads([str(mine)]) == str(mine)
    assert "files are uploaded, not named by path" in told(mine, questions)
    assert "files are uploaded, not named by path" in told(films, own)
    assert "among the 1 given" in told(mine, own)
    for name in ("../../results", "/tmp/results", ".hidden", ""):
        assert "the results need a name" in told(mine, own, name)
    assert not list(tmp_path.rglob("*.jsonl"))


@pytest.mark.slow
def test_results_of_another_method_are_not_mixed(
    open_session: Callable[..., Any],
    settings: dict[str, Any],
    plugin: Path,
    films: Path,
    questions: Path,
) -> None:
    (plugin.parent / "go").touch()
    sessions = Sessions(
        settings=settings, open_session=lambda _, values: open_session(None, **values)
    )
    tab = BatchTab(PageContext(sessions), Batches())
    with gr.Blocks():
        tab.lay_out()

    def told(method: str, retry: list[str]) -> str:
        updates = tab.go(Watched(), str(films), str(questions), "codes", method, retry)
        return str(list(updates)[-1][tab.told])

    assert "3 answered" in told("subtitles-only", [])
    refused = told("video-rag", [])
    assert "the method (subtitles-only before, video-rag now)" in refused
    assert "tick &#34;changed&#34;" in refused
    assert "--retry" not in refused
    assert "(4 of them before)" in told("subtitles-only", [])
