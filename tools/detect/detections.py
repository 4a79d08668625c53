"""Options and results common to all detectors."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from tools.base import ToolOptions

Engine = Literal["hog", "yolo", "yolo-world"]
BoxSides = tuple[float, float, float, float]  # left, top, right, bottom: fractions of the picture

# Below 0.5 HOG reports furniture and door frames; above, none on real clips without people.
# 0.25 is ultralytics' own default.
CONFIDENCE: Mapping[Engine, float] = {"hog": 0.5, "yolo": 0.25, "yolo-world": 0.25}
MODELS: Mapping[Engine, str] = {
    "hog": "",
    "yolo": "yolo26n.pt",
    "yolo-world": "yolov8s-worldv2.pt",
}


class DetectOptions(ToolOptions):
    """Options of `Detect`.

    Attributes:
        engine: hog, yolo or yolo-world; see the module.
        model: Weights: a file, or a name that ultralytics knows and downloads. Empty takes
            yolo26n.pt (yolo) or yolov8s-worldv2.pt (yolo-world).
        text_encoder: For yolo-world: CLIP ViT-B/32 in transformers' format, a folder or hub name.
            YOLOE takes its tokenizer from there.
        confidence: Detections above this are kept; empty takes 0.5 for hog (the margin of its
            classifier) and 0.25 for the others (a probability).
        phrases: For yolo-world: a fixed vocabulary instead of the question's.
        image_size: Longer side in pixels that the detector sees.
        batch: Pictures per call of the model.
    """

    engine: Engine = "hog"
    model: str = ""
    text_encoder: str = "openai/clip-vit-base-patch32"
    confidence: float | None = Field(None, ge=0, le=1)
    phrases: tuple[str, ...] = ()
    image_size: int = Field(640, ge=64)
    batch: int = Field(8, ge=1)

    @property
    def threshold(self) -> float:
        """The confidence, or the engine's default."""
        return CONFIDENCE[self.engine] if self.confidence is None else self.confidence

    @property
    def weights(self) -> str:
        """The model, or the engine's default."""
        return self.model or MODELS[self.engine]


@dataclass(frozen=True, slots=True)
class Detection:
    """One object: its label, the detector's score, 0 to 1, and its box."""

    label: str
    score: float
    box: BoxSides
