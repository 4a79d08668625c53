"""multilingual-e5-small, unpacked from one file, as a model of sentence-transformers.

Wang et al., "Multilingual E5 Text Embeddings" (arXiv 2402.05672): a BERT whose vectors are averaged
over the tokens; "query: " stands before what is asked and "passage: " before what is searched.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules.input_module import InputModule
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling
from tokenizers import Regex, Tokenizer
from tokenizers.models import Unigram
from tokenizers.normalizers import Replace
from tokenizers.pre_tokenizers import Metaspace
from tokenizers.processors import TemplateProcessing
from torch import Tensor, nn
from transformers import BertConfig, BertModel

from agent.models.packed_e5 import BLOCK_BYTES, Packed, read_packed

PROMPTS = {"query": "query: ", "document": "passage: "}
ENDS = {"w": "weight", "b": "bias"}
LAYER = {  # the modules of a layer, by their names in the file
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}


def load_packed(file: Path, device: str) -> SentenceTransformer:
    """Return the model of a packed file. `ValueError` if it is another file or was cut."""
    packed = read_packed(file)
    size = packed.sizes.hidden
    modules: list[nn.Module] = [_E5(packed), Pooling(size, pooling_mode="mean"), Normalize()]
    return SentenceTransformer(modules=modules, device=device, prompts=PROMPTS)


class _E5(InputModule):  # type: ignore[misc]
    """From texts to one vector a token."""

    def __init__(self, packed: Packed) -> None:
        super().__init__()
        self.tokenizer = _tokenizer(packed)
        self.model = _bert(packed)
        self._normal = packed.normal

    def preprocess(
        self, inputs: Sequence[Any], prompt: str | None = None, **kwargs: Any
    ) -> dict[str, Tensor]:
        """Return token ids and attention mask [texts, tokens] of texts, a prompt before each."""
        whole = [unicodedata.normalize("NFC", f"{prompt or ''}{text}") for text in inputs]
        found = self.tokenizer.encode_batch([text.translate(self._normal) for text in whole])
        return {
            "input_ids": torch.tensor([one.ids for one in found]),
            "attention_mask": torch.tensor([one.attention_mask for one in found]),
        }

    def forward(self, features: dict[str, Tensor], **kwargs: Any) -> dict[str, Tensor]:
        """Add the vectors of the tokens [texts, tokens, dimensions]."""
        found = self.model(features["input_ids"], attention_mask=features["attention_mask"])
        return features | {"token_embeddings": found.last_hidden_state}

    def save(self, output_path: str, *args: Any, **kwargs: Any) -> None:
        """Refuse: the packed file is what is kept."""
        raise NotImplementedError("the packed file of multilingual-e5-small is its own copy")


def _tokenizer(packed: Packed) -> Tokenizer:
    special, words = packed.special, [word for word, _ in packed.pieces]
    first, last = words[special.bos], words[special.eos]
    made = Tokenizer(Unigram(packed.pieces, special.unknown, byte_fallback=False))
    made.normalizer = Replace(Regex(" {2,}"), " ")
    made.pre_tokenizer = Metaspace(prepend_scheme="always")
    made.post_processor = TemplateProcessing(
        single=f"{first} $A {last}", special_tokens=[(first, special.bos), (last, special.eos)]
    )
    made.enable_truncation(packed.sizes.positions)
    made.enable_padding(pad_id=special.pad, pad_token=words[special.pad])
    return made


def _bert(packed: Packed) -> BertModel:
    sizes, tensors = packed.sizes, packed.tensors
    config = BertConfig(
        vocab_size=1,  # the words stay packed
        hidden_size=sizes.hidden,
        num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads,
        intermediate_size=sizes.inner,
        max_position_embeddings=sizes.positions,
        type_vocab_size=sizes.types,
        layer_norm_eps=sizes.epsilon,
    )
    model = BertModel(config, add_pooling_layer=False)
    words = torch.tensor(tensors["emb.word"]).view(sizes.vocabulary, -1, BLOCK_BYTES)
    model.embeddings.word_embeddings = _PackedTable(words)
    state = model.state_dict()
    for ours, theirs in _names(sizes.layers):
        state[ours].copy_(_weights(tensors[theirs], state[ours].shape))
    return model.eval().requires_grad_(False)


def _names(layers: int) -> Iterator[tuple[str, str]]:
    """Yield the name of each tensor but the words in the model, then in the file."""
    yield "embeddings.position_embeddings.weight", "emb.pos"
    yield "embeddings.token_type_embeddings.weight", "emb.type"
    yield from ((f"embeddings.LayerNorm.{long}", f"emb.ln.{end}") for end, long in ENDS.items())
    for number in range(layers):
        for short, name in LAYER.items():
            for end, long in ENDS.items():
                yield f"encoder.layer.{number}.{name}.{long}", f"l{number}.{short}.{end}"


def _weights(content: npt.NDArray[np.uint8], shape: torch.Size) -> Tensor:
    """Return a tensor of the file, unpacked where it is packed."""
    stored = torch.tensor(content)
    if len(content) == 4 * shape.numel():
        return stored.view(torch.float32).view(shape)
    return unpack(stored.view(*shape[:-1], -1, BLOCK_BYTES))


class _PackedTable(nn.Module):  # type: ignore[misc]
    """A table of vectors that stays packed; only those that are looked up are unpacked."""

    def __init__(self, blocks: Tensor) -> None:
        super().__init__()
        self.register_buffer("blocks", blocks)  # [vectors, blocks, bytes]

    def forward(self, ids: Tensor) -> Tensor:
        """Return the vectors [..., dimensions] of some ids [...]."""
        return unpack(self.get_buffer("blocks")[ids])


def unpack(blocks: Tensor) -> Tensor:
    """Return the weights, float32 [..., 32 n], of blocks of bytes [..., n, 18]."""
    scale = blocks[..., :2].contiguous().view(torch.float16).float()  # [..., n, 1]
    halves = torch.cat([blocks[..., 2:] & 15, blocks[..., 2:] >> 4], -1)
    return ((halves.float() - 8) * scale).flatten(-2)
