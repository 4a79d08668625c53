"""The frozen image-text encoder: pictures and phrases as vectors in a common space.

A dual encoder of transformers, such as CLIP or SigLIP. Vectors are not normalised: Video-RAG's
published rule uses raw inner products, ours cosines.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tools.errors import InputError, MissingError
from tools.media.video import RGBImage
from tools.weights import module_bytes

Vectors = npt.NDArray[np.float32]  # [n, dimensions]


class ImageTextEncoder:
    """A dual encoder; gradients are off in every call, or activations would stay in memory."""

    def __init__(self, name: str, device: str, offline: bool, batch: int) -> None:
        """Load the model from a folder or the hub.

        Raises:
            MissingError: It is not on this machine and `offline` is set, or it is incomplete.
            InputError: It is not an image-text dual encoder.
        """
        self.name = name
        self.batch = batch
        self._device = device
        self._model, self._processor = _load(name, device, offline)
        # SigLIP was trained with texts padded to full length, and is poor without.
        fixed = str(self._model.config.model_type).startswith("siglip")
        self._padding: bool | str = "max_length" if fixed else True

    def images(self, pictures: Sequence[RGBImage]) -> Vectors:
        """Return a vector of each picture, float32."""
        parts = [
            self._encode_images(pictures[first : first + self.batch])
            for first in range(0, len(pictures), self.batch)
        ]
        return np.concatenate(parts) if parts else np.zeros((0, 0), np.float32)

    def texts(self, texts: Sequence[str]) -> Vectors:
        """Return a vector of each text, float32; texts are truncated to the model's length."""
        import torch

        inputs = self._processor.tokenizer(
            list(texts),
            padding=self._padding,
            truncation=True,
            max_length=self._model.config.text_config.max_position_embeddings,
            return_tensors="pt",
        ).to(self._device)
        with torch.inference_mode():
            return _numbers(self._model.get_text_features(**inputs))

    def patches(self, pictures: Sequence[RGBImage]) -> Vectors:
        """Return a vector of each patch in the common space, [n, patches, dimensions], float32.

        Raises:
            InputError: The model is not CLIP; others have no common space for patches.
        """
        if self._model.config.model_type != "clip":
            raise InputError(
                f"image_encoder.model={self.name} is a {self._model.config.model_type}, expected a "
                f"CLIP, whose patches can be compared with texts"
            )
        parts = [
            self._encode_patches(pictures[first : first + self.batch])
            for first in range(0, len(pictures), self.batch)
        ]
        return np.concatenate(parts)

    @property
    def memory_bytes(self) -> int:
        """Memory of the weights in bytes."""
        return module_bytes(self._model)

    def _encode_images(self, pictures: Sequence[RGBImage]) -> Vectors:
        import torch

        inputs = self._processor.image_processor(list(pictures), return_tensors="pt")
        pixels = inputs["pixel_values"].to(self._device, self._model.dtype)
        with torch.inference_mode():
            return _numbers(self._model.get_image_features(pixel_values=pixels))

    def _encode_patches(self, pictures: Sequence[RGBImage]) -> Vectors:
        import torch

        inputs = self._processor.image_processor(list(pictures), return_tensors="pt")
        pixels = inputs["pixel_values"].to(self._device, self._model.dtype)
        tower = self._model.vision_model
        with torch.inference_mode():
            states = tower(pixel_values=pixels).last_hidden_state[:, 1:]  # without class token
            return _numbers(self._model.visual_projection(tower.post_layernorm(states)))


def unit(vectors: Vectors) -> Vectors:
    """Normalise vectors to length 1; a zero vector stays, with cosine 0 to everything."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.where(lengths == 0, 1, lengths), np.float32)


def _load(name: str, device: str, offline: bool) -> tuple[Any, Any]:
    from safetensors import SafetensorError
    from transformers import AutoModel, AutoProcessor

    folder = Path(name).expanduser()
    source = str(folder) if folder.is_dir() else name
    try:
        model = AutoModel.from_pretrained(source, local_files_only=offline)
        processor = AutoProcessor.from_pretrained(source, local_files_only=offline)
    except (OSError, ValueError, ImportError, SafetensorError) as error:  # last: half a file
        first_line = str(error).strip().split("\n")[0]
        raise MissingError(
            f"the image-text encoder {name!r} cannot be loaded: {first_line}; name a folder with "
            f"--set image_encoder.model=DIR, allow downloads with --set offline=false, or do "
            f"without with --set image_encoder.model=none"
        ) from error
    if not (hasattr(model, "get_image_features") and hasattr(model, "get_text_features")):
        raise InputError(
            f"image_encoder.model={name} is a {model.config.model_type}, expected a model that "
            f"compares pictures with texts, as openai/clip-vit-large-patch14-336 does"
        )
    return model.eval().to(device), processor


def _numbers(features: Any) -> Vectors:
    """Return features as an array; transformers 5 wraps them in an output record."""
    pooled = getattr(features, "pooler_output", features)
    return np.asarray(pooled.float().cpu().numpy(), np.float32)
