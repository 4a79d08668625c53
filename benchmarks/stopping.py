"""How long Stop takes on the page while a video is indexed, from the click to the word "Stopped".

    python benchmarks/stopping.py

Needs Chromium and Playwright (`make install` brings the latter). Each stop comes at another moment
of the demo video; asking again resumes.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter, sleep

from playwright.sync_api import Page, expect, sync_playwright
from rich.console import Console

sys.path.insert(0, str(Path(__file__).parents[1]))

from agent.page.page_context import PageContext
from agent.page.sessions import Sessions
from app import launch

WAITS_S = (3, 6, 9, 14, 20, 25, 8)  # from the first bar to the click
LONGEST_MS = 300_000
CONSOLE = Console(highlight=False)


def main() -> None:
    """Index, stop, print."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        sys.exit("no Chromium is installed: apt-get install chromium")
    expect.set_options(timeout=LONGEST_MS)
    library = tempfile.mkdtemp()
    page = launch(
        PageContext(Sessions(settings={"library": library})), prevent_thread_lock=True, quiet=True
    )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        opened = browser.new_page()
        opened.set_default_timeout(LONGEST_MS)
        opened.goto(str(page.local_url))
        opened.locator("#shelf [data-pick]").first.click()
        opened.locator("#look").click()
        stops = [stop(opened, wait_s) for wait_s in WAITS_S]
        browser.close()
    CONSOLE.print(f"median {median(stops):.1f} s, slowest {max(stops):.1f} s of {len(stops)} stops")
    shutil.rmtree(library, ignore_errors=True)
    os._exit(0)  # a unit of work may still be running


def stop(page: Page, wait_s: float) -> float:
    """Stop once and ask again; return the seconds."""
    page.locator(".rg-bar").first.wait_for()
    sleep(wait_s)
    running = [bar.replace("\n", " ") for bar in page.locator(".rg-bar").all_inner_texts()]
    start = perf_counter()
    page.locator("#stop").click()
    expect(page.locator("#answer")).to_contain_text("Stopped")
    seconds = perf_counter() - start
    CONSOLE.print(f"{seconds:.1f} s, while: {'; '.join(running)}")
    expect(page.locator("#stop")).to_be_disabled()
    page.locator("#look").click()
    return seconds


if __name__ == "__main__":
    main()
