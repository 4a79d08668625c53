"""QR codes and bar codes in the sampled frames, by OpenCV's detectors."""

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from tools import Availability, Evidence, StoredFrame, Tool, ToolInput, ToolOptions
from tools.base import Need
from tools.errors import StoppedError

Image = npt.NDArray[np.uint8]  # [height, width, 3], BGR
Box = tuple[int, int, int, int]  # left, top, right, bottom in pixels


class CodesOptions(ToolOptions):
    """Options of `Codes`."""

    qr: bool = Field(True, description="read QR codes")
    bars: bool = Field(True, description="read bar codes: EAN-8, EAN-13, UPC-A")


class Codes(Tool):
    """QR codes and bar codes that are shown, with their content and place in the picture."""

    name, kind, version = "codes", "text", "1"
    Options = CodesOptions
    options: CodesOptions

    @property
    def needs(self) -> frozenset[Need]:
        """The sampled frames."""
        return frozenset({"frames"})

    def available(self) -> Availability:
        """Look for OpenCV without importing it."""
        if find_spec("cv2") is None:
            return Availability(False, "OpenCV is not installed", "pip install opencv-python")
        return Availability(True)

    def run(self, given: ToolInput) -> Iterator[Evidence]:
        """Yield a record for each code as long as it stays in view."""
        open_: dict[str, Evidence] = {}  # by text, codes of the frame before
        done: list[Evidence] = []
        for frame in given.frames.frames if given.frames else ():
            if given.stopped():
                raise StoppedError
            seen = {one.text: one for one in self._read(frame)}
            done += [one for text, one in open_.items() if text not in seen]
            open_ = {
                text: _longer(open_[text], one) if text in open_ else one
                for text, one in seen.items()
            }
            given.progress(frame.end_s, given.video.duration_s)
        yield from sorted([*done, *open_.values()], key=lambda one: (one.start_s, one.text))

    def _read(self, frame: StoredFrame) -> Iterator[Evidence]:
        image = frame.bgr()
        found = [*(_qr_codes(image) if self.options.qr else ())]
        found += _bar_codes(image) if self.options.bars else ()
        for what, text, box in found:
            told = f"{what}: {text}"
            yield Evidence(
                *(self.name, self.kind, frame.start_s, frame.end_s, told), data={"box": box}
            )


def _longer(first: Evidence, again: Evidence) -> Evidence:
    return Evidence(first.tool, first.kind, first.start_s, again.end_s, first.text, data=first.data)


def _qr_codes(image: Image) -> Iterator[tuple[str, str, Box]]:
    import cv2

    found, texts, corners, _ = cv2.QRCodeDetector().detectAndDecodeMulti(image)
    if found:
        yield from (("QR code", t, _box(c)) for t, c in zip(texts, corners, strict=True) if t)


def _bar_codes(image: Image) -> Iterator[tuple[str, str, Box]]:
    import cv2

    found, texts, kinds, corners = cv2.barcode.BarcodeDetector().detectAndDecodeWithType(image)
    if found:
        for text, kind, place in zip(texts, kinds, corners, strict=True):
            if text:
                yield f"bar code ({kind})", text, _box(place)


def _box(corners: Any) -> Box:
    """Return the upright box around corners [4, 2]."""
    left, top = np.min(corners, axis=0)
    right, bottom = np.max(corners, axis=0)
    return int(left), int(top), int(right), int(bottom)
