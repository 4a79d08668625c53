"""Draw the screen recording of the development videos: windows of a desktop."""

from collections.abc import Callable

from board import Board, Moment, View
from demo.canvas import (
    AMBER,
    CORAL,
    INK,
    MIST,
    MOSS,
    SLATE,
    STONE,
    TEAL,
    WHITE,
    bands,
)

Area = tuple[float, float, float, float]


def desktop(board: Board, view: View, moment: Moment) -> None:
    """Draw a screen with windows, in the order of the view."""
    board.fade_down(0, 720, bands("#3f6f83", "#2b4d5e", 5))
    for window in view.get("windows", {}).values():
        x, y, w, h = window.get("at", (60, 40, 1160, 590))
        board.box(x, y, w, h, "#f6f7f8", 6, INK, 2)
        board.box(x, y, w, 40, SLATE, 6)
        board.put(x + 16, y + 20, window["title"], 21, w - 120, WHITE, "bold")
        for number, shade in enumerate((MOSS, AMBER, CORAL)):
            board.oval(x + w - 90 + 30 * number, y + 20, 8, fill=shade)
        WINDOWS[window["type"]](board, window, (x, y + 40, w, h - 40))
    if "pointer" in view:
        x, y = view["pointer"]
        board.shape([(x, y), (x, y + 26), (x + 7, y + 20), (x + 18, y + 19)], INK)


def _files(board: Board, window: View, area: Area) -> None:
    x, y, w, _ = area
    board.box(x + 10, y + 8, w - 20, 36, WHITE, 4, STONE, 2)
    board.put(x + 24, y + 26, window["path"], 20, w - 60, SLATE)
    for offset, heading in ((20, "Name"), (0.52 * w, "Geändert"), (0.78 * w, "Größe")):
        board.put(x + offset, y + 66, heading, 20, 200, SLATE, "bold")
    for number, row in enumerate(window["rows"]):
        middle = y + 102 + 36 * number
        if row[0] == window.get("selected"):
            board.box(x + 8, middle - 17, w - 16, 34, "#bcd7e6")
        board.box(x + 20, middle - 10, 20, 20, TEAL if row[2] else AMBER, 3)
        board.put(x + 52, middle, row[0], 22, 0.46 * w)
        board.put(x + 0.52 * w, middle, row[1], 22, 0.25 * w)
        board.put(x + 0.78 * w, middle, row[2], 22, 0.2 * w)
        board.words[-3:] = [" ".join(row)]
    if "status" in window:
        board.put(x + 20, y + area[3] - 22, window["status"], 19, w - 40, SLATE)


def _form(board: Board, window: View, area: Area) -> None:
    x, y, w, h = area
    for number, (label, value) in enumerate(window["fields"].items()):
        middle = y + 40 + 52 * number
        board.put(x + 24, middle, label, 22, 0.3 * w, SLATE, "bold")
        board.box(x + 0.34 * w, middle - 20, 0.6 * w, 40, WHITE, 4, STONE, 2)
        if str(value):
            board.put(x + 0.34 * w + 12, middle, value, 23, 0.57 * w)
            board.words[-2:] = [f"{label} {value}"]
    left = x + 24.0
    for button in window.get("buttons", []):
        width = board.width(button, 21, "bold") + 40
        board.box(left, y + h - 58, width, 42, TEAL, 6)
        board.put(left + 20, y + h - 37, button, 21, width, WHITE, "bold")
        left += width + 16
    if "status" in window:
        board.put(
            x + w - 20, y + h - 37, window["status"], 20, w - left + x - 40, CORAL, "bold", "rm"
        )


def _sheet(board: Board, window: View, area: Area) -> None:
    x, y, w, h = area
    columns, cells = window["columns"], window["cells"]
    shares = [1 if not name else window.get("widths", {}).get(name, 3) for name in ["", *columns]]
    unit = (w - 20) / sum(shares)
    board.put(x + 20, y + 24, window.get("bar", " "), 20, w - 60, SLATE)
    for row in range(window["rows"] + 1):
        left, top = x + 10, y + 46 + 36 * row
        told = []
        for name, share in zip(["", *columns], shares, strict=True):
            edge = not row or not name
            board.box(left, top, unit * share, 36, MIST if edge else WHITE, 0, STONE, 1)
            text = (name if not row else str(row)) if edge else cells.get(f"{name}{row}", "")
            if text and edge:
                board.write(left + unit * share / 2, top + 18, text, 17, SLATE, "plain", "mm")
            elif text:
                style = "bold" if row == 1 else "plain"
                board.put(left + 10, top + 18, text, 20, unit * share - 16, INK, style)
                told.append(board.words.pop())
            left += unit * share
        if told:
            board.words.append(" ".join(told))
    if "tab" in window:
        board.put(x + 20, y + h - 20, window["tab"], 19, w - 40, TEAL, "bold")


def _terminal(board: Board, window: View, area: Area) -> None:
    x, y, w, h = area
    board.box(x + 3, y, w - 6, h - 3, "#14191d")
    most = int((h - 24) // 32)
    for number, line in enumerate(window["lines"][-most:]):
        shade = "#8fe0a0" if line.startswith("$") else "#e6ecef"
        if line:
            board.put(x + 18, y + 26 + 32 * number, line, 21, w - 36, shade, "mono")


def _message(board: Board, window: View, area: Area) -> None:
    x, y, w, h = area
    top = y + 36.0
    for line in window["lines"]:
        top = board.paragraph(x + 24, top, line, 23, w - 48) + 8
    left = x + 24.0
    for button in window.get("buttons", []):
        width = board.width(button, 20, "bold") + 36
        board.box(left, y + h - 54, width, 40, TEAL, 6)
        board.put(left + 18, y + h - 34, button, 20, width, WHITE, "bold")
        left += width + 14


WINDOWS: dict[str, Callable[[Board, View, Area], None]] = {
    "files": _files,
    "form": _form,
    "sheet": _sheet,
    "terminal": _terminal,
    "message": _message,
}
