"""The page beyond one question: transcript, links to moments, keys, the queue, several people."""

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from agent.page.users import Users
from tools.base import ToolInput
from tools.evidence import Evidence

Serve = Callable[..., str]
Visit = Callable[..., Page]
pytestmark = [pytest.mark.browser, pytest.mark.slow]
NOW = "document.querySelector('#player video').currentTime"
READY = "document.querySelector('#player video')?.readyState >= 1"


@pytest.fixture
def address(serve: Serve, scripted: Callable[..., Any]) -> str:
    return serve(scripted(replies=["The gate code is 7391."]))


def take(page: Page, clip: Path) -> None:
    box = page.locator("#path textarea, #path input")
    box.fill(str(clip))
    box.press("Enter")
    page.wait_for_function(READY)


def ask(page: Page, question: str) -> None:
    page.locator("#question textarea").fill(question)
    page.locator("#ask").click()


def answered(page: Page, clip: Path) -> None:
    take(page, clip)
    ask(page, "What is the gate code?")
    expect(page.locator("#answer .rg-verdict")).to_contain_text("7391")
    expect(page.locator("#stop")).to_be_disabled()


def test_the_transcript_is_searched_follows_and_jumps(
    address: str, visit: Visit, harbour: Path
) -> None:
    page = visit(address)
    take(page, harbour)
    page.locator("#look").click()  # no question yet
    lines = page.locator("#transcript li:not([hidden])")
    expect(lines).to_have_count(3)
    lines.filter(has_text="ferry").locator("button").first.click()
    page.wait_for_function(f"{NOW} >= 2.8")
    expect(page.locator("#transcript [aria-current]")).to_contain_text("ferry")
    page.locator("#find").fill("GATE")
    expect(lines).to_have_count(1)
    expect(page.locator("#transcript mark")).to_have_text("gate")
    expect(page.locator(".rg-found")).to_have_text("1 line")


def test_a_suggested_question_is_asked_with_one_click(
    address: str, visit: Visit, make_clip: Callable[..., Path]
) -> None:
    page = visit(address)
    cues = [(0.2, 1.0, "The ferry leaves at nine."), (1.4, 2.4, "Two ferries come back.")]
    take(page, make_clip("pier.mp4", seconds=3, subtitles=cues))
    page.locator("#look").click()
    chip = page.locator("#answer [data-ask]").first
    question = chip.inner_text()
    assert "ferr" in question
    chip.click()
    expect(page.locator("#answer .rg-asked")).to_have_text(question)
    expect(page.locator("#question textarea")).to_have_value("")


def test_the_time_in_an_answer_jumps_and_a_link_opens_there(
    address: str, visit: Visit, harbour: Path
) -> None:
    page = visit(address)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    answered(page, harbour)
    page.locator("#answer .rg-verdict .rg-moment").first.click()
    page.wait_for_function(f"{NOW} >= 1.4")
    page.locator("#answer .rg-cards .rg-copy").first.click()
    expect(page.locator("#rg-told")).to_contain_text("copied")
    link = page.evaluate("navigator.clipboard.readText()")
    assert link.startswith(address)
    other = visit(link)
    other.wait_for_function(READY)
    assert other.evaluate(NOW) == pytest.approx(1.4, abs=0.1)
    expect(other.locator("#player figcaption")).to_contain_text("harbour.mp4")
    strange = visit(f"{address}?video={'0' * 64}&t=5")
    expect(strange.locator("#answer .rg-error")).to_contain_text("not in this library")


def test_a_known_video_is_chosen_by_its_card_and_the_choice_folds_away(
    address: str, visit: Visit, harbour: Path
) -> None:
    answered(visit(address), harbour)
    page = visit(address)
    card = page.locator("#shelf li").filter(has_text="harbour.mp4")
    picture = card.locator("img")
    assert picture.evaluate("i => i.decode().then(() => i.naturalWidth)") > 0
    page.locator("#path textarea, #path input").fill("no such")
    expect(card).to_be_hidden()
    page.locator("#path textarea, #path input").fill("HARB")
    card.locator("button").click()
    expect(page.locator("#player figcaption")).to_contain_text("harbour.mp4")
    expect(page.locator("#picker")).to_have_count(0)
    page.get_by_role("button", name="Change video").click()
    expect(page.locator("#picker")).to_be_visible()
    expect(page.locator("#player video")).to_be_visible()


def test_keys_work_and_can_be_turned_off(address: str, visit: Visit, harbour: Path) -> None:
    page = visit(address)
    answered(page, harbour)
    page.locator("#answer .rg-verdict").click()
    page.keyboard.press("n")
    page.wait_for_function(f"{NOW} >= 1.4")
    page.keyboard.press("/")
    expect(page.locator("#question textarea")).to_be_focused()
    page.keyboard.type("j?")
    expect(page.locator("#question textarea")).to_have_value("j?")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_visible()
    page.locator("#keys-on").uncheck()
    page.keyboard.press("Escape")
    expect(page.locator("#keys")).to_be_hidden()
    page.keyboard.press("/")
    expect(page.locator("#question textarea")).not_to_be_focused()


