"""The result of a detection, the same record in Python, JSON and reports."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from agent.answer import Usage
from agent.detection.records import Claim, Removed, ShownFrames, ToolReading, Verdict

WORDS = ((0.8, "strong"), (0.6, "moderate"), (0.0, "weak"))


@dataclass(frozen=True, slots=True)
class Percentile:
    """Where a measured value lies among the user's own negative clips."""

    tool: str
    value: str
    measured: float
    percentile: float
    clips: int


@dataclass(frozen=True, slots=True)
class Detection:
    """A verdict with everything that an analyst needs to defend it.

    Attributes:
        task: Name of the task.
        question: As it was asked.
        label: A label of the task.
        outcome: The label in the task's words.
        positive: Whether the label is the task's finding; None if inconclusive.
        by: Who decided: model, provenance, rules, nobody.
        reason: Why.
        code: Why it is inconclusive, as one word; empty otherwise.
        conviction: The model's self-report as a word: weak, moderate, strong; "" without one.
        probability: Of the positive label; only with a held-out calibration.
        claims: Evidence that passed the grounding check.
        removed: What did not, and why.
        analyses: The model's analysis by field.
        limitations: As the model names them.
        readings: What each tool of the kit says.
        percentiles: Of measured values among the user's own negative clips.
        shown: Frames that the model saw, with their files.
        flags: Findings about the verdict itself, such as unused motion evidence.
        notes: What was not done, or done differently, and why.
        caveats: How the task's verdicts must be read.
        prompt: Version, hash.
        kit: Tools, where the kit is from, the calibration's id.
        metrics: Known error rates, if the kit was calibrated.
        model: Name of the chat model.
        profile: Name of the profile.
        video: Hash, length in seconds, width and height in pixels; never the name.
        usage: Cost by stage.
        date: UTC, ISO 8601.
        verdict: The verdict as such, for calibration; it is not part of `to_json`.
    """

    task: str
    question: str
    label: str
    outcome: str
    positive: bool | None
    by: str
    reason: str
    code: str = ""
    conviction: str = ""
    probability: float | None = None
    claims: tuple[Claim, ...] = ()
    removed: tuple[Removed, ...] = ()
    analyses: Mapping[str, str] = field(default_factory=dict)
    limitations: str = ""
    readings: tuple[ToolReading, ...] = ()
    percentiles: tuple[Percentile, ...] = ()
    shown: ShownFrames = field(default_factory=ShownFrames)
    flags: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    caveats: tuple[str, ...] = ()
    prompt: Mapping[str, Any] = field(default_factory=dict)
    kit: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    model: str = ""
    profile: str = ""
    video: Mapping[str, Any] = field(default_factory=dict)
    usage: Mapping[str, Usage] = field(default_factory=dict)
    date: str = ""
    verdict: Verdict = field(default_factory=lambda: Verdict("inconclusive", "nobody"))

    @property
    def not_run(self) -> tuple[ToolReading, ...]:
        """Tools of the kit that gave no measurement."""
        return tuple(reading for reading in self.readings if reading.status != "ok")

    def total(self, name: str) -> float:
        """Return the sum of one field of `Usage` over all stages."""
        return float(sum(getattr(usage, name) for usage in self.usage.values()))

    def cost(self) -> dict[str, float]:
        """Return what the detection cost in all."""
        counts = ("model_calls", "input_tokens", "output_tokens", "tool_runs", "decodes")
        return {
            "seconds": round(self.total("seconds"), 2),
            **{name: int(self.total(name)) for name in counts},
            "cost": round(self.total("cost"), 6),
        }

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON: no path, no picture; frames and views by number and legend."""
        values = asdict(self)
        del values["shown"], values["verdict"]
        values["frames"] = [_frame(f.index, f.time_s) for f in self.shown.frames]
        for reading in values["readings"]:
            reading["frames"] = [_frame(n, time_s) for n, time_s in reading["frames"].items()]
            if reading["view"]:
                del reading["view"]["file"]
        values["usage"] = self.cost()
        return values


def conviction(confidence: float) -> str:
    """Return a self-reported confidence as an ordered word."""
    return next(word for limit, word in WORDS if confidence >= limit)


def _frame(number: int, time_s: float) -> dict[str, float]:
    return {"number": number, "t_s": round(time_s, 3)}
