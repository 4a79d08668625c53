"""Read the text on distinct frames with PaddleOCR: FrameSet -> evidence of kind "text".

Each distinct frame is read where it differs from the previous one (`change_reader`). Each block of
rows that are on screen together becomes one record, spanning the whole time it stayed: a retrieved
record then holds a key beside its value ("Menu | Coffee 3.50 | Tea 2.80"), a slide is reported
once, and a line added later is a record of its own. Rows are joined by " | ", columns one after the
other. Each row's own box, confidence, times and pieces are in `data["lines"]`. A row whose own text
contains " | " is separate labels side by side ("Petrel | Juno"), and those are its pieces; the
pieces of another row are its cells ("Coffee", "3.50"). A label with text under it ("Juno 1897") is
one piece, with both as its parts.

The default engine needs no download: PaddleOCR on ONNX Runtime with the PP-OCRv6 small weights in
the `rapidocr` wheel. They read Latin script, Chinese and Japanese.
"""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

from pydantic import Field

from tools.base import Availability, Need, Tool, ToolInput, ToolOptions, ToolRuntime
from tools.errors import MissingError, StoppedError
from tools.evidence import Evidence
from tools.ocr.change_reader import PictureReader
from tools.ocr.change_reader import Piece as TextPiece
from tools.ocr.columns import join_rows
from tools.ocr.engine import BGRImage, OcrEngine
from tools.ocr.fragments import join_fragments
from tools.ocr.moving import join_moving
from tools.ocr.paddle import WHEEL_MODELS, PaddleEngine, make_model_folder, wheel_file
from tools.ocr.panels import Panels
from tools.ocr.regions import Rect
from tools.ocr.rows import Box, Piece, Row
from tools.ocr.tracking import Block, follow_rows, group_blocks
from tools.ocr.unread import Unread

logger = logging.getLogger(__name__)

# Suffix of the folder in which PaddleOCR stores a downloaded model, by inference engine.
FOLDER_SUFFIX = {"onnxruntime": "_onnx", "transformers": "_safetensors", "paddle": ""}

Runner = Literal["onnxruntime", "transformers", "paddle"]
Language = Literal[
    "multi", "latin", "en", "cyrillic", "eslav", "arabic", "devanagari", "korean", "th", "el",
    "ta", "te",
]  # fmt: skip


class OcrOptions(ToolOptions):
    """Options of `Ocr`.

    Attributes:
        engine: "onnx": weights from the rapidocr wheel. "paddleocr": PaddleOCR's own named models,
            downloaded on first use.
        language: For "paddleocr". "multi" reads Latin script, Chinese and Japanese (PP-OCRv6);
            the others are PP-OCRv5 recognisers of one script.
        det_model: For "paddleocr": name of the detector instead of the language's.
        rec_model: For "paddleocr": name of the recogniser instead of the language's.
        runner: For "paddleocr": the inference engine; None takes transformers (torch) on a GPU and
            ONNX Runtime on a CPU. "paddle" needs the package paddlepaddle.
        min_confidence: A piece of text is kept when the engine is surer than this, 0 to 1.
        max_side: Longer side in pixels of the detector's first input. Where detail is lost by it,
            smaller text is looked for (`multiscale`); recognition uses the full frame.
        max_chars: Length at which a block of rows is split.
    """

    engine: Literal["onnx", "paddleocr"] = "onnx"
    language: Language = "multi"
    det_model: str = ""
    rec_model: str = ""
    runner: Runner | None = None
    min_confidence: float = Field(0.5, ge=0, le=1)
    max_side: int = Field(640, ge=32)
    max_chars: int = Field(400, ge=1)

    def model_names(self) -> list[str]:
        """Return the PaddleOCR names of the detector and the recogniser."""
        if self.language == "multi":
            det, rec = "PP-OCRv6_medium_det", "PP-OCRv6_medium_rec"
        else:
            det, rec = "PP-OCRv5_server_det", f"{self.language}_PP-OCRv5_mobile_rec"
        return [self.det_model or det, self.rec_model or rec]


