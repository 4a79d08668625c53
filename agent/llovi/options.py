"""The options of LLoVi and presets: its published settings as plain values.

A preset only overrides the defaults of a method's options; what a user sets overrides the preset.
Where a reference has a fault, the defaults do the right thing and `parity` what the reference does.
Source: arXiv 2312.17235 with its code at 6e847c0.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from agent.llovi.prompts import Reasoning, Variant
from agent.records import Parity
from agent.settings import Section
from tools.errors import InputError
from tools.registry import suggest


class LloviOptions(Section):
    """LLoVi: captions in time order, a summary of them, an answer from the summary.

    They may start from a preset: `{"preset": "llovi-egoschema", "words": 300}`.

    Raises:
        InputError: The preset is unknown.
    """

    preset: str = Field("", description="published settings to start from")
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
    summary_temperature: float | None = Field(
        None, ge=0, description="none: that of the chat model, with parity 0"
    )
    answer_temperature: float | None = Field(
        None, ge=0, description="none: that of the chat model, with parity 0"
    )
    first_person: bool = Field(False, description="the wearer of a camera filmed the video")
    grounding: bool = Field(False, description="also say when the answer can be seen")
    sufficiency: bool = Field(
        True, description="before grounding, ask whether the captions say enough"
    )
    parity: Parity | None = Field(
        None, description="as the published code: true, or the method whose answer parser is taken"
    )

    @model_validator(mode="before")
    @classmethod
    def _start_from_preset(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        name = values.get("preset") or ""
        if name and name not in PRESETS:
            raise InputError(f"llovi has no preset {name!r}{suggest(str(name), PRESETS)}")
        chosen = {**PRESETS.get(name, {}), **values}
        return {**GREEDY, **chosen} if chosen.get("parity") else chosen

    @field_validator("parity", mode="before")
    @classmethod
    def _own_parser(cls, parity: Any) -> Any:
        """Take LLoVi's own parser for `true`, as other methods' `parity` has it."""
        return {True: "llovi", False: None}[parity] if isinstance(parity, bool) else parity

    @model_validator(mode="after")
    def _can_be_done(self) -> "LloviOptions":
        """Reject combinations that would only fail after the first calls."""
        if self.samples > 1 and not self.answer_temperature:
            raise ValueError("samples above 1 need answer_temperature above 0, say 0.7")
        if self.shots and self.exemplars is None:
            raise ValueError("shots above 0 need exemplars=FILE")
        return self


GREEDY: Mapping[str, Any] = {"summary_temperature": 0.0, "answer_temperature": 0.0}  # published
_NEXT: Mapping[str, Any] = {  # captions of LLaVA-1.5-13B, read by gpt-4-1106-preview
    "caption_fps": 1.0,
    "caption_every": 2,
    "clip_s": 0.0,
    "stride_s": 2.0,
    "summary": "none",
    "parity": "llovi",
}
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "llovi-egoschema": {  # captions of LaViLa base, read by gpt-3.5-turbo-1106
        "clip_s": 1.0,
        "stride_s": 1.0,
        "summary": "cq",
        "words": 500,
        "summary_temperature": 1.0,
        "first_person": True,
        "parity": "llovi",
    },
    "llovi-nextqa": _NEXT,
    "llovi-intentqa": _NEXT,
    "llovi-nextgqa": {**_NEXT, "grounding": True, "sufficiency": False},
}
