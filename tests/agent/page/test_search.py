"""The Search tab in a real browser: moments of all videos, opened in the Ask tab."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from agent.page.page_context import PageContext
from agent.page.search import SearchTab
from agent.page.sessions import Sessions

Serve = Callable[..., str]
Visit = Callable[[str], Page]
pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def two_videos(
    open_session: Callable[..., Any], harbour: Path, make_clip: Callable[..., Path]
) -> None:
    """Two videos of the library that were looked at."""
    museum = make_clip(
        "museum.mp4", subtitles=[(1.2, 2.4, "The museum opens its gate at ten.")], audio=True
    )
    for clip in (harbour, museum):
        open_session().index(clip)


def search(page: Page, query: str) -> None:
    page.get_by_role("tab", name="Search", exact=True).click()
    box = page.locator("#search-query textarea, #search-query input")
    box.fill(query)
    box.press("Enter")


@pytest.mark.usefixtures("two_videos")
def test_a_found_moment_is_opened_in_the_ask_tab(
    serve: Serve, visit: Visit, scripted: Callable[..., Any]
) -> None:
    page = visit(serve(scripted()))
    search(page, "gate")
    cards = page.locator("#search-found li")
    expect(cards.first).to_contain_text("gate")
    assert page.locator("#search-found img").first.evaluate(
        "i => i.decode().then(() => i.naturalWidth)"
    )
    card = cards.filter(has_text="The museum opens its gate at ten.")
    expect(card).to_contain_text("museum.mp4")
    card.get_by_role("button").click()
    expect(page.locator("#player figcaption")).to_contain_text("museum.mp4")
    expect(page.locator("#question textarea")).to_be_visible()
    page.wait_for_function("document.querySelector('#player video').currentTime >= 1.2")
    page.locator("#player video").evaluate("v => { v.pause(); v.currentTime = 0 }")
    page.get_by_role("tab", name="Search", exact=True).click()
    card.get_by_role("button").click()  # the same once more
    page.wait_for_function("document.querySelector('#player video').currentTime >= 1.2")
    page.get_by_role("tab", name="Search", exact=True).click()
    cards.filter(has_text="The gate code is 7391.").get_by_role("button").click()
    expect(page.locator("#player figcaption")).to_contain_text("harbour.mp4")


@pytest.mark.usefixtures("two_videos")
def test_what_cannot_be_searched_and_what_is_not_found_is_told(
    serve: Serve, visit: Visit, scripted: Callable[..., Any]
) -> None:
    page = visit(serve(scripted(), **{"retrieval.min_relevance": 0.9}))
    search(page, " ")
    expect(page.locator("#search-found .rg-error")).to_contain_text("the query is empty")
    search(page, "zebras")
    expect(page.locator("#search-found")).to_contain_text("Nothing of this was found in 2 videos")


def test_a_person_finds_nothing_of_others(
    scripted: Callable[..., Any], open_session: Callable[..., Any], harbour: Path
) -> None:
    sessions = Sessions(open_session=lambda _, values: open_session(scripted(), **values))
    context = PageContext(sessions, named=True)
    context.of("ada").sessions.first.index(harbour)
    assert "harbour.mp4" in SearchTab(context.of("ada")).search("gate code", "")
    assert "harbour.mp4" not in SearchTab(context.of("grace")).search("gate code", "")
