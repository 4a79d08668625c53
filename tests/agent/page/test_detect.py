"""The Detect tab in a real browser, on a real server."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

Serve = Callable[..., str]
Visit = Callable[[str], Page]
pytestmark = [pytest.mark.browser, pytest.mark.slow]


def judge(page: Page, clip: Path) -> None:
    page.get_by_role("tab", name="Detect", exact=True).click()
    page.locator("#detect-path textarea, #detect-path input").fill(str(clip))
    page.locator("#detect").click()


def test_a_clip_is_judged_and_the_report_downloaded(
    serve: Serve, visit: Visit, scripted: Callable[..., Any], harbour: Path
) -> None:
    """A text model: measurements with views, inconclusive, and why; nothing is overclaimed."""
    page = visit(serve(scripted()))
    judge(page, harbour)
    verdict = page.locator("#detection .rg-verdict")
    expect(verdict).to_have_text("inconclusive")
    found = page.locator("#detection")
    expect(found).to_contain_text("nobody looked at the pictures")
    expect(found).to_contain_text("does not mean authentic")
    expect(found).to_contain_text("not calibrated on your own clips")
    expect(found).to_contain_text("version 0")
    expect(page.locator("#detect-progress .rg-badge").first).to_contain_text("ok")
    view = page.locator("#detection img.rg-view").first
    assert view.evaluate("i => i.decode().then(() => i.naturalWidth)") > 100
    with page.expect_download() as download:
        page.get_by_role("link", name="HTML", exact=True).click()
    text = download.value.path().read_text()
    assert "data:image/jpeg;base64," in text
    assert str(harbour.parent) not in text
    expect(page.locator("#detect")).to_be_enabled()


def test_a_verdict_with_evidence_and_a_missing_file(
    serve: Serve,
    visit: Visit,
    scripted: Callable[..., Any],
    harbour: Path,
    plug_in: Callable[..., Any],
) -> None:
    page = visit(serve(scripted()))
    judge(page, harbour.with_name("nowhere.mp4"))
    expect(page.locator("#detection .rg-error")).to_contain_text("there is no file nowhere.mp4")
    page.locator("#detect-task input").click()
    page.get_by_role("option").filter(has_text="cut, a freeze").click()
    judge(page, harbour)
    expect(page.locator("#detection .rg-verdict")).to_be_visible()
    expect(page.locator("#detection")).to_contain_text("shots, duplicate_frames")
