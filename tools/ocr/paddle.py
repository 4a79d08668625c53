"""PaddleOCR's detector and recogniser, and the folders from which it loads them.

PaddleOCR runs a folder with `inference.onnx` and `inference.yml` on ONNX Runtime, without
paddlepaddle and without a download; the former is in the rapidocr wheel, the latter is written
here.
"""

import shutil
import tempfile
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from tools.errors import StorageError
from tools.ocr.engine import BGRImage, Corners, Reading
from tools.weights import file_bytes

# Model name in PaddleOCR -> file in the `models` folder of the rapidocr wheel.
WHEEL_MODELS = {
    "PP-OCRv6_small_det": "PP-OCRv6_det_small.onnx",
    "PP-OCRv6_small_rec": "PP-OCRv6_rec_small.onnx",
}

# Crops per batch, of similar width, on a GPU. On a CPU a batch gains nothing and pads every crop to
# the widest: the texts of a picture (5 on average) took 0.15 s in one batch and 0.10 s one by one.
GPU_BATCH = 8
# Narrower crops are padded to this. PaddleOCR's 320 costs a third more time and reads the same: 120
# of 120 words of 1 to 4 characters either way.
MIN_WIDTH = 96
FOLDER_VERSION = 2  # of the files written here; part of the folder's name


class PaddleEngine:
    """PaddleOCR's two models, called separately; its pipeline would read all text in every picture.

    Args:
        detector: Keyword arguments of `paddleocr.TextDetection`, such as model name and folder.
        recogniser: The same for `paddleocr.TextRecognition`.
        common: Keyword arguments of both.
    """

    def __init__(
        self, detector: dict[str, str], recogniser: dict[str, str], common: dict[str, Any]
    ) -> None:
        from paddleocr import TextDetection, TextRecognition

        components: Any = import_module("paddlex.inference.pipelines.components")

        self._detector = TextDetection(**detector, **common, limit_type="max")
        self._recogniser = TextRecognition(**recogniser, **common)
        self._batch = 1 if common.get("device", "cpu") == "cpu" else GPU_BATCH
        # The cropper of PaddleOCR's pipeline: it levels slanted text and rotates vertical text.
        self._cut_out = components.CropByPolys()

    @property
    def memory_bytes(self) -> int:
        """Bytes of both models' files."""
        models = self._detector, self._recogniser
        return file_bytes(*(Path(model.paddlex_predictor.model_dir) for model in models))

    def detect(self, picture: BGRImage, max_side: int) -> list[Corners]:
        """Return where there is text, after downscaling to `max_side` pixels."""
        (found,) = self._detector.predict(np.ascontiguousarray(picture), limit_side_len=max_side)
        return [np.asarray(corners, np.int_) for corners in found["dt_polys"]]

    def recognise(self, picture: BGRImage, places: Sequence[Corners]) -> list[Reading]:
        """Return the text at the places, in their order."""
        crops = self._cut_out(picture, [corners.astype(np.int16) for corners in places])
        order = sorted(range(len(crops)), key=lambda place: _width_ratio(crops[place]))
        readings = [Reading("", 0.0)] * len(crops)
        wide = [place for place in order if crops[place].size]
        found = self._recogniser.predict([crops[place] for place in wide], batch_size=self._batch)
        for place, one in zip(wide, found, strict=True):
            readings[place] = Reading(one["rec_text"].strip(), float(one["rec_score"]))
        return readings


def _width_ratio(crop: BGRImage) -> float:
    height, width = crop.shape[:2]
    ratio: float = width / max(height, 1)
    return ratio


def wheel_file(name: str) -> Path:
    """Return where the wheel keeps the weights of a model, without importing the package."""
    spec = find_spec("rapidocr")
    return (
        Path(spec.origin if spec and spec.origin else "rapidocr").parent
        / "models"
        / WHEEL_MODELS[name]
    )


def make_model_folder(name: str, models: Path) -> Path:
    """Make the folder that PaddleOCR loads a model from, with the weights in the wheel.

    It holds `inference.onnx` and `inference.yml`, is published atomically, and is made once per
    version of the wheel.

    Raises:
        StorageError: The folder cannot be written.
    """
    home = models / f"rapidocr-{version('rapidocr')}-{FOLDER_VERSION}"
    folder = home / name
    try:
        if not folder.is_dir():
            home.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=home) as draft:
                _write_model(name, Path(draft) / name)
                _publish(Path(draft) / name, folder)
    except OSError as error:
        raise StorageError(f"Cannot write the OCR model to {folder}: {error}") from error
    return folder


def _publish(draft: Path, folder: Path) -> None:
    try:
        draft.rename(folder)
    except OSError:
        if not folder.is_dir():  # else another process was faster with the same content
            raise


def _write_model(name: str, folder: Path) -> None:
    import yaml

    folder.mkdir()
    weights = folder / "inference.onnx"
    shutil.copyfile(wheel_file(name), weights)
    config = _detector_config() if name.endswith("_det") else _recogniser_config(weights)
    text = yaml.safe_dump({"Global": {"model_name": name}, **config}, allow_unicode=True)
    (folder / "inference.yml").write_text(text, encoding="utf-8")


def _detector_config() -> dict[str, Any]:
    # Operators and constants as PaddleOCR documents them for its DB detectors; mean and standard
    # deviation are ImageNet's, on BGR pictures.
    return {
        "PreProcess": {
            "transform_ops": [
                {"DecodeImage": {"channel_first": False, "img_mode": "BGR"}},
                {"DetResizeForTest": {"resize_long": 960}},
                {
                    "NormalizeImage": {
                        "mean": [0.485, 0.456, 0.406],
                        "std": [0.229, 0.224, 0.225],
                        "scale": "1./255.",
                        "order": "hwc",
                    }
                },
                {"ToCHWImage": None},
            ]
        },
        "PostProcess": {
            "name": "DBPostProcess",
            "thresh": 0.3,
            "box_thresh": 0.6,
            "unclip_ratio": 1.5,
            "max_candidates": 1000,
        },
    }


def _recogniser_config(weights: Path) -> dict[str, Any]:
    return {
        "PreProcess": {
            "transform_ops": [
                {"DecodeImage": {"channel_first": False, "img_mode": "BGR"}},
                {"RecResizeImg": {"image_shape": [3, 48, MIN_WIDTH]}},
            ]
        },
        "PostProcess": {"name": "CTCLabelDecode", "character_dict": _characters(weights)},
    }


def _characters(weights: Path) -> list[str]:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(weights), providers=["CPUExecutionProvider"])
    listed: str = session.get_modelmeta().custom_metadata_map["character"]
    return listed.split("\n")  # not splitlines: some characters are line separators
