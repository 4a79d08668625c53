"""What a question gets back: the same record in Python, on the command line and in files."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from tools.evidence import ChannelReport, Evidence


@dataclass(frozen=True, slots=True)
class Usage:
    """What one stage of a run cost.

    Attributes:
        seconds: Wall time of the stage.
        model_seconds: The part of it spent loading models and in calls of the chat model.
        decodes: Passes over the video's pictures or sound.
        tool_runs: Tools that really ran, not taken from the library.
        model_calls: Calls of the chat model.
        input_tokens: Tokens that it read.
        output_tokens: Tokens that it wrote.
    """

    seconds: float = 0.0
    model_seconds: float = 0.0
    decodes: int = 0
    tool_runs: int = 0
    model_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a question of a video, and everything needed to check it.

    Attributes:
        answer: The text; for a multiple-choice question the chosen option. Empty if abstained.
        choice: Index of the chosen option, from 0; None without options or if abstained.
        abstained: True when the video does not seem to answer the question.
        reason: Why it abstained, or what a fallback did; empty for a plain answer.
        confidence: 0 to 1; for evidence-based answers the relevance of the best evidence times
            the agreement of the answer with it.
        evidence: What the answer rests on, in time order.
        channels: How each tool fared.
        usage: Cost by stage, in the order of first use.
        method: Name of the method.
        profile: Name of the profile.
        models: Names of the models by role.
        prompts: Version of each prompt that was used.
        plan: Identity of the plan that was followed.
    """

    answer: str
    choice: int | None = None
    abstained: bool = False
    reason: str = ""
    confidence: float = 0.0
    evidence: tuple[Evidence, ...] = ()
    channels: tuple[ChannelReport, ...] = ()
    usage: Mapping[str, Usage] = field(default_factory=dict)
    method: str = ""
    profile: str = ""
    models: Mapping[str, str] = field(default_factory=dict)
    prompts: Mapping[str, str] = field(default_factory=dict)
    plan: str = ""

    def total(self, field_name: str) -> float:
        """Return the sum of one field of `Usage` over all stages."""
        return float(sum(getattr(usage, field_name) for usage in self.usage.values()))

    def to_json(self) -> dict[str, Any]:
        """Return the record as a plain dictionary; `usage` holds sums and the seconds by stage."""
        values = asdict(self)
        values["usage"] = {
            name: int(self.total(name))
            for name in ("decodes", "tool_runs", "model_calls", "input_tokens", "output_tokens")
        } | {
            "seconds": {stage: round(u.seconds, 3) for stage, u in self.usage.items()},
            "model_seconds": round(self.total("model_seconds"), 3),
        }
        return values
