"""The context window of a checkpoint: its length, and its extension by RoPE scaling."""

import copy
from typing import Any

from tools.errors import InputError


def context_limit(config: Any) -> int:
    """Return the context window of a model in tokens, RoPE scaling included."""
    text = config.get_text_config()
    rope = getattr(text, "rope_parameters", None) or {}
    factor = rope.get("factor", 1) if rope.get("rope_type") == "dynamic" else 1
    return int(text.max_position_embeddings * factor)


def stretch_rope(config: Any, factor: float) -> Any:
    """Return a copy of a configuration with RoPE scaled by `factor` (dynamic NTK).

    Load the model with it: `from_pretrained(source, config=stretch_rope(config, 2.0))`. Up to the
    trained length nothing changes. SlowFast-LLaVA and Free Video-LLM need 2 with LLaVA-1.6.
    """
    if factor < 1:
        raise InputError(f"RoPE can be stretched by 1 or more, not by {factor}")
    stretched = copy.deepcopy(config)
    text = stretched.get_text_config()
    kind = (getattr(text, "rope_parameters", None) or {}).get("rope_type")
    if kind != "default" or "mrope_section" in text.rope_parameters:
        raise InputError(
            f"the RoPE of {config.model_type!r} cannot be stretched, for it is no plain one "
            f"({kind or 'none'}); leave chat.rope_factor at 1"
        )
    text.rope_parameters = {**text.rope_parameters, "rope_type": "dynamic", "factor": float(factor)}
    return stretched
