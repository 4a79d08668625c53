"""The append-only log of a prompt's versions, as a chain of hashes; replay rebuilds the active one.

One JSON object a line. Each holds the hash of the line before it, so a changed line breaks the
chain; a file beside it holds the last hash, so a log that was cut off is noticed.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock

from agent.detection.patches import PatchError, apply_patch
from agent.detection.prompt_document import PromptDocument, from_editable
from agent.detection.task import Task
from tools.errors import InputError, StorageError

Decision = Literal["start", "accept", "reject", "use"]
START = "0" * 64  # the hash before the first line


@dataclass(frozen=True, slots=True)
class Round:
    """One round of rewriting, as it is logged.

    Attributes:
        decision: start, accept, reject, use.
        reason: Why.
        patch: JSON patch of the rewriter.
        reply: The rewriter's reply.
        before: Loss and rates of the active prompt on splits A and B.
        after: Those of the patched one on B; empty if the patch was not allowed.
        cost: Calls, tokens and seconds.
        model: Name of the chat model.
        clips: Hashes of the clips that the rewriting saw.
    """

    decision: Decision
    reason: str = ""
    patch: Sequence[Mapping[str, Any]] = ()
    reply: str = ""
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)
    cost: Mapping[str, Any] = field(default_factory=dict)
    model: str = ""
    clips: Sequence[str] = ()


class AuditLog:
    """The versions of a task's prompt for one model; version 0 is the prompt of the task file."""

    def __init__(self, file: Path, first: PromptDocument, task: Task) -> None:
        """Use a log; nothing is written before the first round.

        Args:
            file: JSONL; its folder is made when needed.
            first: Version 0.
            task: What may be patched.
        """
        self.file, self.first, self.task = file, first, task
        self._head = file.with_suffix(".head")

    def entries(self) -> list[dict[str, Any]]:
        """Return the lines of the log after checking the chain of hashes.

        Raises:
            InputError: A line was changed, removed or cut off; the message names it.
        """
        if not self.file.exists():
            return []
        found, previous = [], START
        for number, line in enumerate(self.file.read_text(encoding="utf-8").splitlines(), 1):
            entry = _parsed(line)
            if entry is None or entry.get("previous") != previous or entry["hash"] != _hash(entry):
                raise InputError(
                    f"line {number} of the prompt log {self.file.name} was changed: its hash does "
                    f"not match. Restore the file, or delete it to begin again at version 0"
                )
            previous = entry["hash"]
            found.append(entry)
        self._check_end([entry["hash"] for entry in found])
        return found

    def _check_end(self, hashes: Sequence[str]) -> None:
        last = self._head.read_text(encoding="utf-8").strip() if self._head.exists() else ""
        if last and last not in hashes[-2:]:  # a kill may come between the two files
            raise InputError(
                f"the prompt log {self.file.name} was cut off: its last line is missing. Restore "
                f"the file, or delete it and {self._head.name} to begin again at version 0"
            )

    def versions(self) -> dict[int, PromptDocument]:
        """Return every version, rebuilt by replaying the patches from version 0."""
        documents = {0: self.first}
        for entry in self.entries():
            if entry["decision"] == "start":
                documents[0] = from_editable(entry["editable"], entry["locked"])
            elif entry["decision"] == "accept":
                documents[entry["version"]] = self._replayed(documents[entry["parent"]], entry)
            if documents[entry["version"]].sha256 != entry["sha256"]:
                raise InputError(
                    f"version {entry['version']} of {self.file.name} replays to other bytes than "
                    f"were logged; delete the log to begin again at version 0"
                )
        return documents

    def _replayed(self, parent: PromptDocument, entry: Mapping[str, Any]) -> PromptDocument:
        try:
            return apply_patch(parent, entry["patch"], self.task)
        except PatchError as error:
            raise InputError(f"{self.file.name} holds a patch that is not allowed") from error

    def clips(self) -> frozenset[str]:
        """Return the hashes of all clips that a rewriting saw."""
        return frozenset(clip for entry in self.entries() for clip in entry.get("clips", ()))

    def active(self) -> tuple[int, PromptDocument]:
        """Return number and document of the version in use."""
        version = 0
        for entry in self.entries():
            if entry["decision"] in ("accept", "use"):
                version = entry["version"]
        return version, self.versions()[version]

    def append(self, round_: Round, document: PromptDocument | None = None) -> int:
        """Add a round and return the version that is active after it.

        Args:
            round_: What happened.
            document: The new document, of an accepted round.
        """
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self.file.with_suffix(".lock")):
            entries = self.entries()
            if not entries:
                entries = [self._write(self._start(round_.model), START)]
            parent, active = self.active()
            version = parent
            if document is not None:
                version, active = 1 + max(e["version"] for e in entries), document
            values = {**_plain(round_), "version": version, "parent": parent}
            self._write({**values, "sha256": active.sha256}, entries[-1]["hash"])
            return version

    def use(self, version: int) -> None:
        """Make an earlier version the active one. `InputError` if there is none."""
        documents = self.versions()
        if version not in documents:
            known = ", ".join(map(str, documents))
            raise InputError(f"there is no version {version} of the prompt; there are {known}")
        with FileLock(self._made().with_suffix(".lock")):
            entries = self.entries() or [self._write(self._start(""), START)]
            values = {**_plain(Round("use", "chosen by the user")), "version": version}
            parent = self.active()[0]
            line = {**values, "parent": parent, "sha256": documents[version].sha256}
            self._write(line, entries[-1]["hash"])

    def _made(self) -> Path:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        return self.file

    def _start(self, model: str) -> dict[str, Any]:
        return {
            **_plain(Round("start", "the prompt of the task file", model=model)),
            "version": 0,
            "parent": 0,
            "sha256": self.first.sha256,
            "editable": self.first.editable(),
            "locked": self.first.locked,
        }

    def _write(self, values: Mapping[str, Any], previous: str) -> dict[str, Any]:
        when = datetime.now(UTC).isoformat(timespec="seconds")
        entry = {**values, "time": when, "previous": previous}
        entry["hash"] = _hash(entry)
        try:
            with self.file.open("a", encoding="utf-8") as log:
                log.write(json.dumps(entry, ensure_ascii=False, sort_keys=True) + "\n")
                log.flush()
                os.fsync(log.fileno())
            self._head.write_text(entry["hash"], encoding="utf-8")
        except OSError as error:
            raise StorageError(f"{self.file} cannot be written ({error.strerror})") from error
        return entry


def _plain(round_: Round) -> dict[str, Any]:
    values = {name: getattr(round_, name) for name in Round.__slots__}
    return json.loads(json.dumps(values))  # type: ignore[no-any-return]  # as it will be read


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except json.JSONDecodeError:
        return None
    return entry if isinstance(entry, dict) and "hash" in entry else None


def _hash(entry: Mapping[str, Any]) -> str:
    values = {key: value for key, value in entry.items() if key != "hash"}
    return sha256(json.dumps(values, ensure_ascii=False, sort_keys=True).encode()).hexdigest()
