"""Log-likelihood of given replies after one prompt, which is prefilled once."""

import inspect
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any


def score_replies(
    model: Any, prompt: Mapping[str, Any], replies: Sequence[Sequence[int]]
) -> list[float]:
    """Return the mean log-likelihood per token of each reply.

    Args:
        model: A transformers model.
        prompt: Its inputs for one conversation, `input_ids` [1, length] among them.
        replies: Tokens of each reply, at least one.
    """
    import torch

    last_only = "logits_to_keep" in inspect.signature(model.forward).parameters
    keep = {"logits_to_keep": 1} if last_only else {}
    _forget_positions(model)
    read = model(**prompt, use_cache=True, **keep)
    first = torch.log_softmax(read.logits[0, -1].float(), dim=-1)  # [vocabulary]
    scores = []
    for reply in replies:
        likely = [first[reply[0]]]
        if len(reply) > 1:
            likely += _following(model, read.past_key_values, reply)
        scores.append(float(torch.stack(likely).mean()))
    return scores


def _following(model: Any, cache: Any, reply: Sequence[int]) -> list[Any]:
    """Return the log-likelihoods of a reply's tokens from the second on; the KV cache is restored.

    A plain cache is used and cropped again. One with a sliding window or a recurrent state cannot
    be cropped, so it is copied. No attention mask is passed, for one prompt has no padding, and
    Qwen-VL would take the mask's length for that of the reply.
    """
    import torch

    written = torch.tensor([list(reply[:-1])], device=model.device)
    plain = all(
        type(layer).__name__ == "DynamicLayer" for layer in getattr(cache, "layers", [None])
    )
    used = cache if plain else deepcopy(cache)
    output = model(input_ids=written, past_key_values=used, use_cache=True)
    if plain:
        cache.crop(-written.shape[1])
    likely = torch.log_softmax(output.logits[0].float(), dim=-1)  # [reply - 1, vocabulary]
    wanted = torch.tensor(list(reply[1:]), device=model.device)
    return list(likely.gather(1, wanted[:, None])[:, 0])


def _forget_positions(model: Any) -> None:
    """Drop the position offset that Qwen-VL keeps from its last prompt with pictures.

    A prompt without pictures does not reset it, and the reply would get wrong positions.
    """
    for part in (model, getattr(model, "model", model)):
        if hasattr(part, "rope_deltas"):
            part.rope_deltas = None
