"""Find tools: built-in and third-party alike through the entry-point group `reelgraph.tools`."""

from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from pydantic import ValidationError

from tools.base import Tool
from tools.errors import InputError, MissingError

GROUP = "reelgraph.tools"


@cache
def tool_classes() -> Mapping[str, type[Tool]]:
    """Return every installed tool by name. `MissingError` names a plug-in that cannot load."""
    found: dict[str, type[Tool]] = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda e: e.name):
        try:
            loaded = entry.load()
        except (ImportError, AttributeError) as error:
            raise MissingError(
                f"the tool {entry.name!r} ({entry.value}) cannot be loaded: {error}. "
                f"Reinstall or uninstall the package that brings it."
            ) from error
        if not (isinstance(loaded, type) and issubclass(loaded, Tool)):
            raise MissingError(
                f"the tool {entry.name!r} ({entry.value}) is no subclass of tools.base.Tool"
            )
        found[entry.name] = loaded
    if not found:
        raise MissingError("no tools are installed; install the package: pip install .")
    return found


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
