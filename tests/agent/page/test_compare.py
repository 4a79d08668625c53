"""The Moments and Compare tabs in a real browser, on a real server."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

Serve = Callable[..., str]
Visit = Callable[[str], Page]
pytestmark = [pytest.mark.browser, pytest.mark.slow]


def fill(page: Page, field: str, text: str) -> None:
    page.locator(f"#{field} textarea, #{field} input").fill(text)


def test_moments_are_found_and_played(
    serve: Serve, visit: Visit, scripted: Callable[..., Any], harbour: Path
) -> None:
    page = visit(serve(scripted(replies=["yes"])))
    page.get_by_role("tab", name="Moments", exact=True).click()
    fill(page, "ground-path", str(harbour))
    fill(page, "ground-what", "the code of the gate")
    page.locator("#ground").click()
    expect(page.locator("#ground-result .rg-verdict")).to_have_text("1.4-2.6 s")
    moment = page.locator("#ground-result figure")
    expect(moment).to_have_count(1)
    expect(moment).to_contain_text("The gate code is 7391.")
    expect(moment).to_contain_text("confidence 0.")
    expect(page.locator("#ground-progress .rg-badge").first).to_contain_text("subtitles ok 3")
    video = moment.locator("video")
    assert video.get_attribute("src").endswith("#t=1.40,2.60")
    video.evaluate("v => { v.muted = true; v.play() }")
    page.wait_for_function("document.querySelector('#ground-result video').currentTime >= 1.4")
    expect(page.locator("#ground")).to_be_enabled()


def test_nothing_found_and_a_missing_file_are_told(
    serve: Serve, visit: Visit, scripted: Callable[..., Any], harbour: Path
) -> None:
    page = visit(serve(scripted(replies=["no"])))
    page.get_by_role("tab", name="Moments", exact=True).click()
    fill(page, "ground-path", str(harbour.with_name("nowhere.mp4")))
    fill(page, "ground-what", "the code of the gate")
    page.locator("#ground").click()
    expect(page.locator("#ground-result .rg-error")).to_contain_text("there is no file nowhere.mp4")
    fill(page, "ground-path", str(harbour))
    page.locator("#ground").click()
    expect(page.locator("#ground-result .rg-verdict")).to_have_text("Not found")
    expect(page.locator("#ground-result")).to_contain_text("do not hold enough")
    expect(page.locator("#ground-result video")).to_have_count(0)


def test_methods_stand_side_by_side(
    serve: Serve, visit: Visit, scripted: Callable[..., Any], harbour: Path
) -> None:
    page = visit(serve(scripted(replies=["7391", "not known"])))
    page.get_by_role("tab", name="Compare", exact=True).click()
    fill(page, "compare-path", str(harbour))
    fill(page, "compare-question", "What is the gate code?")
    boxes = page.locator("#compare-methods")
    for name in ("auto", "subtitles-only"):
        boxes.get_by_label(name).first.uncheck()
    boxes.get_by_label("video-rag").first.check()
    page.locator("#compare").click()
    table = page.locator("#compare-result table")
    expect(table.locator("tr").first).to_contain_text("direct")
    heads = table.locator("tr").first.locator("th").all_inner_texts()
    assert sorted(heads[1:]) == ["blind", "direct", "video-rag"]
    told = dict(
        zip(heads[1:], table.locator("tr").nth(1).locator("td").all_inner_texts(), strict=True)
    )
    assert "needs a chat model with images" in told["direct"]
    assert "7391" in told.values()
    assert [text for text in told.values() if text.startswith("no answer: ")]
    expect(page.locator("#compare-result")).to_contain_text("looking at the video first")
    expect(page.locator("#compare-result")).not_to_contain_text(str(harbour.parent))
    expect(page.locator("#compare")).to_be_enabled()
