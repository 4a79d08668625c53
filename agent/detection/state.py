"""What one detection is to do, its context, and the state of its graph."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from agent.detection.detection import Detection
from agent.detection.kit import Calibration
from agent.detection.prompt_document import PromptDocument
from agent.detection.records import ShownFrames, Verdict
from agent.detection.task import Task
from agent.library.keys import digest
from agent.records import PlannedFrame, Turn
from agent.state import Context, Findings, merge

Order = Literal["natural", "reversed", "shuffled"]


@dataclass(frozen=True, slots=True)
class Job:
    """One way to judge clips: fixed before the first of them, and never changed by one.

    Attributes:
        task: What is decided.
        document: The prompt.
        version: Its number in the audit log.
        kit: Tools that run.
        kit_from: "default", "calibrated" or "chosen".
        calibration: Percentiles and probability.
        notes: What the user must know of the choice.
        check_motion: Judge once more with shuffled frames.
        order: Order of the frames; other than natural only in controls.
    """

    task: Task
    document: PromptDocument
    version: int
    kit: tuple[str, ...]
    kit_from: str = "default"
    calibration: Calibration | None = None
    notes: tuple[str, ...] = ()
    check_motion: bool = False
    order: Order = "natural"

    @property
    def id(self) -> str:
        """Hash of what a verdict depends on besides clip, model and tool options."""
        values = [self.task.sha256, self.document.sha256, self.kit, self.check_motion, self.order]
        return digest([*values, self.calibration.id if self.calibration else ""])


@dataclass(frozen=True)
class DetectionContext(Context):
    """The runtime context of the nodes: a job besides settings, library and models."""

    job: Job


def with_job(context: Context, job: Job) -> DetectionContext:
    """Return a context for a job."""
    return DetectionContext(context.settings, context.library, context.pool, job)


def with_kit(job: Job, kit: tuple[str, ...]) -> Job:
    """Return a job with another kit."""
    return replace(job, kit=kit, kit_from="chosen")


class DetectionState(Findings, total=False):
    """The state of one detection; pixels stay in files."""

    path: Path
    """Set by the caller; the library keeps the probe, which no checkpoint holds."""
    planned: tuple[PlannedFrame, ...]
    """Sampled frames, set by `sample`."""
    shown: ShownFrames
    """Set by `compose`."""
    turns: tuple[Turn, ...]
    """The conversation with the model."""
    reply: Mapping[str, Any]
    """The last reply: text, finish reason, whether it calls a tool, an error's code."""
    tried: tuple[str, ...]
    """Recoveries so far: "repair", "soften"."""
    calls: int
    """Calls of the model for the verdict; at most three."""
    codes: Annotated[Mapping[str, str], merge]
    """What was wrong with each reply, by the number of its call."""
    verdict: Verdict
    """Set by `decide`, `validate` or `abstain`."""
    control: Verdict | None
    """The verdict with shuffled frames; None if that reply was not usable."""
    detection: Detection
    """Set by `report`."""