class Ocr(Tool):
    """Text on screen: slides, captions, signs, screens."""

    name: ClassVar[str] = "ocr"
    kind: ClassVar[str] = "text"
    version: ClassVar[str] = "5"
    Options: ClassVar[type[ToolOptions]] = OcrOptions
    options: OcrOptions

    def __init__(self, options: OcrOptions | None = None) -> None:
        super().__init__(options)
        self._engine: OcrEngine | None = None

    @property
    def needs(self) -> frozenset[Need]:
        """Distinct frames."""
        return frozenset({"frames"})

    @property
    def models(self) -> Mapping[str, str]:
        """The text detector and the recogniser."""
        onnx = self.options.engine == "onnx"
        names = WHEEL_MODELS if onnx else self.options.model_names()
        return dict(zip(("text detector", "text recogniser"), names, strict=True))

    @property
    def memory_bytes(self) -> int:
        """Bytes of the detector and the recogniser."""
        return self._engine.memory_bytes if self._engine else 0

    def available(self) -> Availability:
        """Check whether PaddleOCR and the wheel's weights are installed, without importing them."""
        if find_spec("paddleocr") is None:
            return Availability(False, "PaddleOCR is not installed", "pip install paddleocr")
        if self.options.engine == "onnx":
            missing = [name for name in WHEEL_MODELS if not wheel_file(name).is_file()]
            if missing:
                reason = f"the rapidocr wheel lacks {', '.join(missing)}"
                return Availability(False, reason, "pip install 'rapidocr>=3.10'")
        return Availability(ok=True)

    def setup(self, runtime: ToolRuntime) -> None:
        """Load the detector and the recogniser.

        Raises:
            MissingError: Weights are not on disk and must not be downloaded, or are not in the
                wheel.
            StorageError: The folder of models cannot be written.
        """
        there = self.available()
        if not there.ok:
            raise MissingError(f"{there.reason}. Get it: {there.remedy}")
        # PaddleX reads these once, at import: no probing of model hosts, no folder in the home.
        os.environ.setdefault("PADDLE_PDX_DISABLE_MODEL_SOURCE_CHECK", "True")
        os.environ.setdefault("PADDLE_PDX_CACHE_HOME", str(runtime.models / "paddlex"))
        logging.getLogger("paddlex").setLevel(logging.ERROR)
        runner = self._runner(runtime)
        onnx = self.options.engine == "onnx"
        models = _wheel_models(runtime) if onnx else self._named_models(runtime, runner)
        common: dict[str, Any] = {
            "engine": runner,
            "device": _paddle_device(runtime.device, runner),
        }
        if runner == "onnxruntime":
            # Set explicitly, or ONNX Runtime pins threads to cores, where they spin while another
            # tool has the core (a picture: 0.38 s of CPU time pinned, else 0.29 s).
            common["engine_config"] = {"intra_op_num_threads": os.cpu_count() or 1}
        self._engine = PaddleEngine(models[0], models[1], common)

    def run(self, given: ToolInput) -> Iterator[Evidence]:
        """Yield one record per block of rows, in time order, once every frame was read."""
        assert given.frames is not None  # promised by `needs`
        unread = Unread()
        rows = join_fragments(join_moving(follow_rows(list(self._read(given, unread)))))
        others = [one for one in get_args(Language) if one != self.options.language]
        if note := unread.note(others):
            given.note(note)
        for block in group_blocks(rows, self.options.max_chars):
            yield self._evidence(block)

    def _read(self, given: ToolInput, unread: Unread) -> Iterator[list[Row]]:
        assert given.frames is not None
        assert self._engine is not None, "call setup first"
        reader = PictureReader(self._engine, self.options.max_side)
        for frame in given.frames.frames:
            if given.stopped():
                raise StoppedError("Stopped while reading text on screen.")
            keep = partial(given.keep, f"picture {frame.number}")
            picture = frame.bgr(detailed=True)
            pieces = reader.read(picture, keep)
            unread.look(pieces, frame.start_s)
            yield self._rows(pieces, picture, (frame.start_s, frame.end_s))
            given.progress(frame.end_s, given.frames.duration_s)

    def _rows(
        self, pieces: Sequence[TextPiece], picture: BGRImage, span_s: tuple[float, float]
    ) -> list[Row]:
        """Return the rows of one picture, which is on screen for a span, top to bottom."""
        height, width = picture.shape[:2]
        sure = [
            Row(
                piece.reading.text,
                _box(piece.rect, width, height),
                piece.reading.confidence,
                *span_s,
            )
            for piece in pieces
            if piece.reading.confidence > self.options.min_confidence
            and any(map(str.isalnum, piece.reading.text))
        ]
        return join_rows(sure, width / height, Panels(picture).part)

    def _evidence(self, block: Block) -> Evidence:
        score = sum(row.confidence for row in block.rows) / len(block.rows)
        lines = [_row_json(row) for row in block.rows]
        return Evidence(
            self.name, self.kind, block.start_s, block.end_s, block.text, score, {"lines": lines}
        )

    def _runner(self, runtime: ToolRuntime) -> Runner:
        if self.options.engine == "onnx":
            return "onnxruntime"
        return self.options.runner or (
            "transformers" if runtime.device.startswith("cuda") else "onnxruntime"
        )

    def _named_models(self, runtime: ToolRuntime, runner: Runner) -> list[dict[str, str]]:
        """Return the models' names, and their folders where they are on disk."""
        home = Path(os.environ["PADDLE_PDX_CACHE_HOME"]) / "official_models"
        chosen = []
        for name in self.options.model_names():
            folder = home / f"{name}{FOLDER_SUFFIX[runner]}"
            if runtime.offline and not folder.is_dir():
                raise MissingError(
                    f"The OCR model {name} is not in {folder} and offline forbids to download it. "
                    "Run once online, copy the folder there, or use engine=onnx, which needs none."
                )
            place = {"model_dir": str(folder)} if folder.is_dir() else {}
            chosen.append({"model_name": name, **place})
        return chosen


def _wheel_models(runtime: ToolRuntime) -> list[dict[str, str]]:
    folders = [make_model_folder(name, runtime.models) for name in WHEEL_MODELS]
    return [{"model_name": folder.name, "model_dir": str(folder)} for folder in folders]


def _paddle_device(device: str, runner: Runner) -> str:
    if not device.startswith("cuda"):
        return "cpu"
    if runner == "onnxruntime":
        import onnxruntime

        if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
            logger.warning("OCR runs on the CPU: this onnxruntime has no CUDA (onnxruntime-gpu).")
            return "cpu"
    return device.replace("cuda", "gpu")


def _box(rect: Rect, width: int, height: int) -> Box:
    return Box(rect.left / width, rect.top / height, rect.right / width, rect.bottom / height)


def _row_json(row: Row) -> dict[str, Any]:
    box = [round(side, 4) for side in (row.box.left, row.box.top, row.box.right, row.box.bottom)]
    return {
        "text": row.text,
        "box": box,
        "confidence": round(row.confidence, 4),
        "start_s": row.start_s,
        "end_s": row.end_s,
        "pieces": [_piece_json(piece) for piece in row.pieces],
    }


def _piece_json(piece: Piece) -> dict[str, Any]:
    box = piece.box
    return {
        "text": piece.text,
        "x0": round(box.left, 4),
        "x1": round(box.right, 4),
        "y0": round(box.top, 4),
        "y1": round(box.bottom, 4),
        **({"parts": list(piece.parts)} if piece.parts else {}),
    }
