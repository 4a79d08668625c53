"""The base of measurements on embeddings of the frames (DINOv2, CLIP and relatives)."""

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from tools.forensics.clip import Clip
from tools.forensics.pretrained import Checkpoint, Pretrained


class Embedding(Pretrained):
    """A measurement on the tokens of a vision transformer."""

    example: ClassVar[str] = "facebook/dinov2-small"

    def load(self, source: str, offline: bool) -> Checkpoint:
        """Load a vision transformer; of a two-tower model such as CLIP, the vision tower."""
        from transformers import AutoImageProcessor, AutoModel

        model = AutoModel.from_pretrained(source, local_files_only=offline)
        processor = AutoImageProcessor.from_pretrained(source, local_files_only=offline)
        return Checkpoint(getattr(model, "vision_model", model), processor)

    def tokens(self, clip: Clip) -> npt.NDArray[np.float32]:
        """Return the last hidden state of each frame, [n, tokens, dimensions], class token first.

        Measurements with the same model share it.
        """
        return clip.once(f"tokens of {self.options.model}", lambda: self._tokens(clip))

    def _tokens(self, clip: Clip) -> npt.NDArray[np.float32]:
        import torch

        checkpoint, found = self.loaded, []
        for first in range(0, len(clip.frames), self.options.batch):
            pictures: list[Any] = list(clip.frames[first : first + self.options.batch].copy())
            given = checkpoint.processor(images=pictures, return_tensors="pt")
            with torch.inference_mode():
                state = checkpoint.model(given["pixel_values"].to(checkpoint.model.device))
            found.append(state.last_hidden_state.float().cpu().numpy())
        return np.concatenate(found)
