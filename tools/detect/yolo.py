"""ultralytics models behind `Detect`: closed-set YOLO, open-vocabulary YOLO-World and YOLOE.

By default, ultralytics (AGPL-3.0) probes the network, sends usage statistics, installs packages and
executes code in a checkpoint's pickle. All of that is disabled before its import; it still
downloads the weights that the user named, except offline.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tools.base import ToolRuntime
from tools.detect.detections import Detection, DetectOptions
from tools.detect.text_encoders import TextEncoder, load_clip, load_mobile_clip
from tools.errors import InputError, MissingError
from tools.media.video import RGBImage
from tools.weights import module_bytes


def quiet_ultralytics(models: Path) -> None:
    """Set the variables that ultralytics reads at import; a value set by the user stays."""
    for name, value in {
        "YOLO_OFFLINE": "true",  # no network probe, hence no statistics, no update check
        "YOLO_AUTOINSTALL": "false",
        "YOLO_VERBOSE": "false",
        "ULTRALYTICS_SAFE_LOAD": "true",  # a checkpoint may build known layers, not run code
        "YOLO_CONFIG_DIR": str(models / "ultralytics"),  # not in the user's home
    }.items():
        os.environ.setdefault(name, value)


def find_weights(model: str, runtime: ToolRuntime) -> Path:
    """Return the path of the weights: the given file, or where a named model is or will be stored.

    Raises:
        InputError: The model is a URL or not a .pt file.
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
    """Detects the classes that the weights were trained on."""

    def __init__(self, options: DetectOptions, runtime: ToolRuntime) -> None:
        self._options = options
        self._device = runtime.device
        weights = find_weights(options.weights, runtime)
        quiet_ultralytics(runtime.models)
        self._model = _load(weights)

    def find(self, images: Sequence[RGBImage], phrases: tuple[str, ...]) -> list[list[Detection]]:
        """Return the objects of each picture, detected in one batch."""
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

    @property
    def memory_bytes(self) -> int:
        """Bytes of the network."""
        return module_bytes(self._model.model)


def _import_ultralytics() -> Any:
    """Import ultralytics and undo its patch of `PIL.Image.open`.

    The patch affects the whole process, and downloads and installs a package when a file is not an
    image.
    """
    import ultralytics
    from PIL import Image
    from ultralytics.utils import patches

    Image.open = patches._image_open
    return ultralytics


def _load(weights: Path) -> Any:
    ultralytics = _import_ultralytics()
    try:
        return ultralytics.YOLO(str(weights))
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
    """Detects phrases with YOLO-World or YOLOE, whose classes are text embeddings.

    A checkpoint saved with its classes set needs no text encoder for these.
    """

    def __init__(self, options: DetectOptions, runtime: ToolRuntime) -> None:
        super().__init__(options, runtime)
        from ultralytics.nn.tasks import WorldModel, YOLOEModel

        if not isinstance(self._model.model, (WorldModel, YOLOEModel)):
            raise InputError(
                f"{options.weights} is neither YOLO-World nor YOLOE; name one, or take engine=yolo."
            )
        network = self._model.model
        self._is_yoloe = isinstance(network, YOLOEModel)
        self._runtime = runtime
        self._encode: TextEncoder | None = None
        self._saved_names = _names(network)
        self._saved_vectors: Any = getattr(network, "pe" if self._is_yoloe else "txt_feats", None)
        self.look_for(options.phrases)

    def find(self, images: Sequence[RGBImage], phrases: tuple[str, ...]) -> list[list[Detection]]:
        """Return the detections of the phrases in each picture; without phrases, none."""
        if not phrases:
            return [[] for _ in images]
        self.look_for(phrases)
        return super().find(images, phrases)

    @property
    def memory_bytes(self) -> int:
        """Bytes of the network and, once a phrase needed it, of the text encoder."""
        return super().memory_bytes + (self._encode.memory_bytes if self._encode else 0)

    def look_for(self, phrases: tuple[str, ...]) -> None:
        """Set the phrases as the model's classes, unless they already are.

        Raises:
            MissingError: The text encoder is not on disk and must not be downloaded.
        """
        network = self._model.model
        if not phrases or _names(network) == phrases:
            return
        vectors = self._vectors(phrases)
        if self._is_yoloe:
            self._model.set_classes(list(phrases), vectors)
            return
        # What `YOLOWorld.set_classes` does after calling its own text encoder.
        network.txt_feats = vectors
        network.model[-1].nc = len(phrases)
        network.names = list(phrases)
        self._model.predictor = None

    def _vectors(self, phrases: tuple[str, ...]) -> Any:
        """Return the class vectors of phrases: those in the checkpoint, else the encoder's."""
        network = self._model.model
        device = next(network.parameters()).device
        names, saved = self._saved_names, self._saved_vectors
        if saved is not None and saved.shape[1] == len(names) and set(phrases) <= set(names):
            return saved[:, [names.index(phrase) for phrase in phrases]].to(device)
        if self._encode is None:
            self._encode = self._load_encoder()
        vectors = self._encode.vectors(phrases).to(device)
        return network.model[-1].get_tpe(vectors).detach() if self._is_yoloe else vectors

    def _load_encoder(self) -> TextEncoder:
        name, offline = self._options.text_encoder, self._runtime.offline
        if not self._is_yoloe:
            return load_clip(name, offline)
        variant = self._model.model.text_model  # "mobileclip:blt", "mobileclip2:b"
        file = self._runtime.models / f"{variant.replace(':', '_')}.ts"
        return load_mobile_clip(file, name, offline)


def _names(network: Any) -> tuple[str, ...]:
    names = network.names
    return tuple(names.values() if isinstance(names, dict) else names)
