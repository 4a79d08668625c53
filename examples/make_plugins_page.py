"""Write examples/PLUGINS.md, the reference of plug-ins, from the code."""

import inspect
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import docstring_parser
from pydantic import BaseModel

from agent.answering.method import Method
from agent.models.engines import ChatEngine
from agent.plugins.kit import CHECKS
from tools import Evidence, Finding, Tool, ToolInput
from tools.base import Isolation
from tools.function_tool import ASKED
from tools.registry import DETECTION_TASKS, GROUP, METHODS, MODELS

PAGE = Path(__file__).with_name("PLUGINS.md")
MEMBERS = [
    "needs",
    "uses",
    "models",
    "reentrant",
    "memory_bytes",
    "available",
    "reads",
    "setup",
    "run",
]


def page() -> str:
    """Return the page as Markdown."""
    template = Path(__file__).with_name("plugins_page.txt").read_text(encoding="utf-8")
    return template.format(
        groups="\n".join(
            [
                f"| `{GROUP}` | a subclass of `Tool`, also one made by `@tool` |",
                f"| `{METHODS}` | an `agent.answering.method.Method` |",
                f"| `{MODELS}` | an `agent.models.engines.ChatEngine` |",
                f"| `{DETECTION_TASKS}` | a package, folder or file with YAML |",
            ]
        ),
        asked="\n".join(f"| `{kind}` | {meaning} |" for kind, meaning in ASKED.items()),
        finding=rows(Finding),
        evidence=rows(Evidence),
        given=rows(ToolInput),
        members="\n".join(f"| `{name}` | {said(getattr(Tool, name))} |" for name in MEMBERS),
        isolation="\n".join(options(Isolation)),
        checks="\n".join(f"- {check}" for check in CHECKS),
        method=rows(Method),
        engine=rows(ChatEngine),
    )


def rows(record: Any) -> str:
    """Return a table row for each field of a dataclass, from its docstring."""
    described = {
        part.arg_name: " ".join((part.description or "").split())
        for part in docstring_parser.parse(inspect.getdoc(record) or "").params
    }
    return "\n".join(f"| `{one.name}` | {described[one.name]} |" for one in fields(record))


def said(member: Any) -> str:
    """Return the first paragraph of a member's docstring, in one line."""
    return " ".join((inspect.getdoc(member) or "").split("\n\n")[0].split())


def options(model: type[BaseModel]) -> Iterator[str]:
    """Yield a table row for each field of a model of options."""
    for name, field in model.model_fields.items():
        yield f"| `{name}` | {field.get_default()} | {field.description} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.stderr.write(f"written: {PAGE.name}\n")
