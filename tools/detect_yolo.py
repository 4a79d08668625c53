"""ultralytics models behind `Detect`: closed-set YOLO and open-vocabulary YOLO-World.

ultralytics (AGPL-3.0) would by itself look for the network, send usage statistics, install
packages and run whatever a checkpoint's pickle asks for. All of that is switched off before it is
imported; the one download left is the weights that the user named, and not when offline.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tools.base import ToolRuntime
from tools.detect import Detection, DetectOptions
from tools.errors import InputError, MissingError
from tools.video import RGBImage


def quiet_ultralytics(models: Path) -> None:
    """Set what ultralytics reads once, at its import; a value set by the user stays."""
    for name, value in {
        "YOLO_OFFLINE": "true",  # no look for the network, hence no statistics, no update check
        "YOLO_AUTOINSTALL": "false",
        "YOLO_VERBOSE": "false",
        "ULTRALYTICS_SAFE_LOAD": "true",  # a checkpoint may build known layers, not run code
        "YOLO_CONFIG_DIR": str(models / "ultralytics"),  # not in the user's home
    }.items():
        os.environ.setdefault(name, value)


def find_weights(model: str, runtime: ToolRuntime) -> Path:
    """Return the path of the weights: the file named, or where a named model is or goes.

    Raises:
        InputError: The model is an address, or a file of another kind.
        MissingError: The weights are not on disk and must not be downloaded.
    """
    if "://" in model or not model.endswith(".pt"):
        raise InputError(f"detect.model is {model!r}; give a .pt file or a name like yolo26n.pt.")
    for place in (Path(model).expanduser(), runtime.models / model):
        if place.is_file():
            return place
    if runtime.offline or Path(model).name != model:
        raise MissingError(
            f"The detector's weights {model} are neither a file nor in {runtime.models}. Put them "
            "there, or run once online with a name that ultralytics publishes, like yolo26n.pt."
        )
    runtime.models.mkdir(parents=True, exist_ok=True)
    return runtime.models / model


class Yolo:
    """Finds the classes that the weights were trained on."""

    def __init__(self, options: DetectOptions, runtime: ToolRuntime) -> None:
        self._options = options
        self._device = runtime.device
        weights = find_weights(options.weights, runtime)
        quiet_ultralytics(runtime.models)
        self._model = _load(weights)

    def find(self, images: Sequence[RGBImage], phrases: tuple[str, ...]) -> list[list[Detection]]:
        """Return the objects of each picture, in one call of the model."""
        results = self._model.predict(
            [np.ascontiguousarray(image[..., ::-1]) for image in images],  # it wants BGR
            imgsz=self._options.image_size,
            conf=self._options.threshold,
            batch=len(images),
            device=self._device,
            verbose=False,
            save=False,
        )
        return [_detections(result) for result in results]


def _load(weights: Path) -> Any:
    from ultralytics import YOLO

    try:
        return YOLO(str(weights))
    except (ConnectionError, FileNotFoundError) as error:
        raise MissingError(
            f"The detector's weights {weights.name} could not be downloaded to {weights.parent}: "
            f"{error}. Put the file there, or choose another model."
        ) from error
    except TypeError as error:  # what ultralytics raises for anything that it cannot unpickle
        raise InputError(f"{weights} is not a checkpoint of ultralytics: {error}") from error


def _detections(result: Any) -> list[Detection]:
    boxes = result.boxes
    return [
        Detection(
            str(result.names[int(label)]),
            float(score),
            (float(box[0]), float(box[1]), float(box[2]), float(box[3])),
        )
        for label, score, box in zip(
            boxes.cls.tolist(), boxes.conf.tolist(), boxes.xyxyn.tolist(), strict=True
        )
    ]


class YoloWorld(Yolo):
    """Finds phrases, which CLIP's text encoder turns into classes.

    A checkpoint saved with its classes set needs no encoder as long as just these are asked for.
    """

    def __init__(self, options: DetectOptions, runtime: ToolRuntime) -> None:
        super().__init__(options, runtime)
        from ultralytics.nn.tasks import WorldModel

        if not isinstance(self._model.model, WorldModel):
            raise InputError(
                f"{options.weights} is not a YOLO-World model; name one, or take engine=yolo."
            )
        self._offline = runtime.offline
        self._encoder: Any = None
        self.look_for(options.phrases)

    def find(self, images: Sequence[RGBImage], phrases: tuple[str, ...]) -> list[list[Detection]]:
        """Return what of the phrases is in each picture; nothing to look for finds nothing."""
        if not phrases:
            return [[] for _ in images]
        self.look_for(phrases)
        return super().find(images, phrases)

    def look_for(self, phrases: tuple[str, ...]) -> None:
        """Make the phrases the model's classes; does nothing where they already are.

        Raises:
            MissingError: The text encoder is not on disk and must not be downloaded.
        """
        network = self._model.model
        if not phrases or tuple(_names(network)) == phrases:
            return
        # What `YOLOWorld.set_classes` does, which wants a package that no index carries.
        network.txt_feats = self._encode(phrases).to(next(network.parameters()).device)
        network.model[-1].nc = len(phrases)
        network.names = list(phrases)
        self._model.predictor = None

    def _encode(self, phrases: tuple[str, ...]) -> Any:
        """Return the phrases as unit vectors: a float tensor [1, phrases, 512]."""
        import torch

        if self._encoder is None:
            self._encoder = _load_encoder(self._options.text_encoder, self._offline)
        tokenizer, encoder = self._encoder
        tokens = tokenizer(list(phrases), padding=True, truncation=True, return_tensors="pt")
        with torch.inference_mode():
            vectors = encoder(**tokens).text_embeds
        return (vectors / vectors.norm(dim=-1, keepdim=True)).unsqueeze(0).clone()


def _names(network: Any) -> list[str]:
    names = network.names
    return list(names.values()) if isinstance(names, dict) else list(names)


def _load_encoder(name: str, offline: bool) -> tuple[Any, Any]:
    from transformers import CLIPTextModelWithProjection, CLIPTokenizerFast

    try:
        return (
            CLIPTokenizerFast.from_pretrained(name, local_files_only=offline),
            CLIPTextModelWithProjection.from_pretrained(name, local_files_only=offline).eval(),
        )
    except OSError as error:
        raise MissingError(
            f"YOLO-World needs CLIP's text encoder {name} for these phrases, and it is not on disk"
            f"{'' if offline else ' and could not be downloaded'}. Get it: hf download {name}; or "
            "name a folder that holds it in detect.text_encoder, or use a checkpoint saved with "
            "these phrases as its classes."
        ) from error
