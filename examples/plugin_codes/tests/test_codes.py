"""The package's own tests: the contract of a tool, and what the detectors read."""

from pathlib import Path

import cv2
import numpy as np
from reelgraph_codes import Codes

from agent.plugins.kit import as_pytest
from tools import FrameSet, StoredFrame, ToolInput, Video

test_contract = as_pytest("codes")
EAN_13 = "4006381333931"
# Modules of the digits 0 to 9 on the left, and which of the six are inverted and mirrored (G).
LEFT = ["0001101", "0011001", "0010011", "0111101", "0100011"]
LEFT += ["0110001", "0101111", "0111011", "0110111", "0001011"]
FIRST = ["LLLLLL", "LLGLGG", "LLGGLG", "LLGGGL", "LGLLGG"]
FIRST += ["LGGLLG", "LGGGLL", "LGLGLG", "LGLGGL", "LGGLGL"]


def qr_code(text: str) -> np.ndarray:
    """A QR code in black on white."""
    small = cv2.QRCodeEncoder.create().encode(text)
    return cv2.resize(small, None, fx=6, fy=6, interpolation=cv2.INTER_NEAREST)


def bar_code(digits: str) -> np.ndarray:
    """An EAN-13 bar code in black on white (GS1 General Specifications, 5.2)."""
    bars = "101"
    for digit, parity in zip(digits[1:7], FIRST[int(digits[0])], strict=True):
        left = LEFT[int(digit)]
        inverted = "".join("10"[int(bit)] for bit in left)
        bars += left if parity == "L" else inverted[::-1]
    bars += "01010"
    bars += "".join("10"[int(bit)] for digit in digits[7:] for bit in LEFT[int(digit)]) + "101"
    row = np.array([255 * (bar == "0") for bar in bars], np.uint8)
    return np.tile(np.repeat(row, 3), (120, 1))


def picture(*codes: np.ndarray) -> np.ndarray:
    """A white picture with codes side by side, as little sharp as a camera's."""
    image, left = np.full((400, 900, 3), 255, np.uint8), 60
    for code in codes:
        image[80 : 80 + code.shape[0], left : left + code.shape[1]] = code[..., None]
        left += code.shape[1] + 80
    return cv2.GaussianBlur(image, (5, 5), 0)


def given(folder: Path, *pictures: np.ndarray) -> ToolInput:
    """A video of which each picture stays for a second."""
    frames = []
    for number, image in enumerate(pictures):
        path = folder / f"{number}.png"
        cv2.imwrite(str(path), image)
        frames.append(StoredFrame(number, float(number), number + 1.0, path))
    seconds = float(len(frames))
    video = Video(folder / "clip.mp4", "0", seconds, 900, 400, 0, None, False, ())
    return ToolInput(video, FrameSet(folder, seconds, tuple(frames), ()))


def test_both_kinds_of_code_are_read_with_their_places(tmp_path: Path) -> None:
    shown = picture(qr_code("https://example.org/7391"), bar_code(EAN_13))
    qr, bar = Codes().run(given(tmp_path, shown))
    assert qr.text == "QR code: https://example.org/7391"
    assert bar.text == f"bar code (EAN_13): {EAN_13}"
    assert qr.data["box"][2] < bar.data["box"][0]


def test_a_code_that_stays_is_told_once(tmp_path: Path) -> None:
    code, empty = picture(qr_code("ticket")), picture()
    found = list(Codes().run(given(tmp_path, empty, code, code, empty, code)))
    assert [(one.start_s, one.end_s) for one in found] == [(1.0, 3.0), (4.0, 5.0)]


def test_options_leave_out_a_kind(tmp_path: Path) -> None:
    only_bars = Codes(Codes.Options(qr=False))
    assert not list(only_bars.run(given(tmp_path, picture(qr_code("ticket")))))
