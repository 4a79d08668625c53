"""Plain records of a detection: readings of tools, the model's claims, the verdict."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from agent.records import PlannedFrame

ReadingStatus = Literal["ok", "not_applicable", "unavailable", "error"]
DecidedBy = Literal["model", "provenance", "rules", "nobody"]
Value = float | str | bool
FRAMES = "frames"  # what a claim cites that rests on the pictures themselves


@dataclass(frozen=True, slots=True)
class Picture:
    """The rendered view of a measurement.

    Attributes:
        file: A JPEG file with a fixed colour scale.
        legend: What the colours mean.
        frames: Numbers of the frames that it shows.
    """

    file: Path
    legend: str
    frames: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ToolReading:
    """What one tool says of one clip; every tool, a plug-in too, ends up as this.

    Attributes:
        tool: Its name.
        status: ok, not_applicable, unavailable, error.
        card: The finding in one to three lines, or why there is none.
        values: Measured values by name; `count` for a tool that yields findings.
        version: Version of the tool.
        params_hash: Hash of its parameters.
        ms: Run time in milliseconds, of the run that made it.
        view: Its rendered picture.
        frames: Time in seconds of each frame that it looked at, by number.
        spans: Start and end in seconds of its findings.
    """

    tool: str
    status: ReadingStatus
    card: str
    values: Mapping[str, Value] = field(default_factory=dict)
    version: str = ""
    params_hash: str = ""
    ms: float = 0.0
    view: Picture | None = None
    frames: Mapping[int, float] = field(default_factory=dict)
    spans: tuple[tuple[float, float], ...] = ()

    @property
    def numbers(self) -> dict[str, float]:
        """The values that are numbers."""
        return {
            name: float(value)
            for name, value in self.values.items()
            if isinstance(value, int | float) and not isinstance(value, bool)
        }


@dataclass(frozen=True, slots=True)
class Claim:
    """One item of evidence of a verdict.

    Attributes:
        tool: Name of a tool, or "frames".
        claim: In words.
        direction: The label that it speaks for.
        strength: weak, moderate or strong.
        frame: Number of a frame.
        start_s: Start of a time span in seconds, with `end_s` in place of a frame.
    """

    tool: str
    claim: str
    direction: str
    strength: str
    frame: int | None = None
    start_s: float | None = None
    end_s: float | None = None


@dataclass(frozen=True, slots=True)
class Removed:
    """A claim that was removed, and why."""

    claim: str
    why: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict after all checks.

    Attributes:
        label: A label of the task.
        by: Who decided.
        reason: Why, in one sentence.
        code: Why there is no verdict: refused, invalid, empty, truncated, tool_call, timeout,
            too_long, ungrounded, contradiction, ...; empty for a plain one.
        confidence: The model's self-report, 0 to 1; never shown uncalibrated.
        analyses: The model's analysis by field.
        claims: Claims that passed the grounding check.
        removed: Those that did not.
        limitations: As the model names them.
        raw_label: What the model said before the checks.
    """

    label: str
    by: DecidedBy
    reason: str = ""
    code: str = ""
    confidence: float = 0.0
    analyses: Mapping[str, str] = field(default_factory=dict)
    claims: tuple[Claim, ...] = ()
    removed: tuple[Removed, ...] = ()
    limitations: str = ""
    raw_label: str = ""


@dataclass(frozen=True, slots=True)
class ShownFrames:
    """The frames that the model is shown, as files, in the order of the pictures.

    Attributes:
        frames: Numbers and times, ascending: the claimed order.
        files: The picture behind each; in the shuffled control not its own.
    """

    frames: tuple[PlannedFrame, ...] = ()
    files: tuple[Path, ...] = ()
