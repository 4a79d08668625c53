"""Prompts as text files, one each, with strict variables and a version hash."""

import hashlib
from functools import cache
from importlib.resources import files

from jinja2 import Environment, StrictUndefined, meta

_environment = Environment(
    undefined=StrictUndefined,
    autoescape=False,  # plain text, not HTML
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=False,
)


@cache
def source(name: str) -> str:
    """Return the text of a prompt file; `KeyError` lists the prompts that exist."""
    file = files(__name__).joinpath(f"{name}.txt")
    if not file.is_file():
        raise KeyError(f"no prompt called {name!r}; there are: {', '.join(names())}")
    return file.read_text(encoding="utf-8")


def names() -> list[str]:
    """Return the names of all prompts."""
    return sorted(f.name[:-4] for f in files(__name__).iterdir() if f.name.endswith(".txt"))


def version(name: str) -> str:
    """Return the first 12 hex digits of the sha256 of a prompt: part of traces and cache keys."""
    return hashlib.sha256(source(name).encode()).hexdigest()[:12]


def render(name: str, **variables: object) -> str:
    """Fill in a prompt. `TypeError` when a variable is missing or not used by the prompt."""
    text = source(name)
    wanted = meta.find_undeclared_variables(_environment.parse(text))
    if wanted != variables.keys():
        raise TypeError(f"prompt {name!r} takes {sorted(wanted)} but was given {sorted(variables)}")
    return _environment.from_string(text).render(**variables)
