"""Find tools: built-in and third-party alike through the entry-point group `reelgraph.tools`.

A package that cannot be used is reported and skipped; the other tools keep working.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from pydantic import ValidationError

from tools.base import Tool
from tools.errors import InputError, MissingError

GROUP = "reelgraph.tools"
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Installed:
    """The tools of all installed packages.

    Attributes:
        usable: Their classes, by name.
        broken: Why the others cannot be used, by name.
    """

    usable: dict[str, type[Tool]] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)


@cache
def names(group: str) -> tuple[str, ...]:
    """Return the names of an entry-point group, sorted; nothing behind them is imported."""
    return tuple(sorted({entry.name for entry in entry_points(group=group)}))


def tool_classes() -> Mapping[str, type[Tool]]:
    """Return every tool that can be used, by name."""
    return installed().usable


def broken_tools() -> Mapping[str, str]:
    """Return why tools cannot be used, by the names of their entry points."""
    return installed().broken


@cache
def installed() -> Installed:
    """Import every installed tool, once; a built-in tool takes precedence over its namesakes."""
    found = Installed()
    entries = entry_points(group=GROUP)
    for entry in sorted(entries, key=lambda e: (e.name, not e.value.startswith("tools."), e.value)):
        try:
            loaded = _checked(entry)
            other = found.usable.setdefault(entry.name, loaded)
            if other is not loaded:
                same = f"{other.__module__}:{other.__qualname__} has the same name"
                raise unusable("tool", entry, same)
        except MissingError as error:
            log.warning("%s", error)
            found.broken[entry.name] = str(error)
    if not found.usable:
        raise MissingError("no tools are installed; install the package: pip install .")
    return found


def load_plug_in(kind: str, entry: EntryPoint) -> Any:
    """Import what an entry point names. `MissingError` when its package cannot be used."""
    try:
        return entry.load()
    except (Exception, SystemExit) as error:  # a package may do anything when it is imported
        log.debug("%s", entry.value, exc_info=error)
        raise unusable(kind, entry, f"{type(error).__name__}: {error}") from error


def unusable(kind: str, entry: EntryPoint, why: str) -> MissingError:
    """Return the error of a plug-in that cannot be used, in one line."""
    return MissingError(
        f"the {kind} {entry.name!r} ({entry.value}) cannot be used: {' '.join(why.split())}; "
        f"mend, reinstall or uninstall the package that brings it"
    )


def _checked(entry: EntryPoint) -> type[Tool]:
    """Return the class behind an entry point after checking that it keeps the contract."""
    loaded = load_plug_in("tool", entry)
    if not (isinstance(loaded, type) and issubclass(loaded, Tool)):
        raise unusable("tool", entry, "it is no subclass of tools.base.Tool")
    members = ("name", "kind", "version")
    missing = [m for m in members if not isinstance(getattr(loaded, m, None), str)]
    missing += sorted(getattr(loaded, "__abstractmethods__", ()))
    if missing:
        raise unusable("tool", entry, f"it does not define {', '.join(missing)}")
    if loaded.name != entry.name:
        why = f"it calls itself {loaded.name!r}, expected its entry point's name"
        raise unusable("tool", entry, why)
    return loaded


def make_tool(name: str, options: Mapping[str, Any]) -> Tool:
    """Make a tool from its name and options.

    Raises:
        InputError: Unknown name or option.
        MissingError: The package that brings the tool cannot be used.
    """
    classes = tool_classes()
    if name not in classes and name in broken_tools():
        raise MissingError(broken_tools()[name])
    if name not in classes:
        raise InputError(f"unknown tool {name!r}{suggest(name, classes)}")
    try:
        return classes[name](classes[name].Options.model_validate(dict(options)))
    except ValidationError as error:
        raise InputError(explain(error, name, classes[name].Options.model_fields)) from error


def suggest(wrong: str, known: Iterable[str]) -> str:
    """Return the tail of an error message: the nearest known names, or all of them."""
    names = list(known)
    near = get_close_matches(wrong, names, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(names)}"


def explain(error: ValidationError, section: str, known: Mapping[str, Any]) -> str:
    """Say in one line which option is wrong and what was expected."""
    first = error.errors(include_url=False)[0]
    key = ".".join([section, *(str(part) for part in first["loc"])]).lstrip(".")
    if first["type"] == "extra_forbidden":
        return f"unknown key {key!r}{suggest(str(first['loc'][-1]), known)}"
    return f"bad value {first['input']!r} for {key!r}: {first['msg']}"
