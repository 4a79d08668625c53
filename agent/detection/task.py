"""A detection task as a YAML file: what is asked, its labels, tools, rules and wording."""

from collections.abc import Mapping
from functools import cached_property
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from tools.errors import InputError
from tools.registry import explain

INCONCLUSIVE = "inconclusive"
DEFAULT_TASK = "ai_generated"
Strength = Literal["weak", "moderate", "strong"]
_NAME = r"^[a-z][a-z0-9_]{1,39}$"


class Part(BaseModel):
    """Base of the parts of a task: immutable, unknown keys rejected."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Bounds(Part):
    """Limits of a measured number; both are exclusive."""

    above: float | None = None
    below: float | None = None

    def hold(self, value: object) -> bool:
        """Whether a value is a number within the limits."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        low = self.above is None or value > self.above
        return low and (self.below is None or value < self.below)


class Rule(Part):
    """A condition on one tool's values that decides the verdict without a model.

    Attributes:
        tool: Name of the tool.
        where: Required values: a text or truth value to equal, or bounds of a number. `count` is
            the number of the tool's findings and exists for every tool.
        verdict: Label that follows.
        says: What this means, for the report.
        strength: How much it speaks for the verdict.
    """

    tool: str
    where: Mapping[str, bool | str | Bounds] = Field(min_length=1)
    verdict: str
    says: str
    strength: Strength = "strong"


class PromptField(Part):
    """An analysis field of the model's reply, written before the verdict."""

    name: str = Field(pattern=_NAME)
    about: str


class Task(Part):
    """What the agent decides.

    Attributes:
        name: Also the name of its folder in the library.
        question: As the model is asked.
        definition: What counts as positive and what does not.
        positive: Label of the finding; `negative` is its absence; inconclusive is always possible.
        outcomes: How each label is worded for people.
        label_words: Words that an editable part of the prompt must not contain, for they would
            hint at a label.
        decided_by: "model" (a vision model judges) or "rules" (measurements alone).
        tools: Candidates for selection: any registered tool.
        default_kit: Tools that are used without an established selection.
        motion: Tools and fields that describe motion, for the control with shuffled frames.
        max_views: Maximum tools with a picture in one prompt.
        rules: Conditions that decide before a model is asked.
        instructions: The editable part of the prompt.
        fields: Its analysis fields, besides one of each tool.
        phrases: Objects for a tool that searches for phrases.
        caveats: What every report says.
    """

    name: str = Field(pattern=_NAME)
    question: str
    definition: str
    positive: str = Field(pattern=_NAME)
    negative: str = Field(pattern=_NAME)
    outcomes: Mapping[str, str]
    label_words: tuple[str, ...] = ()
    decided_by: Literal["model", "rules"] = "model"
    tools: tuple[str, ...] = ()
    default_kit: tuple[str, ...] = Field(min_length=1)
    motion: tuple[str, ...] = ()
    max_views: int = Field(4, gt=0)
    max_reply_tokens: int = Field(1200, gt=0)
    min_seconds: float = Field(1.0, ge=0)
    rules: tuple[Rule, ...] = ()
    instructions: str = ""
    fields: tuple[PromptField, ...] = ()
    phrases: tuple[str, ...] = ()
    caveats: tuple[str, ...] = ()

    @field_validator("outcomes")
    @classmethod
    def _plain(cls, outcomes: Mapping[str, str]) -> Mapping[str, str]:
        return dict(outcomes)

    @model_validator(mode="after")
    def _consistent(self) -> "Task":
        if self.positive == self.negative or INCONCLUSIVE in (self.positive, self.negative):
            raise ValueError("positive and negative must be two labels other than inconclusive")
        if set(self.outcomes) != set(self.labels):
            raise ValueError(f"outcomes must word exactly {', '.join(self.labels)}")
        if wrong := {rule.verdict for rule in self.rules} - set(self.labels):
            raise ValueError(f"a rule gives the verdict {wrong.pop()!r}, which is no label")
        if self.decided_by == "rules" and not self.rules:
            raise ValueError("a task that is decided by rules needs at least one rule")
        return self

    @property
    def labels(self) -> tuple[str, str, str]:
        """The three possible verdicts."""
        return self.positive, self.negative, INCONCLUSIVE

    @cached_property
    def sha256(self) -> str:
        """Hash of the whole task."""
        return sha256(self.model_dump_json().encode()).hexdigest()


def shipped_tasks() -> list[str]:
    """Return the names of the tasks that ship with the program."""
    folder = files("agent.detection").joinpath("tasks")
    return sorted(f.name.removesuffix(".yaml") for f in folder.iterdir() if f.name[-5:] == ".yaml")


def load_task(name: str = DEFAULT_TASK) -> Task:
    """Read a task.

    Args:
        name: A shipped task's name or a YAML file.

    Raises:
        InputError: There is no such task, or it is not valid; the message names the key.
    """
    shipped = name in shipped_tasks()
    folder = files("agent.detection").joinpath("tasks")
    file = folder.joinpath(f"{name}.yaml") if shipped else Path(name).expanduser()
    if not file.is_file():
        known = ", ".join(shipped_tasks())
        raise InputError(f"no detection task {name!r}; shipped: {known}; or give a YAML file")
    try:
        return parse_task(yaml.safe_load(file.read_text(encoding="utf-8")))
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise InputError(f"the task {name!r} is not valid YAML in UTF-8; check it") from error


def parse_task(tree: Any) -> Task:
    """Validate a task. `InputError` names the first wrong key."""
    if not isinstance(tree, dict):
        raise InputError("a task file must be a YAML mapping; see agent/detection/tasks")
    try:
        return Task.model_validate(tree)
    except ValidationError as error:
        raise InputError(f"bad task: {explain(error, 'task', Task.model_fields)}") from error
