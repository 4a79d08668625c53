from pathlib import Path

from agent.session import Session


def test_the_readme_shows_the_graph_that_runs(tmp_path: Path) -> None:
    readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    assert Session(settings={"library": str(tmp_path)}).mermaid().strip() in readme
