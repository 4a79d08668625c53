"""The sentence-embedding model for retrieval, as a LangChain `Embeddings`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from langchain_core.embeddings import Embeddings

from tools.errors import MissingError
from tools.weights import module_bytes

PACKED_E5 = "e5-small-q4.bin"  # the one file of multilingual-e5-small
# Trained at a temperature of 0.01, it gives hardly any two texts a smaller inner product than this;
# the median of tune questions and records of the English development videos is 0.74.
UNRELATED_E5 = 0.7


class SentenceEmbeddings(Embeddings):
    """A sentence-transformers model; vectors have unit length.

    Attributes:
        name: Its name in the settings, under which a library keeps its vectors.
        unrelated: The inner product of texts that have nothing in common.
    """

    def __init__(
        self, name: str, device: str, offline: bool, batch: int, source: str | None = None
    ) -> None:
        """Load the model, from `source` if its name is no folder or hub name.

        `MissingError` when it is not on this machine and `offline` is set.
        """
        self.name = name
        self.unrelated = UNRELATED_E5 if Path(source or name, PACKED_E5).is_file() else 0.0
        self._batch = batch
        self._model = _load(source or name, device, offline)

    def embed(self, texts: list[str], unit: bool = True) -> npt.NDArray[np.float32]:
        """Return vectors of what is searched, float32 [len(texts), dimensions].

        Args:
            texts: What is searched.
            unit: Of length 1; else as long as the model makes them.
        """
        return self._encode(self._model.encode_document, texts, unit)

    def embed_queries(self, texts: list[str], unit: bool = True) -> npt.NDArray[np.float32]:
        """Return vectors of what is asked, as `embed` does of what is searched.

        They differ from those of `embed` where the model was trained to tell the two apart.
        """
        return self._encode(self._model.encode_query, texts, unit)

    def _encode(
        self, encode: Callable[..., Any], texts: list[str], unit: bool
    ) -> npt.NDArray[np.float32]:
        vectors = encode(
            texts, batch_size=self._batch, normalize_embeddings=unit, show_progress_bar=False
        )
        return np.asarray(vectors, dtype=np.float32)

    def similarity(self, products: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return inner products as similarities that are alike for all models.

        1 is the same text, 0 that of texts with nothing in common.
        """
        return (products - self.unrelated) / (1 - self.unrelated) if self.unrelated else products

    @property
    def memory_bytes(self) -> int:
        """Memory of the weights in bytes."""
        return module_bytes(self._model)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return unit vectors of some texts (LangChain's interface)."""
        return [[float(x) for x in vector] for vector in self.embed(texts)]

    def embed_query(self, text: str) -> list[float]:
        """Return the unit vector of one question (LangChain's interface)."""
        return [float(x) for x in self.embed_queries([text])[0]]


def _load(name: str, device: str, offline: bool) -> Any:
    if offline and not Path(name).is_dir():
        raise MissingError(
            f"the embedding model {name!r} is not on this machine; take one "
            f"of `reelgraph models list`, name a folder with --set embedder.model=DIR, or allow "
            f"downloads with --set offline=false"
        )
    from safetensors import SafetensorError
    from sentence_transformers import SentenceTransformer

    packed = Path(name, PACKED_E5)
    try:
        if packed.is_file():
            from agent.models.multilingual_e5 import load_packed

            return load_packed(packed, device)
        return SentenceTransformer(name, device=device, local_files_only=offline)
    except (OSError, ValueError, SafetensorError) as error:  # the last: a half-copied file
        raise MissingError(
            f"the embedding model {name!r} cannot be loaded: {error}; give a folder of "
            f"sentence-transformers with --set embedder.model=DIR"
        ) from error
