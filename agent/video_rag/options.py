"""The settings of video-rag."""

from pydantic import Field

from agent.settings import Section
from agent.video_rag.key_frames import BETA, THRESHOLD, KeyFrameRule, Rule

DEFAULT_FRAMES, PUBLISHED_FRAMES = 16, 32


class Options(Section):
    """Settings of the method."""

    frames: int | None = Field(
        None,
        ge=0,
        le=512,
        description="pictures beside the evidence, for a model that sees; 16, with parity 32",
    )
    key_frames: int = Field(
        16, gt=0, le=512, description="pictures in which the question's entities are looked for"
    )
    key_frame_rule: Rule = Field(
        "best",
        description="best: those nearest to the phrases; published: above a multiple of the mean",
    )
    threshold: float = Field(THRESHOLD, description="of the published key-frame rule")
    beta: float = Field(BETA, gt=0, description="of the published key-frame rule; the paper: 4")
    scene_tokens: int = Field(
        600, gt=0, description="of what was seen on key frames, within retrieval.token_budget"
    )
    decouple: bool = Field(
        True, description="ask the chat model what to search for; else the question is searched"
    )
    examples: bool = Field(
        False, description="show the model how notes are read; helps one of 1.5 billion weights"
    )
    parity: bool = Field(False, description="the published code's numbers, right or wrong")

    @property
    def pictures(self) -> int:
        """Number of frames given to a vision-language model."""
        default = PUBLISHED_FRAMES if self.parity else DEFAULT_FRAMES
        return default if self.frames is None else self.frames

    @property
    def rule(self) -> KeyFrameRule:
        """The rule for the choice of key frames."""
        rule: Rule = "published" if self.parity else self.key_frame_rule
        return KeyFrameRule(self.key_frames, rule, self.threshold, self.beta, self.parity)
