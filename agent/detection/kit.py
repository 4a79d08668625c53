"""What a calibration found, as a JSON artefact: the kit of tools, percentiles, a probability.

It holds for one model, prompt and set of tool versions; anything else refuses to load.
"""

import json
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from agent.detection.probability import Probability
from agent.detection.task import Task
from agent.library.keys import digest
from tools.errors import InputError, StorageError
from tools.registry import tool_classes

FORMAT = 1
EXPIRES_DAYS = 90  # smooth-motion cues weaken as generators improve


class ToolScore(BaseModel):
    """How a tool did in selection; `score` is None where no clip was judged."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tool: str
    delta: float | None = None
    p: float | None = None
    p_holm: float | None = None
    usefulness: float | None = None
    score: float | None = None
    eligible: bool = False
    selected: bool = False
    why: str = ""


class Calibration(BaseModel):
    """The artefact of `reelgraph calibrate`.

    Attributes:
        task: Hash of the task.
        model: Identity of the chat model (`agent.models.identity`).
        prompt: SHA-256 of the prompt's canonical form.
        tools: Version of each candidate tool.
        data: Hash of the labelled clips.
        counts: Clips by label.
        kit: The selected tools.
        established: Whether selection had enough clips; if not, the kit is the default one.
        why: What selection says of that.
        scores: Score of each candidate.
        negatives: Sorted values of each measurement on the user's own negative clips.
        probability: Map from confidence to probability.
        metrics: Metric blocks of the held-out split.
        warning: Why the figures may be too good; empty if nothing speaks against them.
        created: UTC, ISO 8601.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int = FORMAT
    task: str
    model: dict[str, Any]
    prompt: str
    tools: dict[str, str]
    data: str
    counts: dict[str, int]
    kit: tuple[str, ...]
    established: bool
    why: str
    scores: tuple[ToolScore, ...] = ()
    negatives: dict[str, dict[str, list[float]]] = {}
    probability: Probability | None = None
    metrics: dict[str, Any] = {}
    warning: str = ""
    created: str

    @property
    def id(self) -> str:
        """First 12 hex digits of the hash of what it is keyed by and found."""
        return digest(self.model_dump(mode="json"))[:12]

    def percentile(self, tool: str, value: str, measured: float) -> tuple[float, int] | None:
        """Return the percentile of a value among the negative clips, and how many there are.

        Ties count half.
        """
        known = self.negatives.get(tool, {}).get(value, [])
        if not known:
            return None
        rank = (bisect_left(known, measured) + bisect_right(known, measured)) / 2
        return 100 * rank / len(known), len(known)


def tool_versions(names: Iterable[str]) -> dict[str, str]:
    """Return the versions of tools; of one that is not installed, "missing"."""
    known = tool_classes()
    return {name: known[name].version if name in known else "missing" for name in sorted(names)}


def save_calibration(calibration: Calibration, file: Path) -> None:
    """Write an artefact atomically. `StorageError` when the folder cannot be written."""
    part = file.with_suffix(".part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(calibration.model_dump_json(indent=1), encoding="utf-8")
        part.replace(file)
    except OSError as error:
        raise StorageError(f"{file} cannot be written ({error.strerror}); free space") from error


def load_calibration(
    file: Path, task: Task, model: Mapping[str, Any], prompt: str, data: str = ""
) -> Calibration:
    """Read an artefact that fits.

    Args:
        file: Where it is stored.
        task: The task in use.
        model: Identity of the model in use.
        prompt: Hash of the prompt in use.
        data: Hash of the calibration clips that the caller expects; "" accepts any.

    Raises:
        InputError: It was made for something else, or it is no artefact; the message says what
            differs and how to make a new one.
    """
    remedy = "calibrate again with `reelgraph calibrate`"
    try:
        found = Calibration.model_validate_json(file.read_text(encoding="utf-8"))
    except (ValidationError, UnicodeDecodeError, OSError) as error:
        raise InputError(f"the calibration {file.name} cannot be read; {remedy}") from error
    versions = tool_versions(found.tools)
    changed = [name for name, version in found.tools.items() if versions[name] != version]
    differs = {
        "file format": found.format != FORMAT,
        "task": found.task != task.sha256,
        "model": json.dumps(found.model, sort_keys=True) != json.dumps(dict(model), sort_keys=True),
        "prompt": found.prompt != prompt,
        f"version of {', '.join(changed)}": bool(changed),
        "set of clips": bool(data) and found.data != data,
    }
    wrong = [name for name, differ in differs.items() if differ]
    if wrong:
        raise InputError(f"the calibration was made for another {wrong[0]}; {remedy}")
    return found


def age_note(calibration: Calibration, now: datetime | None = None) -> str:
    """Say that an artefact is older than 90 days; "" if it is not."""
    made = datetime.fromisoformat(calibration.created)
    days = ((now or datetime.now(UTC)) - made).days
    if days <= EXPIRES_DAYS:
        return ""
    return f"the calibration is {days} days old, more than {EXPIRES_DAYS}; calibrate again"
