"""`reelgraph tools check`: the contract kit on the command line."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from agent.plugins.kit import Result, check_tool
from agent.plugins.load import load_file, load_settings
from agent.settings import parse_pairs
from tools.errors import InputError, MissingError
from tools.registry import broken_tools, suggest, tool_classes

MARKS = {"passed": "[green]passed [/]", "failed": "[red]failed [/]", "skipped": "[dim]skipped[/]"}


def check(
    tool: str, profile: str | None, pairs: list[str], deadline_s: float, clip: Path | None
) -> list[Result]:
    """Check a tool by its name, or all tools of a file.

    Raises:
        InputError: There is no such tool or file.
        MissingError: The file cannot be used.
    """
    overrides = parse_pairs(pairs)
    file = Path(tool).expanduser()
    if file.suffix != ".py" and not file.is_dir():
        settings = load_settings(profile, overrides)
        if tool not in tool_classes():
            raise InputError(f"unknown tool {tool!r}{suggest(tool, tool_classes())}")
        return list(check_tool(tool, settings, deadline_s, clip))
    settings = load_settings(profile, {**overrides, "plugins": [tool]})
    names = load_file(file.absolute())
    if not names:
        raise MissingError(broken_tools().get(str(file.absolute()), f"{tool} brings no tool"))
    return [
        Result(f"{name}: {result.check}", result.status, result.detail)
        for name in names
        for result in check_tool(name, settings, deadline_s, clip)
    ]


def print_results(results: Sequence[Result]) -> None:
    """Print a line for each check, then the count."""
    console = Console(highlight=False)
    for one in results:
        detail = f" [dim]{escape(one.detail)}[/]" if one.detail else ""
        console.print(f"{MARKS[one.status]} {escape(one.check)}{detail}", soft_wrap=True)
    counts = (f"{sum(r.status == s for r in results)} {s}" for s in MARKS)
    console.print(", ".join(counts))
