"""Caption distinct frames with the vision chat model: kind "caption".

A caption spans the time for which its frame stayed on screen. Frames skipped between two captioned
ones (`every_s`) are covered by no caption.
"""

import base64
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, ClassVar

from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableConfig
from pydantic import Field

import prompts
from tools.base import Need, Tool, ToolInput, ToolOptions
from tools.errors import StoppedError
from tools.evidence import Evidence
from tools.media.frames import FrameSet, StoredFrame
from tools.media.jpeg import encode_jpeg


class CaptionOptions(ToolOptions):
    """Options of `Caption`.

    Attributes:
        every_s: At most one caption per this many seconds; 0 captions every distinct frame.
        max_frames: Maximum number of captions per video, evenly spread over its time.
        batch: Pictures per batch sent to the chat model.
        max_side: Longer side in pixels of the pictures sent.
        max_new_tokens: Maximum length of a caption in tokens.
    """

    every_s: float = Field(5.0, ge=0)
    max_frames: int = Field(240, ge=1)
    batch: int = Field(4, ge=1)
    max_side: int = Field(768, ge=32)
    max_new_tokens: int = Field(80, ge=1)


class Caption(Tool):
    """What is going on in a picture, in a sentence or two."""

    name: ClassVar[str] = "caption"
    kind: ClassVar[str] = "caption"
    version: ClassVar[str] = f"1-{prompts.version('caption')}"
    Options: ClassVar[type[ToolOptions]] = CaptionOptions
    options: CaptionOptions

    @property
    def needs(self) -> frozenset[Need]:
        """Distinct frames and a vision chat model."""
        return frozenset({"frames", "vision"})

    @property
    def reentrant(self) -> bool:
        """Runs share no mutable state, and the chat model serializes its calls."""
        return True

    def run(self, given: ToolInput) -> Iterator[Evidence]:
        """Yield one caption per chosen frame, in time order.

        Raises:
            StoppedError: The user pressed Stop.
        """
        assert given.frames is not None  # promised by `needs`
        assert given.chat is not None
        frames = choose_frames(given.frames, self.options.every_s, self.options.max_frames)
        for first in range(0, len(frames), self.options.batch):
            if given.stopped():
                raise StoppedError("Stopped while captioning.")
            batch = frames[first : first + self.options.batch]
            say = partial(self._say, batch, given.chat)
            texts = given.keep(f"pictures from {batch[0].number}", say)
            for frame, text in zip(batch, texts, strict=True):
                if text:
                    yield Evidence(self.name, self.kind, frame.start_s, frame.end_s, text)
            given.progress(batch[-1].end_s, given.frames.duration_s)

    def _say(self, batch: Sequence[StoredFrame], chat: BaseChatModel) -> list[str]:
        """Return the model's caption of each frame, in one line."""
        asked: list[LanguageModelInput] = [[self._ask(frame)] for frame in batch]
        limit = RunnableConfig(max_concurrency=self.options.batch)
        replies = chat.batch(asked, limit, max_new_tokens=self.options.max_new_tokens)
        return [" ".join(reply.text.split()) for reply in replies]

    def _ask(self, frame: StoredFrame) -> HumanMessage:
        content = encode_jpeg(frame.image(), max_side=self.options.max_side)
        picture: dict[str, Any] = {
            "type": "image",
            "base64": base64.b64encode(content).decode("ascii"),
            "mime_type": "image/jpeg",
        }
        return HumanMessage([{"type": "text", "text": prompts.render("caption")}, picture])


def choose_frames(frames: FrameSet, every_s: float, max_frames: int) -> Sequence[StoredFrame]:
    """Choose frames at least `every_s` apart, evenly subsampled to at most `max_frames`."""
    chosen: list[StoredFrame] = []
    for frame in frames.frames:
        if not chosen or frame.start_s - chosen[-1].start_s >= every_s:
            chosen.append(frame)
    if len(chosen) <= max_frames:
        return chosen
    return [chosen[(2 * n + 1) * len(chosen) // (2 * max_frames)] for n in range(max_frames)]
