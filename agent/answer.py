"""The answer record: the same in Python, on the command line and in files."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from tools.evidence import ChannelReport, Evidence


@dataclass(frozen=True, slots=True)
class Usage:
    """The cost of one stage of a run.

    Attributes:
        seconds: Wall time of the stage.
        model_seconds: The part of it spent loading models and in calls of the chat model.
        decodes: Decoding passes over the video's pictures or sound.
        tool_runs: Tools that really ran, rather than being found in the library.
        model_calls: Calls of the chat model.
        input_tokens: Prompt tokens of these calls.
        output_tokens: Generated tokens.
        scored: Texts whose likelihood the model computed.
        cost: Price of the calls, in the currency of the configured prices; 0 without prices.
    """

    seconds: float = 0.0
    model_seconds: float = 0.0
    decodes: int = 0
    tool_runs: int = 0
    model_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    scored: int = 0
    cost: float = 0.0

    def __add__(self, other: "Usage") -> "Usage":
        """Return the sum, field by field."""
        return Usage(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


# What a confidence of each kind means; only a likelihood is a probability.
MEASURES = {
    "support": "{:.0%} of its new words stand in the evidence",
    "likelihood": "the model finds this option {:.0%} likely",
    "calibrated": "right in {:.0%} of such cases",
    "agreement": "{:.0%} of the samples agree",
    "self-report": "the model says that it is {:.0%} sure",
    "similarity": "what was found there is {:.0%} similar to the description",
    "pictures": "the model finds a yes {:.0%} likely, on average over the pictures there",
}


def how_sure(confidence: float, measured_by: str) -> str:
    """Describe a confidence in words; "" where nothing was measured."""
    return MEASURES[measured_by].format(confidence) if measured_by in MEASURES else ""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a model that explores a video: a tool call and its result.

    Attributes:
        tool: The tool called; "reply" for text instead of a call, "stop" for the end.
        arguments: The arguments of the call, as the model wrote them.
        result: The tool message that the model read; of "stop", the reason.
        evidence: Ids of the evidence returned.
        new: How many of them had not been returned before.
        failed: Whether the call was invalid.
        input_tokens: Prompt tokens before this step; 0 where one reply makes several calls and
            this is not the first of them.
        output_tokens: Tokens generated for it, likewise.
    """

    tool: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    result: str = ""
    evidence: tuple[str, ...] = ()
    new: int = 0
    failed: bool = False
    input_tokens: int = 0
    output_tokens: int = 0


@dataclass(frozen=True, slots=True)
class SearchedVideo:
    """One of several videos that were searched for an answer.

    Attributes:
        name: Its name in the evidence (`tools.evidence.Evidence.video`).
        path: Its file.
        sha256: Content hash; empty if it could not be read.
        skipped: Why it was not searched; empty if it was.
    """

    name: str
    path: str
    sha256: str = ""
    skipped: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a question about a video, and everything needed to check it.

    Attributes:
        answer: The text; for a multiple-choice question the chosen option. Empty if abstained.
        choice: Index of the chosen option, from 0; None without options or if abstained.
        abstained: True when the video does not seem to answer the question.
        reason: Why it abstained, or what a fallback did; empty for a plain answer.
        confidence: 0 to 1, see `measured_by`.
        measured_by: Kind of the confidence: "support" (share of the answer's words found in the
            evidence), "likelihood" (probability of the option),
            "calibrated" (probability that an open answer is right, as measured for the model),
            "agreement" (share of the samples), "self-report"; of an interval "similarity" (cosine
            of its evidence) or "pictures" (mean probability of a yes); "none" where there is none.
        evidence: The cited evidence, in time order.
        channels: Report of each tool.
        usage: Cost by stage, in the order of first use.
        method: Name of the method.
        profile: Name of the profile.
        models: Names of the models by role.
        prompts: Version of each prompt that was used.
        plan: Id of the plan that was executed.
        seconds: Wall time from the question to the answer.
        steps: Steps of the model, for a method that lets it explore.
        guess: The answer it would have given, where it judged the evidence insufficient.
        videos: The videos of a question to several; empty for a question to one.
    """

    answer: str
    choice: int | None = None
    abstained: bool = False
    reason: str = ""
    confidence: float = 0.0
    measured_by: str = "none"
    evidence: tuple[Evidence, ...] = ()
    channels: tuple[ChannelReport, ...] = ()
    usage: Mapping[str, Usage] = field(default_factory=dict)
    method: str = ""
    profile: str = ""
    models: Mapping[str, str] = field(default_factory=dict)
    prompts: Mapping[str, str] = field(default_factory=dict)
    plan: str = ""
    seconds: float = 0.0
    steps: tuple[Step, ...] = ()
    guess: str = ""
    videos: tuple[SearchedVideo, ...] = ()

    def total(self, field_name: str) -> float:
        """Return the sum of one field of `Usage` over all stages."""
        return float(sum(getattr(usage, field_name) for usage in self.usage.values()))

    def to_json(self) -> dict[str, Any]:
        """Return the record as a plain dictionary; `usage` holds sums and the seconds by stage."""
        values = asdict(self)
        values["usage"] = {
            name: int(self.total(name))
            for name in (
                "decodes",
                "tool_runs",
                "model_calls",
                "scored",
                "input_tokens",
                "output_tokens",
            )
        } | {
            "cost": round(self.total("cost"), 6),
            "seconds": {stage: round(u.seconds, 3) for stage, u in self.usage.items()},
            "model_seconds": round(self.total("model_seconds"), 3),
        }
        return values


class Meter:
    """Measures the cost of a stage while it runs."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.decodes = 0
        self.tool_runs = 0

    def usage(self) -> Usage:
        """Return the cost so far."""
        return Usage(seconds=self.seconds, decodes=self.decodes, tool_runs=self.tool_runs)
