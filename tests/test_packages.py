"""Setuptools is told every package by name, so a new folder is easily forgotten."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_package_is_installed() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    tops = ("agent", "tools", "prompts")
    found = {
        ".".join(file.parent.relative_to(ROOT).parts)
        for top in tops
        for file in (ROOT / top).rglob("__init__.py")
    }
    assert set(settings["packages"]) == found
    for package, patterns in settings["package-data"].items():
        folder = ROOT.joinpath(*package.split("."))
        assert all(list(folder.glob(pattern)) for pattern in patterns)
        kept = {file for pattern in patterns for file in folder.glob(pattern)}
        assert {f for f in folder.iterdir() if f.suffix in {".yaml", ".txt"}} <= kept
