"""Load the plug-ins that the user names: Python files, folders of them, installed tools by name.

    --plugin, REELGRAPH_PLUGINS, a profile's `plugins` -> module -> registries -> settings

Plug-ins are code: nothing is imported that the user did not name or install.
"""

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from agent.answering import method
from agent.answering.method import Method
from agent.models import engines
from agent.models.engines import ChatEngine
from agent.plugins.files import SOURCE, import_file, mark_of, module_name
from agent.settings import Settings, named_plugins, resolve
from tools.base import Tool
from tools.errors import InputError, MissingError
from tools.registry import GROUP, METHODS, TOOLS, Registry, cannot_use, names, suggest

REGISTRIES: tuple[Registry[Any], ...] = (TOOLS, method.REGISTRY, engines.REGISTRY)


class _Found(NamedTuple):
    """Something in a file that plugs in."""

    registry: Registry[Any]
    name: str
    value: Any


def load_settings(
    profile: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Settings:
    """Load the plug-ins that are named, then resolve the settings; their tools join `ingest`.

    Arguments and errors are those of `agent.settings.resolve`.
    """
    tools = load_plugins(named_plugins(profile, overrides, environ))
    settings = resolve(profile, overrides, environ)
    more = tuple(name for name in tools if name not in settings.ingest)
    return settings.model_copy(update={"ingest": (*settings.ingest, *more)})


def load_plugins(named: Iterable[str]) -> list[str]:
    """Load plug-ins and return the names of their tools, in order.

    A file that cannot be used is told of in one line, and listed with the tools as broken.

    Raises:
        InputError: There is no such file, folder or installed tool.
    """
    found: list[str] = []
    for given in named:
        if given in names(GROUP) and not Path(given).suffix:
            found.append(given)
            continue
        for file in _files(given):
            found += load_file(file)
    return list(dict.fromkeys(found))


def load_file(file: Path) -> list[str]:
    """Load one file or package and return the names of its tools; unchanged ones stay loaded."""
    origin = str(file)
    mark = mark_of(file)
    known = sys.modules.get(module_name(file))
    brought = [name for registry in REGISTRIES for name in registry.added_by(origin)]
    if brought and getattr(known, SOURCE, None) == (origin, mark):
        return TOOLS.added_by(origin)
    _forget(origin)
    try:
        module = import_file(file, mark)
        found = list(_plug_ins(module))
        if not found:
            raise cannot_use(
                *("plug-in", file.name, origin, "it has no tool, method or chat engine"),
                "decorate a function with @tool from tools",
            )
    except MissingError as error:
        TOOLS.report(origin, str(error))
        return []
    _register(found, origin, mark)
    return TOOLS.added_by(origin)


def _files(given: str) -> list[Path]:
    """Return the plug-ins of a file or folder: a package is one, else each Python file of it."""
    place = Path(given).expanduser().absolute()
    if not place.exists():
        near = suggest(given, names(GROUP))
        raise InputError(f"no plug-in {given!r}: there is no such file or installed tool{near}")
    if place.is_file():
        if place.suffix != ".py":
            raise InputError(f"the plug-in {given} is no Python file; its name must end in .py")
        return [place]
    if (place / "__init__.py").is_file():
        return [place]
    inside = sorted(p for p in place.iterdir() if not p.name.startswith((".", "_")))
    return [p for p in inside if p.suffix == ".py" or (p / "__init__.py").is_file()]


def _forget(origin: str) -> None:
    for registry in REGISTRIES:
        registry.remove(origin)


def _plug_ins(module: ModuleType) -> Iterator[_Found]:
    """Yield what a module defines itself, not what it imports; each object once."""
    seen: set[int] = set()
    for value in list(vars(module).values()):
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, Method) and not _installed(method.REGISTRY, value):
            yield _Found(method.REGISTRY, value.name, value)
        elif isinstance(value, ChatEngine) and not _installed(engines.REGISTRY, value):
            yield _Found(engines.REGISTRY, value.name, value)
        elif isinstance(value, type) and issubclass(value, Tool) and _own(value, module):
            yield _Found(TOOLS, str(getattr(value, "name", value.__name__)), value)


def _installed(registry: Registry[Any], value: Method | ChatEngine) -> bool:
    """Whether a file only imports what a package brings."""
    return value.name in names(registry.group) and registry.find(value.name) is value


def _own(value: type, module: ModuleType) -> bool:
    defined = value.__module__.startswith(module.__name__)
    return defined and not value.__name__.startswith("_")


def _register(found: list[_Found], origin: str, mark: str) -> None:
    """Add what a file brings; one that clashes or breaks its contract costs no other."""
    for registry, name, value in found:
        try:
            _require_free(registry.noun, name, origin)
            registry.add(name, value, origin)
        except MissingError as error:
            TOOLS.report(origin, str(error))
            continue
        if registry is TOOLS and SOURCE not in vars(value):
            value.version = f"{value.version}+{mark}"  # its findings depend on its code
            setattr(value, SOURCE, origin)


def _require_free(noun: str, name: str, origin: str) -> None:
    """Reject a name whose section of settings, or options, belongs to something else."""
    others = {"tool": names(METHODS), "method": names(GROUP)}
    if noun in others and name in Settings.model_fields:
        raise cannot_use(noun, name, origin, "a setting has the same name", "rename it")
    if name in others.get(noun, ()):
        other = "method" if noun == "tool" else "tool"
        raise cannot_use(noun, name, origin, f"a {other} has the same name", "rename it")
