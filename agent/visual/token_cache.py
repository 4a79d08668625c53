"""Cache of visual tokens on disk: a second question on the same video runs no vision tower.

One safetensors file per video, frames, model and layout; 28 MB for TS-LLaVA's 3456 tokens of a
model of 7 billion parameters. All files of a video are in one folder.
"""

import hashlib
import json
import logging
import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.visual.encoding import TowerSpec, vision_tower
from agent.visual.layouts import Layout
from tools.errors import StorageError

if TYPE_CHECKING:
    from torch import Tensor

log = logging.getLogger(__name__)

VERSION = 1  # of the stored format; a new one ignores old files
LOOKED_AT = 4096  # values of each tensor in a model's digest


@dataclass(frozen=True, slots=True)
class TokenKey:
    """The cache key of visual tokens; it does not include the question.

    Attributes:
        video: Content hash of the video.
        times_s: Times of the frames.
        model: See `model_digest`.
        layout: The layout as text, samples included.
        tower: How pixels are prepared, as text.
        parity: Whether the published code is followed to the bit.
    """

    video: str
    times_s: tuple[float, ...]
    model: str
    layout: str
    tower: str
    parity: bool

    @property
    def digest(self) -> str:
        """SHA-256 of the key."""
        values = json.dumps({"version": VERSION, **asdict(self)}, sort_keys=True)
        return hashlib.sha256(values.encode()).hexdigest()


def token_key(
    video: str, times_s: Sequence[float], model: Any, layout: Layout, tower: TowerSpec, parity: bool
) -> TokenKey:
    """Return the key of a video's tokens; `layout` is the one after the token budget.

    Raises:
        ValueError: The layout depends on the question, so its tokens must not be cached.
    """
    if layout.depends_on_question:
        raise ValueError(f"the tokens of {layout.name} depend on the question; make them anew")
    times = tuple(round(float(time_s), 6) for time_s in times_s)
    return TokenKey(video, times, model_digest(model), repr(layout.spans), repr(tower), parity)


class TokenCache:
    """A folder of visual tokens."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, key: TokenKey) -> Path:
        """Return the file for the tokens of a key, existing or not."""
        return self.folder / key.video / f"{key.digest}.safetensors"

    def load(self, key: TokenKey) -> "Tensor | None":
        """Return tokens [M, D], or None on a cache miss; a corrupt file counts as one."""
        if not self.path(key).exists():
            return None
        try:
            return read_tokens(self.path(key))
        except StorageError as error:
            log.warning("Stored visual tokens are made anew: %s", error)
            return None

    def store(self, key: TokenKey, tokens: "Tensor") -> None:
        """Write tokens atomically.

        Raises:
            StorageError: The folder cannot be written.
        """
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        path = self.path(key)
        part = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            save_file({"tokens": tokens.detach().cpu().contiguous()}, part)
            part.replace(path)
        except (OSError, SafetensorError) as error:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            raise StorageError(
                f"visual tokens cannot be kept in {self.folder}: {error}; free some space or set "
                f"another library folder with --set library=DIR"
            ) from error

    def get(self, key: TokenKey, make: "Callable[[], Tensor]") -> "Tensor":
        """Return the cached tokens, else make and cache them."""
        tokens = self.load(key)
        if tokens is None:
            tokens = make()
            self.store(key, tokens)
        return tokens


def read_tokens(file: Path) -> "Tensor":
    """Return the tokens [M, D] of an existing file.

    Raises:
        StorageError: It was deleted or corrupted in the meantime.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(file)["tokens"]
    except (OSError, SafetensorError, KeyError) as error:
        raise StorageError(
            f"the visual tokens in {file} cannot be read: {error}; ask again to make them anew"
        ) from error


def model_digest(model: Any) -> str:
    """Return a digest of the weights that make visual tokens: tower and projector.

    From the first values of every tensor and its dtype, so that it is quick, independent of file
    names, and two checkpoints never share tokens.
    """
    import torch

    digest = hashlib.sha256()
    for part in (vision_tower(model), model.model.multi_modal_projector):
        for name, weights in part.state_dict().items():
            values = weights.detach().flatten()[:LOOKED_AT].cpu().to(torch.float32)
            digest.update(f"{name} {weights.dtype} {tuple(weights.shape)}".encode())
            digest.update(values.contiguous().numpy().tobytes())
    choice = (model.config.vision_feature_layer, model.config.vision_feature_select_strategy)
    digest.update(repr(choice).encode())
    return digest.hexdigest()[:16]
