"""The command `reelgraph ground`: when in a video something is shown or said."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from agent.cli.options import AsJson, Pairs, Plugins, Profile, open_session, print_json

if TYPE_CHECKING:
    from agent.answer import Answer

ABSTAINED = 3


def add_commands(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(ground)


def ground(
    video: Annotated[Path, typer.Argument(help="A video or sound file.", show_default=False)],
    what: Annotated[str, typer.Argument(help="What to look for.", show_default=False)],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan; call no model, run no tool.")
    ] = False,
    profile: Profile = None,
    pairs: Pairs = None,
    plugins: Plugins = None,
    as_json: AsJson = False,
) -> None:
    """Say when in a video something is shown or said: intervals with a confidence."""
    session = open_session(profile, pairs, {"method": "ground"}, plugins)
    if dry_run:
        print_json(session.plan(video, what).to_json())
        return
    from agent.cli import report

    found = report.watch(lambda control: session.stream(video, what, control=control))
    if as_json:
        print_json(found.to_json())
    else:
        print_intervals(found)
    raise typer.Exit(ABSTAINED if found.abstained else 0)


def print_intervals(found: "Answer") -> None:
    """Print the intervals in the order of time, or why there are none, and the cost."""
    from agent.answer import how_sure
    from agent.cli.console import plain_table
    from agent.cli.report import costs
    from agent.text import clock

    console = Console(highlight=False)
    if found.abstained:
        console.print(f"[bold yellow]Not found:[/] {escape(found.reason)}")
    else:
        console.print(f"[bold green]{escape(found.answer)}[/]", soft_wrap=True)
        notes = filter(None, (how_sure(found.confidence, found.measured_by), found.reason))
        console.print(f"[dim]the first: {escape('; '.join(notes))}[/]", soft_wrap=True)
        table = plain_table("from", "to", "confidence", "rests on")
        for one in found.evidence:
            ends = (clock(one.start_s, tenths=True), clock(one.end_s, tenths=True))
            table.add_row(*ends, f"{one.score:.2f}", escape(one.text))
        console.print(table)
    console.print(f"[dim]{costs(found)}[/]", soft_wrap=True)
