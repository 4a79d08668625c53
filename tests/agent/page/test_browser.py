"""The page as a person meets it: a real browser, a real server, real clips."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest
from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk
from playwright.sync_api import Page, expect

from tools.base import ToolInput
from tools.errors import StoppedError
from tools.evidence import Evidence
from tools.registry import tool_classes

Serve = Callable[..., str]
Visit = Callable[[str], Page]
pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def address(serve: Serve, scripted: Callable[..., Any]) -> str:
    return serve(scripted(replies=["The gate code is 7391."]))


def take(page: Page, clip: Path) -> None:
    box = page.locator("#path textarea, #path input")
    box.fill(str(clip))
    box.press("Enter")


def ask(page: Page, question: str) -> None:
    page.locator("#question textarea").fill(question)
    page.locator("#ask").click()


def test_ask_read_the_answer_and_see_the_moment(address: str, visit: Visit, harbour: Path) -> None:
    page = visit(address)
    page.locator("#upload input[type=file]").set_input_files(harbour)
    expect(page.locator("#player figcaption")).to_contain_text("harbour.mp4")
    ask(page, "What is the gate code?")
    expect(page.locator("#answer .rg-verdict")).to_contain_text("7391")
    expect(page.locator("#answer .rg-badge").first).to_contain_text("subtitles ok 3")
    card = page.locator(".rg-card").filter(has_text="The gate code is 7391.")
    page.wait_for_function("document.querySelector('#player video').readyState >= 1")
    card.click()
    page.wait_for_function("document.querySelector('#player video').currentTime >= 1.4")
    assert page.locator(".rg-card img").first.evaluate("i => i.decode().then(() => i.naturalWidth)")
    expect(page.locator("#timeline .js-plotly-plot")).to_be_visible()
    expect(page.locator("#ask")).to_be_enabled()


def test_the_answer_is_read_while_it_is_written(
    serve: Serve, visit: Visit, scripted: Callable[..., Any], harbour: Path
) -> None:
    """The first word is on the page while the model waits before the second."""
    go_on = Event()

    class SlowChat(type(scripted())):  # type: ignore[misc]
        def _stream(self, messages: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:
            for number, word in enumerate(["7391", " is the code"]):
                if number and not messages[-1].text.startswith("Decide"):
                    assert go_on.wait(60)
                yield ChatGenerationChunk(message=AIMessageChunk(word))

    page = visit(serve(SlowChat()))
    take(page, harbour)
    ask(page, "What is the gate code?")
    expect(page.locator("#answer .rg-caret")).to_be_visible()
    expect(page.locator("#answer .rg-verdict")).to_have_text("7391")
    expect(page.locator("#stop")).to_be_enabled()
    expect(page.locator("#new-chat")).to_be_disabled()
    go_on.set()
    expect(page.locator("#answer .rg-caret")).to_have_count(0)
    expect(page.locator("#answer .rg-verdict")).to_contain_text("7391")


def test_a_chat_goes_on_after_a_reload_and_a_restart(
    serve: Serve, visit: Visit, scripted: Callable[..., Any], harbour: Path
) -> None:
    replies = ["nine", "When does the first ferry leave?", "nine"]
    page = visit(serve(scripted(replies=replies)))
    take(page, harbour)
    ask(page, "When does the last ferry leave?")
    expect(page.locator("#answer .rg-verdict")).to_contain_text("nine")
    expect(page.locator("#question textarea")).to_have_value("")
    page.wait_for_function("location.search.includes('chat=')")
    page.reload()
    expect(page.locator("#answer")).to_contain_text("When does the last ferry leave?")
    expect(page.locator("#answer .rg-verdict")).to_contain_text("nine")
    expect(page.locator("#player figcaption")).to_contain_text("harbour.mp4")
    ask(page, "And the first ferry?")
    expect(page.locator("#answer")).to_contain_text("When does the first ferry leave?")
    expect(page.locator("#history .rg-asked")).to_have_text("When does the last ferry leave?")
    chat = page.evaluate("location.search")
    page.locator("#history .rg-moment").first.click()
    page.wait_for_function("document.querySelector('#player video').currentTime >= 2.8")

    page = visit(f"{serve(scripted())}{chat}")  # another server on the same library
    expect(page.locator("#answer")).to_contain_text("When does the first ferry leave?")
    expect(page.locator("#history .rg-asked")).to_have_text("When does the last ferry leave?")
    with page.expect_download() as download:
        page.get_by_role("link", name="Markdown").click()
    assert "And the first ferry?" in download.value.path().read_text()
    expect(page.locator("#timeline")).to_contain_text("cited")
    page.locator("#new-chat").click()
    expect(page.locator("#answer")).to_contain_text("The answer appears here")
    expect(page.locator("#timeline")).not_to_contain_text("cited")
    expect(page.locator("#player figcaption")).to_contain_text("harbour.mp4")
    page.wait_for_function("!location.search.includes('chat=')")
    page.locator("#chats input").click()
    page.get_by_role("option").filter(has_text="last ferry").click()
    expect(page.locator("#answer")).to_contain_text("When does the first ferry leave?")


def test_a_chat_about_a_video_that_has_gone_is_read_without_it(
    serve: Serve, visit: Visit, scripted: Callable[..., Any], harbour: Path
) -> None:
    page = visit(serve(scripted(replies=["nine"])))
    take(page, harbour)
    ask(page, "When does the last ferry leave?")
    expect(page.locator("#answer .rg-verdict")).to_contain_text("nine")
    page.wait_for_function("location.search.includes('chat=')")
    harbour.unlink()
    page.reload()
    expect(page.locator("#answer .rg-verdict")).to_contain_text("nine")
    expect(page.locator("#player video")).to_have_count(0)
    expect(page.locator("#picker")).to_be_visible()
    expect(page.locator(".rg-card").first).to_be_disabled()


def test_what_the_model_was_given_is_shown(
    serve: Serve, visit: Visit, scripted: Callable[..., Any], harbour: Path
) -> None:
    page = visit(serve(scripted(images=True, replies=["A boat."]), method="direct"))
    take(page, harbour)
    ask(page, "What is shown?")
    expect(page.locator("#answer .rg-verdict")).to_contain_text("A boat.")
    page.get_by_role("button", name="What the model was given").click()
    picture = page.locator("#details .rg-seen img").first
    assert picture.evaluate("i => i.decode().then(() => i.naturalWidth)") > 0
    page.locator("#details summary").filter(has_text="reason").click()
    expect(page.locator("#details pre").first).to_contain_text("What is shown?")
    expect(page.locator("#details")).to_contain_text("10 tokens read")


def test_what_is_said_in_a_video_is_shown_not_run(
    serve: Serve,
    visit: Visit,
    plug_in: Callable[..., Any],
    scripted: Callable[..., Any],
    say: Callable[..., Evidence],
    harbour: Path,
) -> None:
    evil = "<img src=http://192.0.2.1/x onerror=document.title='owned'> code ${1+1} {{value}}"
    plug_in(lambda given: iter([say(evil)]))
    page = visit(serve(scripted(replies=["code"]), ingest="[sensor]"))
    take(page, harbour)
    ask(page, "What is the code?")
    expect(page.locator(".rg-card .rg-words").first).to_contain_text(evil)
    assert page.title() == "reelgraph"
    assert not page.locator("#answer img[onerror]").count()


def test_stop_keeps_what_is_done_and_asking_again_resumes(
    serve: Serve,
    visit: Visit,
    plug_in: Callable[..., Any],
    scripted: Callable[..., Any],
    harbour: Path,
) -> None:
    at_work, runs = Event(), []

    def look(given: ToolInput) -> Iterator[Evidence]:
        runs.append(1)
        while len(runs) == 1 and not given.stopped():
            given.progress(1.0, 4.0)
            at_work.set()
            Event().wait(0.05)
        if given.stopped():
            raise StoppedError
        yield Evidence("sensor", "measurement", 0.0, 1.0, "12 degrees")

    plug_in(look, needs=frozenset({"audio"}))
    page = visit(serve(scripted(), ingest="[subtitles, sensor]"))
    take(page, harbour)
    ask(page, "What is the gate code?")
    assert at_work.wait(60)
    expect(page.locator(".rg-bar")).to_contain_text("25 %")
    page.locator("#stop").click()
    expect(page.locator("#answer")).to_contain_text("Stopped")
    expect(page.locator("#stop")).to_be_disabled()
    page.get_by_role("button", name="Ask again").click()
    expect(page.locator("#answer .rg-verdict")).to_contain_text("7391")
    expect(page.locator("#answer")).to_contain_text("subtitles ok 3 known")
    assert len(runs) == 2


def test_two_people_do_not_disturb_each_other(
    serve: Serve,
    visit: Visit,
    plug_in: Callable[..., Any],
    scripted: Callable[..., Any],
    harbour: Path,
    make_clip: Callable[..., Path],
) -> None:
    """While one waits for a tool, the other asks, is answered, and presses Stop for nothing."""
    at_work, go_on = Event(), Event()

    def look(given: ToolInput) -> Iterator[Evidence]:
        if given.video.path == harbour:
            at_work.set()
            assert go_on.wait(60)
        assert not given.stopped()
        yield Evidence("sensor", "measurement", 0.0, 1.0, "12 degrees")

    plug_in(look).reentrant = True  # another tool would make the second wait for its turn
    other_clip = make_clip("pier.mp4", seconds=3, subtitles=[(0.5, 2.0, "The pier code is 55.")])
    address = serve(scripted(replies=["55", "7391"]), ingest="[subtitles, sensor]")
    mine, other = visit(address), visit(address)
    take(mine, harbour)
    ask(mine, "What is the gate code?")
    assert at_work.wait(60)
    take(other, other_clip)
    ask(other, "What is the pier code?")
    expect(other.locator("#answer .rg-verdict")).to_contain_text("55")
    expect(mine.locator("#answer")).to_contain_text("Looking at the video")
    expect(other.locator("#stop")).to_be_disabled()
    other.context.close()  # leaving stops one's own runs only
    go_on.set()
    expect(mine.locator("#answer .rg-verdict")).to_contain_text("7391")
    expect(mine.locator("#player figcaption")).to_contain_text("harbour.mp4")
    expect(mine.locator("#history")).not_to_contain_text("pier")


def test_a_click_on_the_timeline_shows_the_moment(
    address: str, visit: Visit, harbour: Path
) -> None:
    page = visit(address)
    take(page, harbour)
    ask(page, "What is the gate code?")
    expect(page.locator("#timeline .js-plotly-plot")).to_be_visible()
    page.wait_for_function("document.querySelector('#player video').readyState >= 1")
    page.wait_for_function("document.querySelector('#timeline [data-listens]')")
    page.locator("#timeline .barlayer .point path").nth(1).click(force=True)
    page.wait_for_function("document.querySelector('#player video').currentTime >= 1.4")


def test_too_long_and_too_large_files_are_refused(
    serve: Serve,
    visit: Visit,
    scripted: Callable[..., Any],
    harbour: Path,
    own_library: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.MAX_UPLOAD", "1kb")
    address = serve(scripted(), max_hours=0.001)
    page = visit(address)
    take(page, harbour)
    expect(page.locator("#answer .rg-error")).to_contain_text(
        "lasts 0:04, the page takes at most 0:03"
    )
    page.locator("#upload input[type=file]").set_input_files(harbour)
    expect(page.get_by_text("maximum allowed size of 1.0 Kb")).to_be_visible()
    sent = httpx.post(f"{address}gradio_api/upload", files={"files": harbour.read_bytes()})
    assert sent.status_code == 413
    assert not list((own_library / "uploads").rglob("*.mp4"))


def test_a_broken_file_gets_friendly_words(address: str, visit: Visit, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video at all")
    page = visit(address)
    page.locator("#upload input[type=file]").set_input_files(broken)
    notice = page.locator("#answer .rg-error")
    expect(notice).to_contain_text("broken.mp4")
    assert "Traceback" not in page.content()
    assert str(tmp_path) not in notice.inner_text()


def test_missing_things_are_said(address: str, visit: Visit, harbour: Path) -> None:
    page = visit(address)
    ask(page, "What is the gate code?")
    expect(page.locator("#answer .rg-error")).to_contain_text("no video is chosen")
    take(page, harbour)
    expect(page.locator("#player video")).to_be_visible()
    ask(page, " ")
    expect(page.locator("#answer .rg-error")).to_contain_text("the question is empty")


def test_a_video_is_listed_and_deleted_after_asking(
    address: str, visit: Visit, harbour: Path
) -> None:
    page = visit(address)
    take(page, harbour)
    ask(page, "What is the gate code?")
    expect(page.locator("#answer .rg-verdict")).to_contain_text("7391")
    page.get_by_role("tab", name="Library", exact=True).click()
    expect(page.locator("#library-list summary")).to_contain_text("harbour.mp4")
    page.locator("#forget").click()
    expect(page.locator("#library-told")).to_contain_text("Choose a video first")
    page.locator("#forget-which input").click()
    page.get_by_role("option").first.click()
    page.locator("#forget").click()
    expect(page.locator("#library-told")).to_contain_text("Delete everything")
    expect(page.locator("#library-list summary")).to_have_count(1)
    page.locator("#forget-yes").click()
    expect(page.locator("#library-list")).to_contain_text("No video was looked at yet")
    assert harbour.exists()


def test_tools_and_graph_are_shown(address: str, visit: Visit) -> None:
    page = visit(address)
    page.get_by_role("tab", name="Tools", exact=True).click()
    names = page.locator("#tools-list summary b")
    expect(names).to_have_count(len(tool_classes()))
    assert names.all_inner_texts() == list(tool_classes())
    page.locator("#tools-list summary").filter(has_text="ocr").click()
    row = page.locator("#tools-list tr").filter(has_text="ocr.min_confidence")
    expect(row).to_contain_text("0.5")
    expect(row).to_contain_text("surer than this")
    expect(page.locator("#graph svg")).to_contain_text("retrieve")
    page.locator("#graph-of input").click()
    page.get_by_role("option", name="llovi", exact=True).click()
    expect(page.locator("#graph svg")).to_contain_text("condense")


@pytest.mark.parametrize("tab", ["Ask", "Library", "Tools"])
def test_everything_has_a_name_for_screen_readers_and_fits_a_phone(
    address: str, visit: Visit, harbour: Path, tab: str
) -> None:
    page = visit(address)
    take(page, harbour)
    ask(page, "What is the gate code?")
    expect(page.locator("#answer .rg-verdict")).to_contain_text("7391")
    page.get_by_role("tab", name=tab, exact=True).click()
    page.get_by_text("Options, method and models").evaluate("e => e.click()")
    nameless = page.locator("input:visible, textarea:visible, button:visible, video").evaluate_all(
        """all => all.filter(e => !(e.labels?.length || e.ariaLabel || e.innerText?.trim()
            || e.title || e.closest("[aria-label]:not(section)"))).map(e => e.outerHTML)"""
    )
    assert nameless == []
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_question_is_asked_and_its_evidence_seen_by_keyboard_alone(
    address: str, visit: Visit, harbour: Path
) -> None:
    page = visit(address)
    take(page, harbour)
    expect(page.locator("#player video")).to_be_visible()
    page.locator("#question textarea").focus()
    page.keyboard.type("What is the gate code?")
    page.keyboard.press("Enter")
    expect(page.locator("#answer .rg-verdict")).to_contain_text("7391")
    page.wait_for_function("document.querySelector('#player video').readyState >= 1")
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('.rg-card')"):
            break
    page.keyboard.press("Enter")
    page.wait_for_function("document.querySelector('#player video').currentTime >= 1.4")


FORBIDDEN = (
    "gradio_api/file=/etc/passwd",
    "gradio_api/file=../../../../etc/passwd",
    "gradio_api/file=%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "gradio_api/file={library}/library.sqlite",
    "gradio_api/file={clip}",
    "gradio_api/file=app.py",
    "watch/..%2f..%2f..%2fetc%2fpasswd",
    "watch/%2e%2e/%2e%2e/etc/passwd",
    "static/../../../../../../../etc/passwd",
    "seen/..%2f..%2flibrary.sqlite",
    "chat/..%2fchats.sqlite",
)


def test_no_address_leads_to_a_file_that_was_not_chosen(
    address: str, own_library: Path, harbour: Path
) -> None:
    replies = {}
    for path in FORBIDDEN:
        wanted = path.format(library=own_library, clip=harbour)
        replies[path] = httpx.get(f"{address}{wanted}")
    found = {path: reply.status_code for path, reply in replies.items()}
    assert set(found.values()) <= {400, 403, 404, 405}, found
    told = [
        path
        for path, reply in replies.items()
        if re.search(r"root:|SQLite format|import gradio", reply.text)
    ]
    assert told == []


def test_pickers_say_what_works_and_what_is_missing(address: str, visit: Visit) -> None:
    page = visit(address)
    page.get_by_text("Options, method and models").click()
    expect(page.locator("#more")).to_contain_text("Everything works.")
    page.locator("#method input").click()
    expect(page.get_by_role("option").filter(has_text="ig-vlm")).to_contain_text("has no images")