def test_questions_asked_meanwhile_wait_and_can_be_taken_back(
    serve: Serve,
    visit: Visit,
    plug_in: Callable[..., Any],
    scripted: Callable[..., Any],
    harbour: Path,
) -> None:
    at_work, go_on = Event(), Event()

    def look(given: ToolInput) -> Iterator[Evidence]:
        at_work.set()
        assert go_on.wait(60)
        yield Evidence("sensor", "measurement", 0.0, 1.0, "12 degrees")

    plug_in(look)
    replies = ["7391", "When does the last ferry leave?", "nine"]
    page = visit(serve(scripted(replies=replies), ingest="[subtitles, sensor]"))
    take(page, harbour)
    ask(page, "What is the gate code?")
    assert at_work.wait(60)
    for question in ("Is it a mistake?", "When does the last ferry leave?"):
        ask(page, question)
        expect(page.locator("#queued")).to_contain_text(question)
    page.get_by_role("button", name="Take back: Is it a mistake?").click()
    expect(page.locator("#queued li")).to_have_count(1)
    go_on.set()
    expect(page.locator("#answer .rg-asked")).to_have_text("When does the last ferry leave?")
    expect(page.locator("#answer .rg-verdict")).to_contain_text("nine")
    expect(page.locator("#history .rg-asked")).to_have_text("What is the gate code?")
    expect(page.locator("#queued li")).to_have_count(0)


def test_on_a_phone_the_video_and_the_question_come_first(
    address: str, visit: Visit, harbour: Path
) -> None:
    page = visit(address)
    page.set_viewport_size({"width": 390, "height": 844})
    answered(page, harbour)
    tops = [
        page.locator(name).evaluate("e => e.getBoundingClientRect().top + scrollY")
        for name in ("#player", "#composer", "#answer", "#transcript")
    ]
    assert tops == sorted(tops)
    page.mouse.wheel(0, 300)
    assert page.locator("#player").evaluate("e => e.getBoundingClientRect().top") >= 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_keeps_anybody_out(address: str, visit: Visit, harbour: Path, scheme: str) -> None:
    """axe-core finds nothing serious on any tab, before and after an answer."""
    page = visit(address)
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.reload()
    page.locator("#ask").wait_for()
    found = {"empty": serious(page)}
    answered(page, harbour)
    page.locator("#answer .rg-how summary").click()
    expect(page.locator("#timeline .js-plotly-plot")).to_be_visible()
    for tab in page.get_by_role("tab").all():
        tab.click()
        page.wait_for_timeout(500)  # what a tab shows comes from the server
        if tab.inner_text() == "Tools":
            expect(page.locator("#graph svg .nodeLabel").first).to_be_visible()
        found[tab.inner_text()] = serious(page)
    assert {name: told for name, told in found.items() if told} == {}
    assert {"Ask", "Library", "Tools", "Detect"} <= set(found)


def serious(page: Page) -> list[str]:
    results = Axe().run(page, options={"resultTypes": ["violations"]}).response
    return [
        f"{one['id']}: {node['html'][:160]} {node['failureSummary'][:160]}"
        for one in results["violations"]
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


def test_other_sites_and_names_are_refused(address: str) -> None:
    url = f"{address}gradio_api/queue/join"
    assert httpx.post(url, json={}, headers={"origin": "https://evil.test"}).status_code == 403
    assert httpx.get(address, headers={"host": "evil.test"}).status_code == 403
    assert httpx.get(address).status_code == 200


def test_people_have_libraries_of_their_own(
    serve: Serve,
    visit: Visit,
    scripted: Callable[..., Any],
    harbour: Path,
    own_library: Path,
) -> None:
    people = Users(passwords={"ada": "one", "grace": "two"})
    address = serve(scripted(replies=["The gate code is 7391."]), users=people)
    assert httpx.get(address).status_code == 401
    ada = visit(address, http_credentials={"username": "ada", "password": "one"})
    ada.locator("#upload input[type=file]").set_input_files(harbour)
    expect(ada.locator("#player figcaption")).to_contain_text("harbour.mp4")
    ask(ada, "What is the gate code?")
    expect(ada.locator("#answer .rg-verdict")).to_contain_text("7391")
    ada.wait_for_function("location.search.includes('chat=')")
    chat = ada.evaluate("new URLSearchParams(location.search).get('chat')")
    assert list((own_library / "users" / "ada" / "uploads").rglob("harbour.mp4"))
    export = f"{address}chat/{chat}.md"
    assert httpx.get(export, auth=("ada", "one")).status_code == 200
    assert httpx.get(export, auth=("grace", "two")).status_code == 404
    grace = visit(address, http_credentials={"username": "grace", "password": "two"})
    expect(grace.locator("#shelf")).not_to_contain_text("harbour.mp4")
    box = grace.locator("#path textarea, #path input")
    box.fill(str(harbour))
    box.press("Enter")
    expect(grace.locator("#answer .rg-error")).to_contain_text("uploaded, not named by path")
