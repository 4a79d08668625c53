"""Generation with a transformers model: one call at a time, with deadlines and memory errors."""

import gc
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from langchain_core.messages.ai import UsageMetadata

from agent.models.chat_model import Deadline, Decoding, MemoryLimitError
from agent.models.decoding import StopCriterion, StopStringBuffer, cut, generate_options, in_thread
from agent.models.loading import Loaded


@dataclass(frozen=True, slots=True)
class Written:
    """A generated reply; it ended by "stop", "length" or "deadline"."""

    text: str
    input_tokens: int
    output_tokens: int
    finish_reason: str

    @property
    def usage(self) -> UsageMetadata:
        """The token counts in LangChain's form."""
        total = self.input_tokens + self.output_tokens
        return UsageMetadata(
            input_tokens=self.input_tokens, output_tokens=self.output_tokens, total_tokens=total
        )


@dataclass(frozen=True)
class Writer:
    """Generates replies for prepared inputs.

    Attributes:
        name: Name of the model, for errors.
        loaded: The model.
        check: Called with the tokens of prompt and reply before the model runs.
        lock: Held by every call.
    """

    name: str
    loaded: Loaded
    check: Callable[[int, int], None]
    lock: Any = field(default_factory=threading.RLock)

    def write(self, inputs: Mapping[str, Any], decoding: Decoding, **options: Any) -> list[Written]:
        """Generate a reply for each row of the inputs; see `TransformersChat.write`."""
        watch = StopCriterion(Deadline.after(decoding.deadline_s))
        return self._write(inputs, decoding, watch, options)

    def stream(
        self, inputs: Mapping[str, Any], decoding: Decoding, **options: Any
    ) -> Iterator[str | Written]:
        """Stream a reply for one row of inputs: pieces of text, at the end the whole reply.

        Closing the iterator stops generation.
        """
        watch, pieces = (
            StopCriterion(Deadline.after(decoding.deadline_s)),
            StopStringBuffer(decoding.stop),
        )

        def produce(give: Callable[[str], None]) -> Written:
            streamed = options | {"streamer": _streamer(self.loaded.tokenizer, give)}
            return self._write(inputs, decoding, watch, streamed)[0]

        try:
            for made in in_thread(produce):
                if piece := pieces.rest() if isinstance(made, Written) else pieces.add(made):
                    yield piece
                if isinstance(made, Written):
                    yield made
        finally:
            watch.cancel()

    @contextmanager
    def running(self, inputs: Mapping[str, Any]) -> Iterator[None]:
        """Hold the lock; turn out-of-memory into an error with a remedy."""
        import torch

        rows, length = inputs["attention_mask"].shape
        advice = (
            f"{self.name} ran out of memory with {rows} x {length} tokens; send fewer or "
            f"smaller pictures, or take --set chat.quantization=4bit, a smaller model, or "
            f"--set device=cpu"
        )
        with memory_errors(advice), self.lock, torch.inference_mode():
            yield

    def _write(
        self,
        inputs: Mapping[str, Any],
        decoding: Decoding,
        watch: StopCriterion,
        options: Mapping[str, Any],
    ) -> list[Written]:
        mask = inputs["attention_mask"]  # [batch, length]
        self.check(mask.shape[1], decoding.reserved_tokens)
        given = [int(count) for count in mask.sum(dim=1)]
        left_s = watch.deadline.left_s
        if not self.lock.acquire(timeout=-1 if left_s is None else left_s):
            return [Written("", tokens, 0, "deadline") for tokens in given]
        try:
            with self.running(inputs):
                usual = generate_options(decoding, watch, self.loaded.tokenizer)
                draw = usual.pop("logits_processor", [])  # sampling comes last
                usual |= {
                    **options,
                    "logits_processor": [*options.get("logits_processor", ()), *draw],
                }
                output = self.loaded.model.generate(**inputs, **usual)
        finally:
            self.lock.release()
        start = inputs["input_ids"].shape[1] if "input_ids" in inputs else 0
        rows = output[:, start:].tolist()
        return [
            self._written(row, count, decoding, watch)
            for row, count in zip(rows, given, strict=True)
        ]

    def _written(
        self, row: list[int], given: int, decoding: Decoding, watch: StopCriterion
    ) -> Written:
        tokenizer, ends = self.loaded.tokenizer, self.loaded.end_tokens
        kept = row[: next((i + 1 for i, token in enumerate(row) if token in ends), len(row))]
        while kept and kept[-1] == tokenizer.pad_token_id and kept[-1] not in ends:
            kept.pop()
        text = tokenizer.decode(kept, skip_special_tokens=True)
        ended = bool(kept) and kept[-1] in ends
        if ended or any(stop in text for stop in decoding.stop):
            reason = "stop"
        elif len(kept) >= decoding.max_new_tokens:
            reason = "length"
        else:
            reason = "deadline" if watch.expired else "stop"
        return Written(cut(text, decoding.stop), given, len(kept), reason)


@contextmanager
def memory_errors(advice: str) -> Iterator[None]:
    """Turn out-of-memory on the device into a `MemoryLimitError` with advice."""
    import torch

    short = False
    try:
        yield
    except torch.OutOfMemoryError:
        short = True  # the rest must wait until the failed call's tensors are released
    if short:
        free_memory()
        raise MemoryLimitError(advice)


def free_memory() -> None:
    """Free unreferenced memory, on the accelerator too."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _streamer(tokenizer: Any, give: Callable[[str], None]) -> Any:
    """Return a transformers streamer that passes every finished word to a callback."""
    from transformers.generation.streamers import TextStreamer

    streamer = TextStreamer(tokenizer, skip_prompt=True, skip_special_tokens=True)
    streamer.on_finalized_text = lambda text, stream_end=False: give(text)
    return streamer
