"""Segments found frame by frame (SAM and relatives): objects should not come and go."""

from typing import ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from tools.base import ToolOptions
from tools.forensics.clip import Clip
from tools.forensics.contact_sheet import sheet
from tools.forensics.measurement import Reading
from tools.forensics.pretrained import Checkpoint, Pretrained, PretrainedOptions
from tools.forensics.readings import measured
from tools.forensics.sampling import evenly
from tools.media.video import RGBImage

Masks = npt.NDArray[np.bool_]  # [segments, height, width]

GOLDEN = 0.618034  # neighbouring segments get hues that differ
LEGEND = "segments in colours of their own, largest first; grey: none"


class SegmentationOptions(PretrainedOptions):
    """Options of `Segmentation`.

    Attributes:
        pictures: Number of frames looked at, evenly spread.
        points: Points on either side of the grid that asks for segments.
        min_score: Least predicted IoU of a segment that counts.
        min_stability: Least stability of a segment that counts.
    """

    pictures: int = Field(4, ge=1)
    points: int = Field(8, ge=1, le=64)
    min_score: float = Field(0.88, ge=0, le=1)
    min_stability: float = Field(0.9, ge=0, le=1)


class Segmentation(Pretrained):
    """Number of segments, the share of the picture they cover, and how their number changes."""

    name: ClassVar[str] = "segmentation"
    Options: ClassVar[type[ToolOptions]] = SegmentationOptions
    options: SegmentationOptions
    example: ClassVar[str] = "facebook/sam-vit-base"

    def load(self, source: str, offline: bool) -> Checkpoint:
        """Load a promptable segmenter."""
        from transformers import AutoImageProcessor, AutoModelForMaskGeneration

        model = AutoModelForMaskGeneration.from_pretrained(source, local_files_only=offline)
        processor = AutoImageProcessor.from_pretrained(source, local_files_only=offline)
        return Checkpoint(model, processor)

    def measure(self, clip: Clip) -> Reading:
        """Segment some frames."""
        numbers = evenly(len(clip.frames), self.options.pictures)
        found = [self._masks(clip.frames[number]) for number in numbers]
        counts = np.array([len(masks) for masks in found], float)
        values = {
            "segments_mean": counts.mean(),
            "covered_share": np.mean([masks.any(0).mean() for masks in found]),
            "pictures": float(len(numbers)),
        }
        if len(numbers) > 1:
            values["count_change"] = np.abs(np.diff(counts)).mean() / max(counts.mean(), 1.0)
        tiles = [painted(clip.frames[n], masks) for n, masks in zip(numbers, found, strict=True)]
        return measured(clip, "Segments by a frozen model", values, sheet(tiles, LEGEND, numbers))

    def _masks(self, picture: RGBImage) -> Masks:
        """Return the segments of a picture, largest first."""
        from PIL import Image
        from transformers import pipeline

        checkpoint, options = self.loaded, self.options
        find = pipeline(
            "mask-generation",
            model=checkpoint.model,
            image_processor=checkpoint.processor,
            device=checkpoint.model.device,
        )
        found = find(
            Image.fromarray(picture),
            points_per_crop=options.points,
            points_per_batch=options.batch * options.points,
            pred_iou_thresh=options.min_score,
            stability_score_thresh=options.min_stability,
        )["masks"]
        masks = [np.asarray(mask.cpu() if hasattr(mask, "cpu") else mask, bool) for mask in found]
        masks.sort(key=lambda mask: -int(mask.sum()))
        return np.stack(masks) if masks else np.zeros((0, *picture.shape[:2]), bool)


def painted(picture: RGBImage, masks: Masks) -> RGBImage:
    """Return the segments in colours over the picture in grey; small ones lie on top."""
    import cv2

    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    shown = cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)
    for number, mask in enumerate(masks):
        hue = int(number * GOLDEN % 1 * 180)
        colour = cv2.cvtColor(np.array([[[hue, 200, 255]]], np.uint8), cv2.COLOR_HSV2RGB)[0, 0]
        shown[mask] = shown[mask] // 2 + colour // 2
    return np.asarray(shown)
