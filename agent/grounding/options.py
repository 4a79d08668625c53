"""Settings of temporal grounding."""

from typing import Literal

from pydantic import Field

from agent.settings import Section


class Options(Section):
    """Settings of the method."""

    reading: Literal["merge", "model"] = Field(
        "merge",
        description="merge: join what was found to intervals; model: let the chat model read it and"
        " say when, as LLM4VG",
    )
    sufficiency: bool = Field(
        True, description="ask the chat model first whether the notes hold enough; if not, abstain"
    )
    fps: float = Field(
        1.0, gt=0, le=10, description="pictures a second about which a model that sees is asked"
    )
    pictures: int = Field(
        300, gt=0, le=10_000, description="at most; a longer video is looked at less often"
    )
    min_similarity: float = Field(
        0.25, ge=0, le=1, description="cosine below which evidence is not what is looked for"
    )
    alike: float = Field(
        0.8, gt=0, le=1, description="similarity that evidence needs, as a share of the best's"
    )
    gap_s: float = Field(2.0, ge=0, description="longest pause within an interval, in seconds")
    intervals: int = Field(3, gt=0, description="intervals, at most, the surest first")
