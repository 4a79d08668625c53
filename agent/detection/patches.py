"""Bounded edits of a prompt: JSON patches (RFC 6902) over allowed fields alone.

A patch may change the instructions, describe, order, add or remove analysis fields. It reaches
neither the labels, the rules, the safety text nor the output keys, and may not hint at a label.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import jsonpatch
from jsonpointer import JsonPointerException
from pydantic import ValidationError

from agent.detection.prompt_document import PromptDocument, from_editable, is_tool_field
from agent.detection.schema import AFTER
from agent.detection.task import Task
from tools.errors import ReelgraphError

MAX_OPERATIONS, MAX_FIELDS = 6, 10
MAX_INSTRUCTIONS, MAX_ABOUT = 1500, 500  # characters
_ALLOWED = re.compile(r"/instructions|/fields/(?:\d+|-)|/fields/\d+/about")
_OPERATIONS = ("add", "remove", "replace", "move")


class PatchError(ReelgraphError):
    """A patch that is not allowed; the message says why."""


def read_patch(text: str) -> list[dict[str, Any]]:
    """Return the patch in a reply: its first JSON array. `PatchError` if there is none."""
    decoder, start = json.JSONDecoder(), text.find("[")
    while start >= 0:
        try:
            found, _ = decoder.raw_decode(text, start)
        except json.JSONDecodeError:
            start = text.find("[", start + 1)
            continue
        if isinstance(found, list) and all(isinstance(one, dict) for one in found):
            return found
        start = text.find("[", start + 1)
    raise PatchError("the reply holds no JSON patch")


def apply_patch(
    document: PromptDocument, patch: Sequence[Mapping[str, Any]], task: Task
) -> PromptDocument:
    """Return the patched document. `PatchError` when the patch is not allowed."""
    _check_operations(patch)
    try:
        edited = jsonpatch.JsonPatch([dict(op) for op in patch]).apply(document.editable())
        changed = from_editable(edited, document.locked)
    except ValidationError as error:
        raise PatchError("a field is no {name, about} with a plain name") from error
    except (jsonpatch.JsonPatchException, JsonPointerException, KeyError, TypeError) as error:
        raise PatchError(f"the patch does not apply: {type(error).__name__}") from error
    _check_document(changed, document, task)
    return changed


def _check_operations(patch: Sequence[Mapping[str, Any]]) -> None:
    if not 0 < len(patch) <= MAX_OPERATIONS:
        raise PatchError(f"{len(patch)} operations, expected 1 to {MAX_OPERATIONS}")
    for operation in patch:
        if operation.get("op") not in _OPERATIONS:
            raise PatchError(f"the operation {operation.get('op')!r} is not allowed")
        for key in ("path", "from"):
            path = operation.get(key)
            if path is not None and not _ALLOWED.fullmatch(str(path)):
                raise PatchError(f"{path!r} is locked")


def _check_document(changed: PromptDocument, before: PromptDocument, task: Task) -> None:
    """Check a patched document as a whole."""
    names = [field.name for field in changed.fields]
    if len(set(names)) < len(names) or len(names) > MAX_FIELDS:
        raise PatchError(f"expected at most {MAX_FIELDS} fields of different names")
    if taken := [name for name in names if name in AFTER or not name.endswith("_analysis")]:
        raise PatchError(f"{taken[0]!r} is locked or does not end in _analysis")
    lost = [f.name for f in before.fields if is_tool_field(f.name) and f.name not in names]
    if lost:
        raise PatchError(f"{lost[0]!r} belongs to a tool and stays")
    if not isinstance(changed.instructions, str) or len(changed.instructions) > MAX_INSTRUCTIONS:
        raise PatchError(f"instructions are longer than {MAX_INSTRUCTIONS} characters")
    if long := [f.name for f in changed.fields if len(f.about) > MAX_ABOUT]:
        raise PatchError(f"{long[0]!r} is described in more than {MAX_ABOUT} characters")
    for text in (changed.instructions, *(f"{f.name} {f.about}" for f in changed.fields)):
        if word := label_word(text, task):
            raise PatchError(f"{word!r} hints at a label")


def label_word(text: str, task: Task) -> str:
    """Return a word of a text that names or hints at a label, "" if there is none."""
    words = (*task.labels, *task.label_words)
    pattern = "|".join(re.escape(word).replace("_", "[ _-]?") for word in words)
    found = re.search(rf"(?<![a-z])(?:{pattern})(?![a-z])", text.replace("_", " "), re.IGNORECASE)
    return found[0] if found else ""
