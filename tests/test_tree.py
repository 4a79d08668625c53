"""The tree: every module lies in a room, and rooms are two folders deep at most."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOOSE = {  # what the whole program shares
    *("__init__", "answer", "doctor", "graph", "plan", "records", "serving"),
    *("session", "settings", "state", "text"),
}
SOURCES = [p for top in ("agent", "tools", "prompts") for p in (ROOT / top).rglob("*.py")]


def test_no_further_module_lies_loose_in_agent() -> None:
    assert {file.stem for file in (ROOT / "agent").glob("*.py")} == LOOSE


def test_rooms_are_two_folders_deep_at_most() -> None:
    assert max(len(file.relative_to(ROOT).parts) for file in SOURCES) <= 3


def test_every_room_says_what_it_is_for() -> None:
    for folder in {file.parent for file in SOURCES}:
        said = ast.get_docstring(ast.parse((folder / "__init__.py").read_text()))
        assert said, f"{folder} has no docstring in its __init__.py"


def test_the_page_is_imported_by_nobody() -> None:
    imports = [line for f in SOURCES for line in f.read_text().splitlines() if "import" in line]
    assert not [line for line in imports if line.split()[1:2] == ["app"]]
