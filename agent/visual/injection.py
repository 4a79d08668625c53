"""Inject visual tokens into a prompt, and decode the answer.

Two equivalent routes: ids with placeholders, whose number the model checks against the tokens (from
transformers 5.20 on), and `inputs_embeds`, which every version takes. Batch size is 1.
"""

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tools.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class PromptIds:
    """A tokenised prompt before and after the position of the video.

    Attributes:
        before: Ids before the visual tokens, with the BOS token where the model has one.
        after: Ids after them.
    """

    before: tuple[int, ...]
    after: tuple[int, ...]

    def __len__(self) -> int:
        """Return the tokens of text."""
        return len(self.before) + len(self.after)

    def ids(self, image_token: int, visual: int) -> list[int]:
        """Return all ids, with as many placeholders as there are visual tokens."""
        return [*self.before, *[image_token] * visual, *self.after]


def tokenise(tokenizer: Any, text: str, image_token: str, parity: bool = False) -> PromptIds:
    """Tokenise a rendered prompt and split it at its one image token.

    Args:
        tokenizer: Tokenizer of the checkpoint.
        text: The prompt, for instance from `apply_chat_template(tokenize=False)`.
        image_token: Text of the placeholder.
        parity: Tokenise the text before and after it separately, as LLaVA's own code does: with
            SentencePiece a space then precedes the text after the image.

    Raises:
        InputError: There is not exactly one image token; a question may contain another.
    """
    if text.count(image_token) != 1:
        raise InputError(
            f"the prompt holds {text.count(image_token)} times {image_token!r}, the mark of the "
            f"place of the video, and must hold it once; take it out of the question"
        )
    opened = bool(tokenizer.bos_token) and text.startswith(tokenizer.bos_token)
    if parity:
        before, after = text.split(image_token)
        first = tokenizer(before, add_special_tokens=not opened)["input_ids"]
        rest = tokenizer(after, add_special_tokens=True)["input_ids"]
        extra = rest[:1] == [tokenizer.bos_token_id]  # once is enough
        return PromptIds(tuple(first), tuple(rest[extra:]))
    ids = tokenizer(text, add_special_tokens=not opened)["input_ids"]
    place = ids.index(tokenizer.convert_tokens_to_ids(image_token))
    return PromptIds(tuple(ids[:place]), tuple(ids[place + 1 :]))


def inputs_as_ids(model: Any, prompt: PromptIds, visual: "Tensor") -> dict[str, Any]:
    """Return the inputs of `generate` or of the model: ids and encoded pictures (route A).

    Args:
        model: A model for which `agent.visual.encoding.takes_tokens` holds.
        prompt: The text.
        visual: Visual tokens, [M, D].
    """
    import torch
    from transformers.modeling_outputs import BaseModelOutputWithPooling

    ids = torch.tensor([prompt.ids(image_token_of(model), len(visual))], device=model.device)
    given = visual.to(model.device, model.dtype)[None]  # as one picture
    listed = model.config.model_type != "video_llava"  # whose pictures have one size
    pictures = BaseModelOutputWithPooling(pooler_output=list(given) if listed else given)
    return {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "mm_encoder_outputs": {"image": pictures},
    }


def inputs_as_embeddings(model: Any, prompt: PromptIds, visual: "Tensor") -> dict[str, Any]:
    """Return the inputs of `generate` or of the model: embeddings in place of ids (route B)."""
    import torch

    table = model.get_input_embeddings()
    before, after = (
        table(torch.tensor(part, dtype=torch.long, device=model.device))
        for part in (prompt.before, prompt.after)
    )
    row = torch.cat([before, visual.to(before.device, before.dtype), after])[None]
    mask = torch.ones(row.shape[:2], dtype=torch.long, device=row.device)
    return {"inputs_embeds": row, "attention_mask": mask}


def inputs_for(model: Any, prompt: PromptIds, visual: "Tensor") -> dict[str, Any]:
    """Return inputs by route A, which checks the number of tokens, where supported."""
    checked = "mm_encoder_outputs" in inspect.signature(model.forward).parameters
    return (inputs_as_ids if checked else inputs_as_embeddings)(model, prompt, visual)


def generate(
    model: Any,
    inputs: dict[str, Any],
    max_new_tokens: int,
    streamer: Any = None,
    **options: Any,
) -> list[int]:
    """Decode greedily and return the new ids only.

    Args:
        model: The model.
        inputs: From one of the functions above.
        max_new_tokens: Maximum number of new tokens.
        streamer: A transformers streamer made with `skip_prompt=True`: by route A it gets the
            prompt first.
        options: Further arguments of `generate` (stopping criteria, stop strings, processors).
    """
    import torch

    with torch.inference_mode():
        output = model.generate(
            **inputs,
            max_new_tokens=max_new_tokens,
            streamer=streamer,
            **{"do_sample": False, **options},
        )
    given = inputs["input_ids"].shape[1] if "input_ids" in inputs else 0
    new: list[int] = output[0, given:].tolist()
    return new


def image_token_of(model: Any) -> int:
    """Return the id of the placeholder for a visual token."""
    return int(model.config.image_token_id)
