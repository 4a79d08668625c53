"""Find tools: built-in and third-party alike through the entry-point group `reelgraph.tools`."""

from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from pydantic import ValidationError

from tools.base import Tool
from tools.errors import InputError, MissingError

GROUP = "reelgraph.tools"


@cache
def names(group: str) -> tuple[str, ...]:
    """Return the names of an entry-point group, sorted; nothing behind them is imported."""
    return tuple(sorted({entry.name for entry in entry_points(group=group)}))


@cache
def tool_classes() -> Mapping[str, type[Tool]]:
    """Return every installed tool by name. `MissingError` names a plug-in that cannot be used."""
    found: dict[str, type[Tool]] = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda e: (e.name, e.value)):
        loaded = _load(entry)
        other = found.setdefault(entry.name, loaded)
        if other is not loaded:
            raise _unusable(entry, f"{other.__module__}:{other.__qualname__} has the same name")
    if not found:
        raise MissingError("no tools are installed; install the package: pip install .")
    return found


def _load(entry: EntryPoint) -> type[Tool]:
    """Return the class behind an entry point after checking that it keeps the contract."""
    try:
        loaded = entry.load()
    except (ImportError, AttributeError, NameError, SyntaxError, TypeError, ValueError) as error:
        raise _unusable(entry, f"{type(error).__name__}: {error}") from error
    if not (isinstance(loaded, type) and issubclass(loaded, Tool)):
        raise _unusable(entry, "it is no subclass of tools.base.Tool")
    members = ("name", "kind", "version")
    missing = [m for m in members if not isinstance(getattr(loaded, m, None), str)]
    missing += sorted(getattr(loaded, "__abstractmethods__", ()))
    if missing:
        raise _unusable(entry, f"it does not define {', '.join(missing)}")
    if loaded.name != entry.name:
        raise _unusable(entry, f"it calls itself {loaded.name!r}, expected its entry point's name")
    return loaded


def _unusable(entry: EntryPoint, why: str) -> MissingError:
    return MissingError(
        f"the tool {entry.name!r} ({entry.value}) cannot be used: {why}; mend, reinstall or "
        f"uninstall the package that brings it"
    )


def make_tool(name: str, options: Mapping[str, Any]) -> Tool:
    """Make a tool from its name and options. `InputError` for an unknown name or option."""
    classes = tool_classes()
    if name not in classes:
        raise InputError(f"unknown tool {name!r}{suggest(name, classes)}")
    try:
        return classes[name](classes[name].Options.model_validate(dict(options)))
    except ValidationError as error:
        raise InputError(explain(error, name, classes[name].Options.model_fields)) from error


def suggest(wrong: str, known: Mapping[str, Any]) -> str:
    """Return the tail of an error message: the nearest known names, or all of them."""
    near = get_close_matches(wrong, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(known)}"


def explain(error: ValidationError, section: str, known: Mapping[str, Any]) -> str:
    """Say in one line which option is wrong and what was expected."""
    first = error.errors(include_url=False)[0]
    key = ".".join([section, *(str(part) for part in first["loc"])]).lstrip(".")
    if first["type"] == "extra_forbidden":
        return f"unknown key {key!r}{suggest(str(first['loc'][-1]), known)}"
    return f"bad value {first['input']!r} for {key!r}: {first['msg']}"
