"""Depth estimated frame by frame: a consistent scene keeps its relative depth over time."""

from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from tools.base import ToolOptions
from tools.forensics.clip import Clip
from tools.forensics.contact_sheet import Scale, heat_sheet
from tools.forensics.measurement import Reading
from tools.forensics.pretrained import Checkpoint, Pretrained, PretrainedOptions
from tools.forensics.readings import measured
from tools.forensics.sampling import evenly

Maps = npt.NDArray[np.float64]  # [n, height, width]

SCALE = Scale(-2, 2, "", "relative depth in standard deviations around the picture's mean")


class DepthOptions(PretrainedOptions):
    """Options of `Depth`.

    Attributes:
        pictures: Number of frames looked at, evenly spread.
    """

    pictures: int = Field(8, ge=1)


class Depth(Pretrained):
    """Depth maps (Depth Anything and relatives), and how much they flicker.

    Relative depth has neither unit nor zero, so each map is fitted to the one before by scale and
    shift; flicker is what remains, root mean square, in standard deviations of depth.
    """

    name: ClassVar[str] = "depth"
    Options: ClassVar[type[ToolOptions]] = DepthOptions
    options: DepthOptions
    example: ClassVar[str] = "depth-anything/Depth-Anything-V2-Small-hf"

    def load(self, source: str, offline: bool) -> Checkpoint:
        """Load a depth estimator."""
        from transformers import AutoImageProcessor, AutoModelForDepthEstimation

        model = AutoModelForDepthEstimation.from_pretrained(source, local_files_only=offline)
        processor = AutoImageProcessor.from_pretrained(source, local_files_only=offline)
        return Checkpoint(model, processor)

    def measure(self, clip: Clip) -> Reading:
        """Estimate the depth of some frames."""
        numbers = evenly(len(clip.frames), self.options.pictures)
        maps = _standard(self._maps(clip, numbers))
        values = {"pictures": float(len(numbers))}
        if len(numbers) > 1:
            flicker = [_unlike(one, other) for one, other in pairwise(maps)]
            values |= {"flicker": float(np.mean(flicker)), "most_flicker": max(flicker)}
        view = heat_sheet(list(maps), SCALE, numbers)
        return measured(clip, "Relative depth by a frozen model", values, view)

    def _maps(self, clip: Clip, numbers: list[int]) -> Maps:
        import torch

        checkpoint, found = self.loaded, []
        for first in range(0, len(numbers), self.options.batch):
            pictures: list[Any] = [
                clip.frames[n].copy() for n in numbers[first:][: self.options.batch]
            ]
            given = checkpoint.processor(images=pictures, return_tensors="pt")
            with torch.inference_mode():
                depth = checkpoint.model(given["pixel_values"].to(checkpoint.model.device))
            found.append(depth.predicted_depth.double().cpu().numpy())
        return np.concatenate(found)


def _standard(maps: Maps) -> Maps:
    """Return maps with mean 0 and standard deviation 1 each; a constant map becomes 0."""
    centred = maps - maps.mean((1, 2), keepdims=True)
    return np.asarray(centred / np.maximum(centred.std((1, 2), keepdims=True), 1e-9))


def _unlike(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> float:
    """Return what a fit by scale and shift leaves of `other`, 0 to 1; both are standardised."""
    correlation = float((one * other).mean())
    return float(np.sqrt(max(0.0, 1 - correlation**2)))
