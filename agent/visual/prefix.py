"""Keys and values of the video, kept for the next question.

The visual tokens stand before the question, so what the language model computed for them is the
same for every question: only the question's own tokens are read anew.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

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

    def generate(
        self, after: Sequence[int], max_new_tokens: int, streamer: Any = None, **options: Any
    ) -> list[int]:
        """Like `agent.visual.injection.generate`, for the text that follows the video."""
        import torch

        ids = self._ids(after)
        try:
            with torch.inference_mode():
                output = self._model.generate(
                    input_ids=ids,
                    attention_mask=torch.ones_like(ids),
                    past_key_values=self._kept,
                    max_new_tokens=max_new_tokens,
                    streamer=streamer,
                    **{"do_sample": False, **options},
                )
        finally:
            self._forget()
        new: list[int] = output[0, ids.shape[1] :].tolist()
        return new

    def logits(self, after: Sequence[int]) -> "Tensor":
        """Return the logits after each token of the text that follows, [tokens, vocabulary]."""
        import torch

        ids = self._ids(after)
        try:
            with torch.inference_mode():
                logits = self._model(
                    input_ids=ids[:, len(self) :],
                    attention_mask=torch.ones_like(ids),
                    past_key_values=self._kept,
                ).logits[0]
        finally:
            self._forget()
        return logits

    def score(self, after: Sequence[int], replies: Sequence[Sequence[int]]) -> list[float]:
        """Return the mean log-likelihood per token of each reply to a text."""
        import torch

        if not all(replies):
            raise ValueError("a reply without a token has no likelihood")
        scores = []
        for reply in replies:
            logits = self.logits([*after, *reply])[len(after) - 1 : -1]
            likely = torch.log_softmax(logits.float(), dim=-1)
            chosen = torch.tensor(list(reply), device=likely.device)
            scores.append(float(likely.gather(1, chosen[:, None]).mean()))
        return scores

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
