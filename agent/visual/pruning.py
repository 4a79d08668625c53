"""FoPru: keep the tokens that the vision tower attends to most; no question needed.

A token's score is the attention it receives in the layer whose features are used, as a mean over
heads and over queries. Only that layer's attention weights are recomputed, from its queries and
keys, so the tower may run with any attention implementation.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


def kept_tokens(received: "Tensor", count: int) -> "Tensor":
    """Return the ids of the `count` highest scores of each frame, ascending.

    Args:
        received: Scores, [T, n].
        count: Tokens to keep per frame.

    Returns:
        [T, count], 64-bit integers.
    """
    return received.topk(count, dim=1).indices.sort(dim=1).values


def kept_rows(received: "Tensor", columns: int, count: int) -> "Tensor":
    """Return the ids of the rows with the highest sums, as many whole rows as `count` allows."""
    import torch

    sums = received.unflatten(1, (-1, columns)).sum(dim=2)
    rows = sums.topk(max(1, count // columns), dim=1).indices.sort(dim=1).values
    within = torch.arange(columns, device=received.device)
    return (rows[..., None] * columns + within).flatten(1)


def received_attention(queries: "Tensor", keys: "Tensor") -> "Tensor":
    """Return the attention that each token receives, invariant to the order of the heads.

    Args:
        queries: [B, heads, n, d].
        keys: [B, heads, n, d].

    Returns:
        [B, n]; each row sums to 1.
    """
    import torch

    scale = queries.shape[-1] ** -0.5
    weights = torch.softmax((queries @ keys.transpose(-1, -2)).float() * scale, dim=-1)
    return weights.mean(dim=(1, 2))


class AttentionProbe:
    """Forward hooks on one layer of a vision tower: `with AttentionProbe(layer) as probe: ...`.

    Attributes:
        queries: Last output of the layer's query projection, [B, n, heads * d].
        keys: Last output of its key projection, [B, n, heads * d].
    """

    def __init__(self, layer: Any) -> None:
        self._attention = layer.self_attn
        self.queries: Any = None
        self.keys: Any = None

    def __enter__(self) -> "AttentionProbe":
        def keep(name: str) -> Any:
            return lambda module, given, output: setattr(self, name, output)

        self._hooks = [
            self._attention.q_proj.register_forward_hook(keep("queries")),
            self._attention.k_proj.register_forward_hook(keep("keys")),
        ]
        return self

    def __exit__(self, *exception: object) -> None:
        for hook in self._hooks:
            hook.remove()

    def received(self) -> "Tensor":
        """Return `received_attention` of the last run, class token included, [B, n]."""
        heads = self._attention.num_heads
        queries = self.queries.unflatten(2, (heads, -1)).transpose(1, 2)
        keys = self.keys.unflatten(2, (heads, -1)).transpose(1, 2)
        return received_attention(queries, keys)
