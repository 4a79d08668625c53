"""Find plug-ins: built-in and third-party alike, from entry-point groups or added from a file.

A plug-in that cannot be used is reported and skipped; the others keep working.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from tools.base import Tool
from tools.errors import InputError, MissingError

GROUP = "reelgraph.tools"
METHODS = "reelgraph.methods"
MODELS = "reelgraph.models"
DETECTION_TASKS = "reelgraph.detection_tasks"
OWN = ("agent.", "tools.")  # modules of the built-in plug-ins, which precede their namesakes
log = logging.getLogger(__name__)
T = TypeVar("T")
_ADDED: dict[str, dict[str, str]] = {}  # group -> name -> where it came from


@dataclass(frozen=True, slots=True)
class Installed(Generic[T]):
    """The plug-ins of all installed packages.

    Attributes:
        usable: What they bring, by name.
        broken: Why the others cannot be used, by name.
    """

    usable: dict[str, T] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)


class Registry(Generic[T]):
    """The plug-ins of one entry-point group, and those added while the program runs."""

    def __init__(self, group: str, noun: str, check: Callable[[str, Any], str]) -> None:
        """Read nothing yet.

        Args:
            group: The entry-point group.
            noun: What a plug-in is called in messages: tool, method, ...
            check: Returns why a loaded object is no such plug-in of this name, "" if it is one.
        """
        self.group, self.noun, self._check = group, noun, check
        self._loaded: Installed[T] = Installed()
        self._complete = False
        self._added = _ADDED.setdefault(group, {})

    def all(self) -> Installed[T]:
        """Import every plug-in, once; a built-in one takes precedence over its namesakes."""
        if not self._complete:
            for entry in _sorted(entry_points(group=self.group)):
                self._load(entry)
            self._complete = True
        return self._loaded

    def find(self, name: str) -> T:
        """Return one plug-in; no other is imported.

        Raises:
            InputError: There is none of that name; the text names the nearest.
            MissingError: Its package cannot be loaded.
        """
        if name not in self._loaded.usable and name not in self._loaded.broken:
            for entry in _sorted(entry_points(group=self.group, name=name)):
                self._load(entry)
        if name in self._loaded.usable:
            return self._loaded.usable[name]
        if name in self._loaded.broken:
            raise MissingError(self._loaded.broken[name])
        raise InputError(f"unknown {self.noun} {name!r}{suggest(name, names(self.group))}")

    def add(self, name: str, plug_in: Any, origin: str) -> None:
        """Add a plug-in that no package brings; the same origin may add a newer one.

        Raises:
            MissingError: It breaks the contract, or its name is taken.
        """
        why = self._check(name, plug_in)
        if not why and self._added.get(name, origin) != origin:
            why = f"{self._added[name]} has the same name; rename one of them"
        if not why and name in _installed_names(self.group):
            why = f"an installed {self.noun} has the same name; rename it"
        if why:
            raise cannot_use(self.noun, name, origin, why, "mend it")
        self._added[name] = origin
        self._loaded.usable[name] = plug_in

    def added_by(self, origin: str) -> list[str]:
        """Return the names that an origin added, in order."""
        return [name for name, place in self._added.items() if place == origin]

    def report(self, name: str, why: str) -> None:
        """Tell once that a plug-in cannot be used, and remember it."""
        if self._loaded.broken.get(name) != why:
            log.warning("%s", why)
        self._loaded.broken[name] = why

    def forget(self) -> None:
        """Forget what was loaded and added: it will be read anew (for tests)."""
        _installed_names.cache_clear()
        self._loaded, self._complete = Installed(), False
        self._added.clear()

    def remove(self, origin: str) -> None:
        """Forget what an origin added, and what was reported of it."""
        for name in self.added_by(origin):
            del self._added[name]
            self._loaded.usable.pop(name, None)
        self._loaded.broken.pop(origin, None)

    def _load(self, entry: EntryPoint) -> None:
        other = self._loaded.usable.get(entry.name)
        try:
            loaded = load_entry(self.noun, entry)
            if why := self._check(entry.name, loaded):
                raise unusable(self.noun, entry, why)
            if other is not None and other is not loaded:
                raise unusable(self.noun, entry, f"{_place(other)} has the same name")
            self._loaded.usable[entry.name] = loaded
        except MissingError as error:
            self.report(entry.name, str(error))


def names(group: str) -> tuple[str, ...]:
    """Return the names of a group's plug-ins, sorted; nothing behind them is imported."""
    return tuple(sorted({*_installed_names(group), *_ADDED.get(group, ())}))


