"""Keys and values of the video, kept for the next question.

The visual tokens stand before the question, so what the language model computed for them is the
same for every question: only the question's own tokens are read anew.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from agent.models.scoring import score_replies
from agent.visual.injection import PromptIds, image_token_of, inputs_as_embeddings

if TYPE_CHECKING:
    from torch import Tensor


class VisualPrefix:
    """A prompt's beginning and a video, already read by the model.

    Memory: 0.5 MB a token for a model of 7 billion parameters in 16 bits, 1.8 GB for TS-LLaVA's
    3456. One call at a time.
    """

    def __init__(self, model: Any, before: Sequence[int], visual: "Tensor") -> None:
        import torch

        self.before = tuple(before)
        self.visual = len(visual)
        self._model = model
        inputs = inputs_as_embeddings(model, PromptIds(self.before, ()), visual)
        with torch.inference_mode():
            read = model(**inputs, use_cache=True, logits_to_keep=1)
        self._kept = read.past_key_values

    def __len__(self) -> int:
        """Return the tokens that need not be read again."""
        return len(self.before) + self.visual

    @property
    def memory_bytes(self) -> int:
        """Bytes of the keys and values that are kept."""
        held = [tensor for layer in self._kept.layers for tensor in (layer.keys, layer.values)]
        return sum(tensor.nbytes for tensor in held)

    @contextmanager
    def asked(self, after: Sequence[int]) -> Iterator[dict[str, Any]]:
        """Lend the inputs of `generate` for the text that follows the video.

        They hold all ids and what was read already; `generate` reads only the rest. What it adds
        is dropped at the end, so nothing of one question stays for the next.
        """
        import torch

        ids = self._ids(after)
        try:
            yield {
                "input_ids": ids,
                "attention_mask": torch.ones_like(ids),
                "past_key_values": self._kept,
            }
        finally:
            self._forget()

    @contextmanager
    def followed(self, after: Sequence[int]) -> Iterator[dict[str, Any]]:
        """Lend the inputs of the model itself for the text that follows the video."""
        with self.asked(after) as inputs:
            yield inputs | {"input_ids": inputs["input_ids"][:, len(self) :]}

    def score(self, after: Sequence[int], replies: Sequence[Sequence[int]]) -> list[float]:
        """Return the mean log-likelihood per token of each reply to a text."""
        import torch

        with self.followed(after) as inputs, torch.inference_mode():
            return score_replies(self._model, inputs, replies)

    def _ids(self, after: Sequence[int]) -> "Tensor":
        import torch

        ids = PromptIds(self.before, tuple(after)).ids(image_token_of(self._model), self.visual)
        return torch.tensor([ids], device=self._model.device)

    def _forget(self) -> None:
        """Drop what was read after the video, also of a run that broke off between two layers."""
        for layer in self._kept.layers:
            excess = layer.get_seq_length() - len(self)
            if excess > 0:
                layer.crop(-excess)
