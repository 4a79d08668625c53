from pathlib import Path

import pytest


@pytest.mark.slow
def test_the_page_is_built_with_named_endpoints(tmp_path: Path) -> None:
    from agent.page.page_context import PageContext
    from agent.page.sessions import Sessions
    from app import build_page

    page = build_page(PageContext(Sessions(settings={"library": str(tmp_path)})))
    endpoints = page.get_api_info()["named_endpoints"]
    assert {
        "/ask",
        "/chat",
        "/compare",
        "/ground",
        "/detect",
        "/index",
        "/evidence",
        "/search",
        "/videos",
        "/tools",
    } == set(endpoints)
    assert "question" in str(endpoints["/ask"])
