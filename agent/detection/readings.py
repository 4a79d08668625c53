"""Turn what the library holds of a tool's run into a reading: values, a card, a picture.

A measurement tool yields one record with values and a view; any other tool's findings become a
card of their own. A tool that did not run is a reading too, and its card says so.
"""

import base64
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from agent.detection.records import Picture, ReadingStatus, ToolReading
from agent.library.store import Library
from agent.text import clock
from tools.evidence import ChannelReport, Evidence
from tools.media.video import Video
from tools.registry import tool_classes

MEASUREMENT = "measurement"
MAX_LINES = 12  # findings of an ordinary tool that fit on its card
STATUS: Mapping[str, ReadingStatus] = {
    "ok": "ok",
    "empty": "ok",
    "skipped": "not_applicable",
    "unavailable": "unavailable",
    "failed": "error",
}


def read_tools(
    kit: Sequence[str],
    channels: Mapping[str, ChannelReport],
    runs: Mapping[str, int],
    video: Video,
    library: Library,
) -> tuple[ToolReading, ...]:
    """Return the reading of each tool of a kit, in its order."""
    return tuple(_reading(tool, channels.get(tool), runs.get(tool), video, library) for tool in kit)


def _reading(
    tool: str, report: ChannelReport | None, run: int | None, video: Video, library: Library
) -> ToolReading:
    if report is None or run is None:
        status = STATUS[report.status] if report else "error"
        why = report.reason if report else "it gave no report"
        return ToolReading(tool, status, f"not run: {why}", version=_version(tool))
    found = [passage.evidence for passage in library.passages([run])]
    measured = [one for one in found if one.kind == MEASUREMENT and "values" in one.data]
    if measured:
        return _of_measurement(measured[0], report, video, library)
    return _of_findings(tool, found, report)


def _of_measurement(
    record: Evidence, report: ChannelReport, video: Video, library: Library
) -> ToolReading:
    """Return the reading of a measurement tool's one record."""
    tool, data = record.tool, record.data
    return ToolReading(
        tool=tool,
        status=data["status"],
        card=record.text,
        values={"count": 1.0, **dict(data["values"])},
        version=str(data.get("version", "")),
        params_hash=str(data.get("params_hash", "")),
        ms=float(data.get("ms", 1000 * report.seconds)),
        view=_view(tool, data.get("view"), video, library),
        frames={int(f["number"]): float(f["t_s"]) for f in data.get("frames", ())},
        spans=((record.start_s, record.end_s),),
    )


def _of_findings(tool: str, found: Sequence[Evidence], report: ChannelReport) -> ToolReading:
    """Return the findings of an ordinary tool as a reading."""
    lines = [f"{clock(one.start_s)} {one.text}" for one in found[:MAX_LINES]]
    if len(found) > MAX_LINES:
        lines.append(f"and {len(found) - MAX_LINES} more")
    return ToolReading(
        tool=tool,
        status="ok",
        card="\n".join(lines) or "it ran and found nothing",
        values={"count": float(len(found))},
        version=_version(tool),
        ms=1000 * report.seconds,
        spans=tuple((one.start_s, one.end_s) for one in found),
    )


def _view(
    tool: str, view: Mapping[str, Any] | None, video: Video, library: Library
) -> Picture | None:
    """Write a view's JPEG beside the library, where it is deleted with the video."""
    if not view:
        return None
    jpeg = base64.b64decode(view["jpeg"])
    file = library.frames_folder(video, "views") / f"{tool}-{_short(jpeg)}.jpg"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part")
        part.write_bytes(jpeg)
        part.replace(file)
    return Picture(Path(file), str(view["legend"]), tuple(int(n) for n in view["frames"]))


def _short(data: bytes) -> str:
    return sha256(data).hexdigest()[:16]


def _version(tool: str) -> str:
    found = tool_classes().get(tool)
    return found.version if found else ""
