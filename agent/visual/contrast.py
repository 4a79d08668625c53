"""DAMRO: contrastive decoding against the outlier tokens of the vision tower.

Outlier tokens attract the class token's attention without showing an object, and cause
hallucinations. At every step the model also runs with these visual tokens alone, and their logits
are subtracted: (1 + alpha) * l - alpha * l_out, where l is within log(beta) of the likeliest token.
It doubles the cost of decoding. Published for single pictures; those of a video are its thumbnails,
or its frames in a layout without.
"""

import math
from typing import TYPE_CHECKING, Any

from agent.visual.encoding import CHUNK, encode, feature_layer, vision_tower
from agent.visual.injection import PromptIds, inputs_as_embeddings
from agent.visual.pruning import AttentionProbe
from tools.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

OUTLIERS = 10  # per picture; published default k
ALPHA = 2.0
BETA = 0.1


def require_class_token(model: Any) -> None:
    """Reject a model whose vision tower has no class token (SigLIP) with an `InputError`."""
    if model.config.vision_feature_select_strategy != "default":
        raise InputError(
            f"contrast with outliers needs a vision tower with a class token, which "
            f"{model.config.vision_config.model_type!r} has not; use a LLaVA with CLIP"
        )


def outlier_tokens(
    model: Any, pixels: "Tensor", count: int = OUTLIERS, published: bool = False
) -> "Tensor":
    """Return the visual tokens of each picture's outliers, picture after picture, [T * count, D].

    Arguments and errors are those of `outlier_ids`. As published, LLaVA-NeXT's newline follows
    those of a picture, [T * (count + 1), D].
    """
    import torch

    tiled = published and model.config.model_type == "llava_next"
    newline = model.model.image_newline if tiled else None
    found = []
    for part in pixels.split(CHUNK):
        tokens, ids = encode(model, part), outlier_ids(model, part, count, published)
        for seen, which in zip(tokens, ids, strict=True):
            found += [seen[which], *([] if newline is None else [newline[None].to(seen)])]
    return torch.cat(found)


def outlier_ids(
    model: Any, pixels: "Tensor", count: int = OUTLIERS, published: bool = False
) -> "Tensor":
    """Return the patches of each picture that the class token attends to most.

    As published, the attention is taken over the full width of the layer whose features are
    used, as if it had one head.

    Args:
        model: A model for which `agent.visual.encoding.takes_tokens` holds.
        pixels: Normalised squares, [T, 3, S, S].
        count: Patches per picture.
        published: Return them in the order of attention, as the published code does.

    Returns:
        [T, count], ascending unless `published`.

    Raises:
        InputError: The tower has no class token (SigLIP).
    """
    import torch

    require_class_token(model)
    with torch.inference_mode(), AttentionProbe(feature_layer(model)) as probe:
        vision_tower(model)(pixels.to(model.device, model.dtype))
        scale = probe.queries.shape[-1] ** -0.5
        weights = torch.einsum("bd,bnd->bn", probe.queries[:, 0], probe.keys).float() * scale
        attention = weights.softmax(dim=-1)[:, 1:]
        ids: Tensor = attention.topk(count, dim=1).indices
        return ids if published else ids.sort(dim=1).values


class OutlierContrast:
    """A logits processor for `generate`, for one answer.

    `generate(..., logits_processor=LogitsProcessorList([OutlierContrast(...)]))`.
    """

    def __init__(
        self,
        model: Any,
        prompt: PromptIds,
        outliers: "Tensor",
        alpha: float = ALPHA,
        beta: float = BETA,
    ) -> None:
        """Take the prompt and the outliers' visual tokens, [k, D], in the order of the prompt."""
        self._model = model
        self._given = inputs_as_embeddings(model, prompt, outliers)
        self._read: Any = None
        self._length = self._given["inputs_embeds"].shape[1]
        self.alpha = alpha
        self.beta = beta

    def __call__(self, input_ids: "Tensor", scores: "Tensor") -> "Tensor":
        """Return the contrasted logits, [1, vocabulary]; -inf for implausible tokens."""
        against = self._logits(input_ids).to(scores.dtype)
        contrasted = (1 + self.alpha) * scores - self.alpha * against
        plausible = scores >= scores.max(dim=-1, keepdim=True).values + math.log(self.beta)
        return contrasted.masked_fill(~plausible, -math.inf)

    def _logits(self, ids: "Tensor") -> "Tensor":
        """Return the model's logits for the outliers alone and the answer so far."""
        import torch

        given = self._given
        if self._read is not None:
            self._length += 1
            mask = torch.ones(1, self._length, dtype=torch.long, device=ids.device)
            given = {"input_ids": ids[:, -1:], "attention_mask": mask}
        with torch.inference_mode():
            output = self._model(
                **given, past_key_values=self._read, use_cache=True, logits_to_keep=1
            )
        self._read = output.past_key_values
        logits: Tensor = output.logits[:, -1]
        return logits
