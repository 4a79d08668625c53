"""`reelgraph models list|get|verify`: the weights that no dependency brings along."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from agent.cli.console import plain_table
from agent.models.needed import needed_models
from agent.settings import Settings, profiles, resolve
from tools.errors import InputError, MissingError, ReelgraphError
from tools.model_files.fetch import Progress as Step
from tools.model_files.fetch import fetch
from tools.model_files.manifest import ModelEntry, manifest
from tools.model_files.store import ModelStore
from tools.registry import suggest

STATES = {"here": "[green]here[/]", "incomplete": "[yellow]incomplete[/]", "missing": "missing"}


def print_models(settings: Settings) -> None:
    """Print every model of the manifest, its size, licence and state."""
    store, wanted = ModelStore(settings.models), needed_models(settings)
    table = plain_table("model", "what it is", "MB", "licence", "state", f"in {settings.profile}")
    for entry in manifest().values():
        state = STATES[store.state(entry)]
        uses = "yes" if entry.name in wanted else ""
        size = f"{entry.bytes / 1e6:,.0f}"
        table.add_row(entry.name, entry.what, size, entry.licence, state, uses)
    console = Console(highlight=False)
    console.print(table)
    console.print(f"in {settings.models}", soft_wrap=True)


def get_models(name: str | None, settings: Settings) -> None:
    """Fetch the models of a profile, or one model.

    Args:
        name: A profile or a model; None takes the profile of the settings.
        settings: Where the weights go, and whether the hub may be asked.

    Raises:
        InputError: There is no such profile or model.
        MissingError: One cannot be had; the others were fetched.
    """
    store, failed = ModelStore(settings.models), []
    for entry in _chosen(name, settings):
        with _bar(entry) as report:
            try:
                fetch(entry, store, not settings.offline, report)
            except MissingError as error:
                failed.append(str(error))
    if failed:
        raise MissingError("; ".join(failed))


def verify_models(settings: Settings) -> bool:
    """Hash every file that is here; what is not as the manifest says is removed and named."""
    store, console, sound = ModelStore(settings.models), Console(highlight=False), True
    for entry in manifest().values():
        if store.state(entry) == "missing":
            continue
        for file in entry.files:
            path = store.place(entry, file)
            if not path.is_file():
                console.print(f"[red]missing[/] {entry.name}/{file.name}")
                sound = False
                continue
            try:
                store.check(entry, file)
                console.print(f"[green]ok     [/] {entry.name}/{file.name}")
            except ReelgraphError as error:
                console.print(f"[red]removed[/] {error}", soft_wrap=True)
                sound = False
    return sound


def _chosen(name: str | None, settings: Settings) -> list[ModelEntry]:
    known = manifest()
    if name in known:
        return [known[str(name)]]
    if name is not None and name not in profiles():
        names = [*known, *profiles()]
        raise InputError(f"no model or profile is called {name!r}{suggest(name, names)}")
    wanted = needed_models(settings if name is None else resolve(name))
    return [known[one] for one in wanted]


@contextmanager
def _bar(entry: ModelEntry) -> Iterator[Callable[[Step], None]]:
    """Show how far a model has come, in bytes and with the time that is left."""
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    console = Console(stderr=True, highlight=False)
    with Progress(TextColumn("{task.description}"), *columns, console=console) as progress:
        task = progress.add_task(entry.name, total=entry.bytes)

        def report(step: Step) -> None:
            if step.note:
                progress.console.print(f"{entry.name}: {step.note}", soft_wrap=True)
            progress.update(task, completed=step.done)

        yield report
