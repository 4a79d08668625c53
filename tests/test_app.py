from pathlib import Path

import pytest


@pytest.mark.slow
def test_the_page_is_built_with_a_named_endpoint(tmp_path: Path) -> None:
    from agent.session import Session
    from app import build_page

    session = Session(settings={"library": str(tmp_path)})
    page = build_page(session)
    assert "/ask" in page.get_api_info()["named_endpoints"]
