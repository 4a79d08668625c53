"""Decoding of a local model: sampling, stopping criteria, streaming."""

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from agent.models.chat_model import Deadline, Decoding


class StopCriterion:
    """A transformers stopping criterion: ends at the deadline or when cancelled."""

    def __init__(self, deadline: Deadline) -> None:
        self.deadline = deadline
        self._cancelled = threading.Event()
        self.expired = False

    def cancel(self) -> None:
        """Stop generation after the current token."""
        self._cancelled.set()

    def __call__(self, tokens: Any, scores: Any, **kwargs: Any) -> Any:
        """Say for each row of `tokens` [batch, length] whether it is done."""
        import torch

        self.expired = self.expired or self.deadline.passed
        done = self.expired or self._cancelled.is_set()
        return torch.full((tokens.shape[0],), done, device=tokens.device, dtype=torch.bool)


class GumbelNoise:
    """A logits processor that turns greedy decoding into sampling (Gumbel-max).

    The argmax of the logits divided by the temperature plus Gumbel noise is a sample of their
    softmax (Gumbel 1954). The noise has its own generator, so a seed's result depends neither on
    other threads nor on the batch size.
    """

    def __init__(self, temperature: float, seed: int) -> None:
        import torch

        self._temperature = temperature
        self._generator = torch.Generator().manual_seed(seed)

    def __call__(self, tokens: Any, scores: Any) -> Any:
        """Return scores [batch, vocabulary] with noise, the same for every row."""
        import torch

        uniform = torch.rand(scores.shape[-1], generator=self._generator, dtype=torch.float64)
        noise = -torch.log(-torch.log(uniform.clamp_min(1e-300)))
        return scores.float() / self._temperature + noise.to(scores.device, torch.float32)


def generate_options(decoding: Decoding, watch: StopCriterion, tokenizer: Any) -> dict[str, Any]:
    """Return the keyword arguments of `generate` for one call.

    The checkpoint's own generation settings for sampling are switched off.
    """
    options: dict[str, Any] = {
        "max_new_tokens": decoding.max_new_tokens,
        "do_sample": False,
        "temperature": None,
        "top_p": None,
        "top_k": None,
        "stopping_criteria": [watch],
        "pad_token_id": tokenizer.pad_token_id,
    }
    if decoding.temperature > 0:
        options["logits_processor"] = [GumbelNoise(decoding.temperature, decoding.seed)]
    if decoding.stop:
        options |= {"stop_strings": list(decoding.stop), "tokenizer": tokenizer}
    return options


def cut(text: str, stops: Sequence[str]) -> str:
    """Return a text up to the first stop string, stripped."""
    ends = [position for stop in stops if (position := text.find(stop)) >= 0]
    return text[: min(ends, default=len(text))].strip()


class StopStringBuffer:
    """Buffers streamed text so that the pieces together are what `cut` returns.

    Trailing space and a possible prefix of a stop string are held back.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = stops
        self._text = ""
        self._given = 0

    def add(self, more: str) -> str:
        """Add text and return the part that certainly belongs to the reply."""
        self._text = (self._text + more).lstrip() if not self._given else self._text + more
        if any(stop in self._text for stop in self._stops):
            return self.rest()
        held = max((len(stop) - 1 for stop in self._stops), default=0)
        known = self._text[: max(self._given, len(self._text) - held)].rstrip()
        return self._give(known)

    def rest(self) -> str:
        """Return the text held back, after the end of the stream."""
        return self._give(cut(self._text, self._stops))

    def _give(self, known: str) -> str:
        piece = known[self._given :]
        self._given += len(piece)
        return piece


class DeadlinePassedError(Exception):
    """The deadline passed; the work still running is abandoned."""


def in_thread(
    produce: Callable[[Callable[[Any], None]], Any], deadline: Deadline | None = None
) -> Iterator[Any]:
    """Run `produce(give)` in a thread and yield what it passes to `give`, then its return value.

    Its exceptions are raised here. Closing this generator or passing the deadline abandons the
    thread without joining it, so the caller must tell it to end.

    Raises:
        DeadlinePassedError: The deadline passed before the next item.
    """
    passed: queue.SimpleQueue[tuple[bool, Any]] = queue.SimpleQueue()

    def work() -> None:
        try:
            passed.put((True, produce(lambda thing: passed.put((False, thing)))))
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            passed.put((True, error))

    threading.Thread(target=work, name="reelgraph-decoding", daemon=True).start()
    done = False
    while not done:
        try:
            done, value = passed.get(timeout=deadline.left_s if deadline else None)
        except queue.Empty:
            raise DeadlinePassedError from None
        if isinstance(value, BaseException):
            raise value
        yield value
