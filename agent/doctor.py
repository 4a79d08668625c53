"""Checks of the installation: what works, what is missing, and the command that installs it."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from agent.library.store import Library
from agent.models.chat import find_source
from agent.models.engines import REGISTRY
from agent.models.gguf import gguf_file, is_gguf
from agent.models.loading import needs_quantized
from agent.settings import ENGINES, ChatSettings, Settings
from tools.errors import MissingError, ReelgraphError
from tools.model_files.manifest import manifest
from tools.model_files.ready import ready
from tools.model_files.store import ModelStore
from tools.registry import broken_tools, make_tool, tool_classes

QUICK = {"timeout_s": 3.0, "max_retries": 0}  # for probing a server
LOW_DISK = 2e9  # bytes; the frames of an hour take about 0.3e9, a converted model as much


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check; `remedy` is the command that fixes it."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""


def checks(settings: Settings) -> Iterator[Check]:
    """Yield a check for each tool and model of a profile and for the library; loads nothing."""
    yield _library(settings)
    yield _chat("chat model", settings.chat, settings)
    if settings.captioner:
        yield _chat("captioner", settings.captioner, settings)
    yield _embedder(settings)
    for name in settings.ingest:
        yield _tool(name, settings)


def plug_ins(settings: Settings) -> Iterator[Check]:
    """Yield a check for each installed tool that is broken and not in the profile."""
    return (_tool(name, settings) for name in broken_tools() if name not in settings.ingest)


def print_report(settings: Settings) -> bool:
    """Print all checks and return whether everything works."""
    console, healthy = Console(highlight=False), True
    console.print(f"profile [bold]{settings.profile}[/], offline: {settings.offline}")
    for check in chain(checks(settings), plug_ins(settings)):
        healthy &= check.ok
        mark = "[green]ok     [/]" if check.ok else "[red]missing[/]"
        console.print(f"{mark} {check.name}: {escape(check.detail)}", soft_wrap=True)
        if not check.ok:
            console.print(f"        mend it with: {escape(check.remedy)}", soft_wrap=True)
    return healthy


def _tool(name: str, settings: Settings) -> Check:
    if name in broken_tools() and name not in tool_classes():
        why, _, remedy = broken_tools()[name].rpartition("; ")
        return Check(f"tool {name}", False, why, remedy)
    tool = make_tool(name, settings.tools.get(name, {}))
    state = ready(tool, settings.models)
    engine = getattr(tool.options, "engine", "")
    return Check(f"tool {name}", state.ok, state.reason or str(engine), state.remedy)


def _library(settings: Settings) -> Check:
    library = Library(settings.library)
    free = shutil.disk_usage(library.folder).free
    detail = f"{library.folder}, {free / 1e9:.0f} GB free"
    return Check("library", free > LOW_DISK, detail, "free some space, or --set library=DIR")


def _chat(name: str, chat: ChatSettings, settings: Settings) -> Check:
    if chat.engine == "endpoint":
        return _endpoint(name, chat, settings.offline)
    if chat.engine not in ENGINES:
        return _plug_in(name, chat)
    device = "cuda" if settings.device == "auto" else settings.device
    if against := needs_quantized(chat.quantization, device):
        return Check(name, False, f"{chat.model} in {chat.quantization}", against)
    if chat.model in manifest():
        return _fetched(name, chat.model, settings)
    try:
        if is_gguf(chat.model):
            return Check(name, True, str(gguf_file(chat.model, settings.models)))
        source = find_source(chat.model, settings.offline)
    except MissingError as error:
        return Check(name, False, chat.model, str(error))
    where = "folder" if Path(source).is_dir() else "from the hub, on first use"
    return Check(name, True, f"{chat.model} ({where})")


def _endpoint(name: str, chat: ChatSettings, offline: bool) -> Check:
    """List the server's models: the one request that costs nothing."""
    from agent.models.chat_endpoint import EndpointChat

    where = f"{chat.model} on {chat.base_url or 'api.openai.com'}"
    try:
        models = EndpointChat(
            name=chat.model, **chat.endpoint() | QUICK, offline=offline
        ).served_models()
    except ReelgraphError as error:
        return Check(name, False, where, str(error))
    if models and chat.model not in models:
        known = ", ".join(models[:5])
        return Check(name, False, f"{where}, which serves {known}", "--set chat.model=NAME")
    return Check(name, True, where)


def _plug_in(name: str, chat: ChatSettings) -> Check:
    """Ask a plug-in's engine what its model can do, which loads nothing."""
    where = f"{chat.model} by the plug-in {chat.engine}"
    try:
        REGISTRY.find(chat.engine).capabilities(chat)
    except ReelgraphError as error:
        return Check(name, False, where, str(error))
    return Check(name, True, where)


def _embedder(settings: Settings) -> Check:
    name = settings.embedder.model
    if name in manifest():
        return _fetched("embedding model", name, settings)
    ok = Path(name).is_dir() or not settings.offline
    return Check("embedding model", ok, name, "--set embedder.model=DIR, a folder")


def _fetched(role: str, name: str, settings: Settings) -> Check:
    """Say whether a model of the manifest is here, by the size of its files."""
    state = ModelStore(settings.models).state(manifest()[name])
    return Check(role, state == "here", f"{name} ({state})", f"reelgraph models get {name}")
