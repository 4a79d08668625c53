"""The command `reelgraph compare`: one question by several methods, side by side."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from agent.cli.options import AsJson, Pairs, Plugins, Profile, open_session, print_json

if TYPE_CHECKING:
    from agent.comparison.rows import Comparison

ABSTAINED = 3
COLOURS = {"answered": "bold", "abstained": "yellow", "failed": "red"}


def add_commands(app: typer.Typer) -> None:
    """Register the command."""
    app.command("compare")(compare)


def compare(
    video: Annotated[Path, typer.Argument(help="A video or sound file.", show_default=False)],
    question: Annotated[str, typer.Argument(help="What you want to know.", show_default=False)],
    methods: Annotated[
        str, typer.Option("--methods", help="Names with commas; by default auto and baselines.")
    ] = "",
    option: Annotated[
        list[str] | None, typer.Option("--option", help="One option of a multiple choice.")
    ] = None,
    profile: Profile = None,
    pairs: Pairs = None,
    plugins: Plugins = None,
    as_json: AsJson = False,
) -> None:
    """Ask one question by several methods: answers, citations and costs in one table.

    Exit codes: 0 a method answered, 3 none did and one abstained, 1 none could run, 2 bad input.
    """
    from agent.cli.report import watch_for
    from agent.comparison.compare import compare as run
    from agent.comparison.compare import read_methods

    session = open_session(profile, pairs, plugins=plugins)
    names = read_methods(methods)
    found: Comparison = watch_for(
        "comparison",
        lambda control: run(session, video, question, names, option or [], control),
    )
    if as_json:
        print_json(found.to_json())
    else:
        print_comparison(found)
    came = {row.status for row in found.rows}
    raise typer.Exit(0 if "answered" in came else ABSTAINED if "abstained" in came else 1)


def print_comparison(found: "Comparison") -> None:
    """Print a row a method, what they had in common, and the cost of looking at the video."""
    from agent.cli.console import plain_table
    from agent.comparison.rows import told_in_common

    console = Console(highlight=False)
    columns = ("method", "answer", "cites", "sure", "seconds", "calls", "tokens", "frames")
    table = plain_table(*columns, expand=True)
    table.columns[1].ratio = table.columns[2].ratio = 1  # the long ones share what is left
    for row in found.rows:
        colour, answer = COLOURS[row.status], row.answer
        words = (escape(row.citation), escape(row.how_sure))
        seconds = f"{answer.seconds:.1f}" if answer else ""
        costs = (seconds, str(row.calls), f"{row.tokens:,}", str(row.frames))
        costs = costs if row.status != "failed" else ("", "", "", "")
        table.add_row(row.method, f"[{colour}]{escape(row.said)}[/]", *words, *costs)
    console.print(table)
    for line in told_in_common(found):
        console.print(f"[dim]{escape(line)}[/]", soft_wrap=True)
    if found.ingest:
        console.print(f"[dim]looking at the video first: {found.ingest_s:.1f} s[/]")
