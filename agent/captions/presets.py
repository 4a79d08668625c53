"""Presets: the published settings of LLoVi, VideoAgent and VideoTree as plain values.

A preset only overrides the defaults of a method's options; what a user sets overrides the preset.
Where a reference has a fault, the defaults do the right thing and `parity` what the reference does.
Sources: arXiv 2312.17235 with its code at 6e847c0, arXiv 2403.10517, arXiv 2405.19209.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from agent.captions.wording import Reasoning, Variant
from agent.parsing import Parity
from agent.settings import Section
from tools.errors import InputError
from tools.registry import suggest

MethodName = Literal["llovi", "videoagent", "videotree"]


class PresetOptions(Section):
    """Base of options that may start from a preset: `{"preset": "llovi-egoschema", "words": 300}`.

    Raises:
        InputError: The preset is unknown or another method's.
    """

    method: ClassVar[MethodName]
    preset: str = Field("", description="published settings to start from")

    @model_validator(mode="before")
    @classmethod
    def _start_from_preset(cls, values: Any) -> Any:
        name = values.get("preset") if isinstance(values, Mapping) else None
        if not name:
            return values
        known = {key: value for key, value in PRESETS.items() if value.method == cls.method}
        if name not in known:
            raise InputError(f"{cls.method} has no preset {name!r}{suggest(str(name), known)}")
        return {**known[name].options, **values}


class LloviOptions(PresetOptions):
    """LLoVi: captions in time order, a summary of them, an answer from the summary."""

    method: ClassVar[MethodName] = "llovi"
    captions: Path | None = Field(None, description="captions made elsewhere; none: made here")
    caption_fps: float = Field(
        1.0, gt=0, description="captions or frame numbers of that file in a second"
    )
    caption_every: int = Field(1, ge=1, description="take every n-th caption of that file")
    clip_s: float = Field(1.0, ge=0, description="length of a clip; 0 for single pictures")
    stride_s: float | None = Field(
        None, gt=0, description="from the start of one clip to the next; none: no gap, no overlap"
    )
    clip_frames: int = Field(1, ge=1, le=64, description="pictures of a clip that are looked at")
    max_side: int = Field(768, gt=0, description="pixels of their longer side, at most")
    caption_tokens: int = Field(80, gt=0, description="length of a caption, at most")
    retries: int = Field(2, ge=0, description="of a clip that could not be captioned")
    summary: Literal["none"] | Variant = Field(
        "cq", description="none answers from the captions; c, cq, cqa: what the summary is told"
    )
    words: int = Field(500, gt=0, description="length of the summary, at most")
    depth: int = Field(6, ge=1, description="rounds in which partial summaries are reduced")
    reasoning: Reasoning = "direct"
    reasoning_tokens: int = Field(400, gt=0, description="length of the reasoning, at most")
    shots: int = Field(0, ge=0, description="worked examples before the question")
    exemplars: Path | None = Field(None, description="file of worked examples")
    samples: int = Field(1, ge=1, description="answers to vote over (self-consistency)")
    summary_temperature: float = Field(0.0, ge=0)
    answer_temperature: float = Field(0.0, ge=0)
    first_person: bool = Field(False, description="the wearer of a camera filmed the video")
    grounding: bool = Field(False, description="also say when the answer can be seen")
    sufficiency: bool = Field(
        True, description="before grounding, ask whether the captions say enough"
    )
    parity: Parity | None = Field(None, description="read replies as the published code does")

    @model_validator(mode="after")
    def _can_be_done(self) -> "LloviOptions":
        """Refuse what could only fail after the first calls."""
        if self.samples > 1 and not self.answer_temperature:
            raise ValueError("samples above 1 need answer_temperature above 0, say 0.7")
        if self.shots and self.exemplars is None:
            raise ValueError("shots above 0 need exemplars=FILE")
        return self


class VideoAgentOptions(PresetOptions):
    """VideoAgent: few frames first, more where the model says that something is missing."""

    method: ClassVar[MethodName] = "videoagent"
    fps: float = Field(1.0, gt=0, description="rate of the frames to choose from")
    start_frames: int = Field(5, ge=2, description="evenly spread, first and last included")
    max_rounds: int = Field(3, ge=1)
    enough: int = Field(3, ge=1, le=3, description="confidence (1 to 3) at which it stops")
    max_frames: int = Field(0, ge=0, description="frames to caption, at most; 0: no limit")
    max_calls: int = Field(0, ge=0, description="calls of the model, at most; 0: no limit")
    temperature: float = Field(0.0, ge=0)
    first_person: bool = False


class VideoTreeOptions(PresetOptions):
    """VideoTree: clusters of frames, more of them and deeper where they matter."""

    method: ClassVar[MethodName] = "videotree"
    fps: float = Field(1.0, gt=0, description="rate of the frames to cluster")
    clusters: int = Field(8, ge=1, description="in the first round; doubled in each further one")
    max_clusters: int = Field(32, ge=1)
    enough: int = Field(4, ge=1, description="clusters of the highest score at which it stops")
    scale: int = Field(3, ge=2, description="highest score of a cluster")
    width: int = Field(4, ge=1, description="children of a cluster that is looked into")
    temperature: float = Field(0.0, ge=0)
    first_person: bool = False


@dataclass(frozen=True, slots=True)
class Preset:
    """Published settings.

    Attributes:
        method: Whose options they are.
        options: What differs from their defaults.
        models: What the paper used, by role: said in reports, not loaded.
    """

    method: MethodName
    options: Mapping[str, Any] = field(default_factory=dict)
    models: Mapping[str, str] = field(default_factory=dict)


_FRAMES_OF_LLAVA = {"caption_fps": 1.0, "caption_every": 2, "clip_s": 0.0, "stride_s": 2.0}
_NEXT_MODELS = {"captioner": "LLaVA-1.5-13B", "llm": "gpt-4-1106-preview"}
_NEXT = {
    **_FRAMES_OF_LLAVA,
    "summary": "none",
    "parity": "llovi",
}

PRESETS: Mapping[str, Preset] = {
    "llovi-egoschema": Preset(
        "llovi",
        {
            "clip_s": 1.0,
            "stride_s": 1.0,
            "summary": "cq",
            "words": 500,
            "summary_temperature": 1.0,
            "first_person": True,
            "parity": "llovi",
        },
        {"captioner": "LaViLa base", "llm": "gpt-3.5-turbo-1106"},
    ),
    "llovi-nextqa": Preset("llovi", _NEXT, _NEXT_MODELS),
    "llovi-intentqa": Preset("llovi", _NEXT, _NEXT_MODELS),
    "llovi-nextgqa": Preset(
        "llovi", {**_NEXT, "grounding": True, "sufficiency": False}, _NEXT_MODELS
    ),
    "videoagent": Preset(
        "videoagent",
        {"first_person": True},
        {"captioner": "LaViLa", "llm": "gpt-4-1106-preview", "encoder": "EVA-CLIP-8B-plus 448"},
    ),
    "videotree": Preset(
        "videotree",
        {"first_person": True},
        {"captioner": "LaViLa", "llm": "gpt-4-1106-preview", "encoder": "EVA-CLIP-8B"},
    ),
}
