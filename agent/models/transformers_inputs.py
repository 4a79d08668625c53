"""From LangChain messages to the inputs of a transformers model, and how many tokens they take.

Frames with times become one video for a model that takes videos. The processor is told their times
in milliseconds, as frames of a video at 1000 a second, so that no rate has to be assumed: what it
writes or computes from them (Qwen3-VL's and SmolVLM's time stamps, Qwen2.5-VL's positions in time)
is right for any frames.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from langchain_core.messages import BaseMessage

from agent.models.chat_model import decode_image, frame_time
from agent.models.loading import Loaded
from tools.errors import InputError

ROLES = {"human": "user", "ai": "assistant", "system": "system"}
# Options of processors whose defaults are about to change: a bound on the pixels of a whole video,
# as in Qwen's own code, and the name of Video-LLaVA's pictures that its model takes.
NEWEST = {"cap_pixels_per_frame": True, "return_legacy_image_output": False}
CLOCK = 1000  # frames per second of the videos that processors are told of: milliseconds


class PromptEncoder:
    """Applies a model's own chat template and processor."""

    def __init__(self, loaded: Loaded, takes_video: bool = False) -> None:
        """Take a loaded model, and whether frames with times are passed as a video."""
        self._loaded = loaded
        self._takes_video = takes_video
        self._known: dict[tuple[object, ...], int] = {}

    def encode(self, conversations: Sequence[Sequence[BaseMessage]]) -> Any:
        """Return the inputs of some conversations, padded on the left, on the model's device.

        The text of a message is never tokenised as control tokens.
        """
        talks = [[self._turn(message) for message in messages] for messages in conversations]
        inputs = self._tokenize(talks).to(self._loaded.model.device)
        for name, values in inputs.items():
            if name.startswith("pixel") and values.is_floating_point():
                inputs[name] = values.to(self._loaded.dtype)
        return inputs

    def count_tokens(self, text: str) -> int:
        """Return the number of tokens of a plain text."""
        return len(self._loaded.tokenizer(text, add_special_tokens=False)["input_ids"])

    def image_tokens(self, width: int, height: int, count: int) -> int:
        """Return the tokens that `count` pictures of a size add to one message.

        Blank pictures are run through the processor, for some models use a different number for one
        picture than for each of several. What the chat template adds around them counts too.
        """
        from PIL import Image

        def blank() -> list[dict[str, Any]]:
            return [{"type": "image", "image": Image.new("RGB", (width, height))}] * count

        return self._added((width, height, count), blank)

    def video_tokens(
        self, width: int, height: int, times_s: Sequence[float], length_s: float
    ) -> int:
        """Return the tokens that a video of blank frames at some times adds to one message."""

        def blank() -> list[dict[str, Any]]:
            frames = np.zeros((len(times_s), height, width, 3), np.uint8)
            return [_video(frames, times_s, length_s)]

        return self._added((width, height, tuple(times_s), length_s), blank)

    def _added(self, key: tuple[object, ...], blocks: Callable[[], list[dict[str, Any]]]) -> int:
        if key not in self._known:
            words = {"type": "text", "text": "."}
            without, along = (
                self._tokenize([[{"role": "user", "content": content}]])["input_ids"].shape[1]
                for content in ([words], [*blocks(), words])
            )
            self._known[key] = along - without
        return self._known[key]

    def _tokenize(self, talks: list[list[dict[str, Any]]]) -> Any:
        """Return the inputs of rendered conversations, on the CPU."""
        options: dict[str, Any] = {"padding": len(talks) > 1}
        if films := [block["metadata"] for block in _blocks_of(talks) if "metadata" in block]:
            options |= {"video_metadata": films, "do_sample_frames": False}
        if self._loaded.sees_images:
            options |= self._newest(talks)
        if self._loaded.sees_images:
            options = {"processor_kwargs": options}
        try:
            return self._loaded.processor.apply_chat_template(
                talks,
                add_generation_prompt=True,
                tokenize=True,
                return_dict=True,
                return_tensors="pt",
                sanitize_control_tokens=True,
                **options,
            )
        except ValueError as error:  # as InternVL's, for its mark of a video in a question
            raise InputError(f"the model's own processor refuses the prompt: {error}") from error

    def _newest(self, talks: list[list[dict[str, Any]]]) -> dict[str, Any]:
        """Return the options of `NEWEST` that the processors of what is in a prompt have."""
        kinds = {block["type"] for block in _blocks_of(talks)}
        processors = [
            getattr(self._loaded.processor, f"{kind}_processor") for kind in kinds - {"text"}
        ]
        known = [getattr(one, "valid_kwargs", object).__annotations__ for one in processors]
        return {name: value for name, value in NEWEST.items() if any(name in one for one in known)}

    def _turn(self, message: BaseMessage) -> dict[str, Any]:
        """Return a message for the chat template: text, or blocks for a vision-language model."""
        if message.type not in ROLES:
            raise InputError(
                f"a local model was sent a {message.type} message, expected {', '.join(ROLES)}"
            )
        content: Any = message.text
        if self._loaded.sees_images:
            content = list(self._blocks(message.content_blocks))
        return {"role": ROLES[message.type], "content": content}

    def _blocks(self, blocks: Sequence[Any]) -> Iterator[dict[str, Any]]:
        """Yield content blocks for a chat template; frames of one video become one block."""
        for filmed, group in groupby(blocks, lambda block: self._takes_video and _filmed(block)):
            if not filmed:
                yield from map(_block, group)
                continue
            frames = list(group)
            times_s, lengths_s = zip(*map(frame_time, frames), strict=True)
            pixels = np.stack([np.asarray(decode_image(block)) for block in frames])
            yield _video(pixels, times_s, lengths_s[0])


def _filmed(block: Any) -> bool:
    return block["type"] == "image" and frame_time(block) is not None


def _video(frames: Any, times_s: Sequence[float], length_s: float) -> dict[str, Any]:
    """Return frames [T, height, width, 3] with their times as a block of a chat template."""
    _, height, width, _ = frames.shape
    metadata = {
        "fps": CLOCK,
        "frames_indices": [round(time_s * CLOCK) for time_s in times_s],
        "total_num_frames": max(1, round(length_s * CLOCK)),
        "duration": length_s,
        "height": height,
        "width": width,
    }
    return {"type": "video", "video": frames, "metadata": metadata}


def _blocks_of(talks: list[list[dict[str, Any]]]) -> Iterator[dict[str, Any]]:
    for turn in (turn for talk in talks for turn in talk):
        if not isinstance(turn["content"], str):
            yield from turn["content"]


def _block(block: Any) -> dict[str, Any]:
    """Turn a LangChain content block into one of a transformers chat template."""
    if block["type"] == "image":
        return {"type": "image", "image": decode_image(block)}
    return {"type": "text", "text": block["text"]}