@cache
def _installed_names(group: str) -> frozenset[str]:
    return frozenset(entry.name for entry in entry_points(group=group))


def load_entry(noun: str, entry: EntryPoint) -> Any:
    """Import what an entry point names. `MissingError` when its package cannot be used."""
    try:
        return entry.load()
    except (Exception, SystemExit) as error:  # a package may do anything when it is imported
        log.debug("%s", entry.value, exc_info=error)
        raise unusable(noun, entry, f"{type(error).__name__}: {error}") from error


def unusable(noun: str, entry: EntryPoint, why: str) -> MissingError:
    """Return the error of an installed plug-in that cannot be used, in one line."""
    remedy = "mend, reinstall or uninstall the package that brings it"
    return cannot_use(noun, entry.name, entry.value, why, remedy)


def cannot_use(noun: str, name: str, origin: str, why: str, remedy: str) -> MissingError:
    """Return the error of a plug-in that cannot be used, in one line."""
    reason = " ".join(why.split())
    return MissingError(f"the {noun} {name!r} ({origin}) cannot be used: {reason}; {remedy}")


def why_no_tool(name: str, loaded: Any) -> str:
    """Return how an object breaks the contract of a tool, "" if it keeps it."""
    if not (isinstance(loaded, type) and issubclass(loaded, Tool)):
        return "it is no subclass of tools.base.Tool"
    members = ("name", "kind", "version")
    missing = [m for m in members if not isinstance(getattr(loaded, m, None), str)]
    missing += sorted(getattr(loaded, "__abstractmethods__", ()))
    if missing:
        return f"it does not define {', '.join(missing)}"
    if loaded.name != name:
        return f"it calls itself {loaded.name!r}, expected its entry point's name"
    return ""


TOOLS: Registry[type[Tool]] = Registry(GROUP, "tool", why_no_tool)


def tool_classes() -> Mapping[str, type[Tool]]:
    """Return every tool that can be used, by name. `MissingError` when nothing is installed."""
    usable = TOOLS.all().usable
    if not usable:
        raise MissingError("no tools are installed; install the package: pip install .")
    return usable


def broken_tools() -> Mapping[str, str]:
    """Return why tools cannot be used, by the names of their entry points or files."""
    return TOOLS.all().broken


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


def detection_task_files() -> list[Path]:
    """Return the YAML files of detection tasks that installed packages bring, sorted by name.

    An entry point of the group `reelgraph.detection_tasks` names a file, a folder, or a package
    whose folder holds the files. One that cannot be read is told of and skipped.
    """
    found: list[Path] = []
    for entry in _sorted(entry_points(group=DETECTION_TASKS)):
        try:
            found += _task_files(entry)
        except MissingError as error:
            log.warning("%s", error)
    return sorted(dict.fromkeys(found), key=lambda file: (file.name, str(file)))


def _task_files(entry: EntryPoint) -> list[Path]:
    noun = "detection task"
    loaded = load_entry(noun, entry)
    if isinstance(loaded, ModuleType):
        if not loaded.__file__:
            raise unusable(noun, entry, "its package has no folder")
        loaded = Path(loaded.__file__).parent
    if not isinstance(loaded, str | Path):
        raise unusable(noun, entry, f"it is {loaded!r}, expected a package or a path")
    place = Path(loaded)
    files = sorted([*place.glob("*.yaml"), *place.glob("*.yml")]) if place.is_dir() else [place]
    if not files or not all(file.is_file() for file in files):
        raise unusable(noun, entry, f"there is no YAML file at {place}")
    return files


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


def _sorted(entries: Iterable[EntryPoint]) -> list[EntryPoint]:
    return sorted(entries, key=lambda e: (e.name, not e.value.startswith(OWN), e.value))


def _place(plug_in: Any) -> str:
    known = f"{getattr(plug_in, '__module__', '')}:{getattr(plug_in, '__qualname__', '')}"
    return known if len(known) > 1 else "another one"
