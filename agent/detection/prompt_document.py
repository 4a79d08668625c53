"""The versioned prompt of a task: an editable part, and a locked part that no rewrite reaches.

The canonical form is JSON with sorted keys; its SHA-256 names the version.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import prompts
from agent.detection.task import PromptField, Task
from tools.registry import tool_classes

TEMPLATES = ("detect_system", "detect_judge", "detect_repair", "detect_again")


@dataclass(frozen=True, slots=True)
class PromptDocument:
    """A version of a task's prompt.

    Attributes:
        instructions: Editable instructions.
        fields: Editable analysis fields, in order; `<tool>_analysis` describes that of a tool.
        locked: Task and templates by hash: other ones make another prompt.
    """

    instructions: str
    fields: tuple[PromptField, ...]
    locked: str

    def editable(self) -> dict[str, Any]:
        """Return the part that a patch may change."""
        return {
            "instructions": self.instructions,
            "fields": [{"name": f.name, "about": f.about} for f in self.fields],
        }

    def canonical(self) -> bytes:
        """Return the canonical bytes."""
        values = {**self.editable(), "locked": self.locked}
        return json.dumps(values, sort_keys=True, ensure_ascii=False, indent=1).encode()

    @property
    def sha256(self) -> str:
        """Hash of the canonical bytes."""
        return sha256(self.canonical()).hexdigest()

    def about(self, name: str, default: str) -> str:
        """Return the description of a field."""
        return next((f.about for f in self.fields if f.name == name), default)


def first_document(task: Task) -> PromptDocument:
    """Return version 0: the prompt as the task file states it."""
    return PromptDocument(task.instructions, task.fields, locked_hash(task))


def locked_hash(task: Task) -> str:
    """Return the hash of everything that no rewrite may change."""
    fixed = task.model_dump(mode="json", exclude={"instructions", "fields"})
    values = {"task": fixed, "templates": {name: prompts.version(name) for name in TEMPLATES}}
    return sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:32]


def from_editable(editable: Mapping[str, Any], locked: str) -> PromptDocument:
    """Return the document of an editable part. `ValidationError` when a field is not valid."""
    fields = tuple(PromptField.model_validate(field) for field in editable["fields"])
    return PromptDocument(str(editable["instructions"]), fields, locked)


def analysis_fields(document: PromptDocument, kit: Sequence[str]) -> tuple[PromptField, ...]:
    """Return the analysis fields of a reply: one of each tool of the kit, none of other tools.

    The document's order holds; tools that it does not mention follow.
    """
    of_tools = {f"{tool}_analysis": tool for tool in kit}
    kept = [f for f in document.fields if f.name in of_tools or not is_tool_field(f.name)]
    named = {field.name for field in kept}
    missing = [
        PromptField(name=name, about=f"What the card and picture of {tool} show.")
        for name, tool in of_tools.items()
        if name not in named
    ]
    return (*kept, *missing)


def is_tool_field(name: str) -> bool:
    """Whether a field is the analysis of a registered tool."""
    return name.removesuffix("_analysis") in tool_classes()
