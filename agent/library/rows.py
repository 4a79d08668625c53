"""Records of the library, and their conversion from and to table rows."""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from tools.evidence import ChannelReport, Evidence
from tools.media.tracks import Track
from tools.media.video import Video

CAPTIONS = "captions"  # the tool of clip captions, and the channel that reports them
CAPTION = "caption"  # their kind of evidence


@dataclass(frozen=True, slots=True)
class Run:
    """A finished run of a tool on a video."""

    id: int
    tool: str
    report: ChannelReport
    settings: Mapping[str, Any]
    finished: str


@dataclass(frozen=True, slots=True)
class Passage:
    """A stored evidence record and its row id in the library."""

    row: int
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class LibraryEntry:
    """A known video: its latest path, when it was added, its runs and sampled frames."""

    video: Video
    added: str
    runs: tuple[Run, ...]
    frames: Path

    @property
    def frame_bytes(self) -> int:
        """Bytes of the frames on disk, counted now."""
        return sum(f.stat().st_size for f in self.frames.rglob("*") if f.is_file())

    @property
    def by_tool(self) -> dict[str, list[Run]]:
        """The finished runs of each tool."""
        tools = dict.fromkeys(run.tool for run in self.runs)
        return {tool: [run for run in self.runs if run.tool == tool] for tool in tools}


def to_json(value: Any) -> str:
    """Return plain values as JSON; equal values give the same text."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, allow_nan=False)


def video_to_json(video: Video) -> str:
    """Return the probe of a video as JSON, without the path."""
    values = asdict(video) | {"fps": str(video.fps) if video.fps else None}
    values["shifts_s"] = [str(shift_s) for shift_s in video.shifts_s]
    del values["path"]
    return to_json(values)


def video_from(row: sqlite3.Row) -> Video:
    """Return the video of a row with `path` and `probe`."""
    values = json.loads(row["probe"])
    values["fps"] = Fraction(values["fps"]) if values["fps"] else None
    tracks = values.get("tracks", ())
    values["tracks"] = tuple(Track(**one | {"flags": tuple(one["flags"])}) for one in tracks)
    values["shifts_s"] = tuple(map(Fraction, values.get("shifts_s", ())))
    values["notes"] = tuple(values.get("notes", ()))
    values.pop("subtitles", None)  # before the other tracks were told as well
    return Video(path=Path(row["path"]), **values)


def run_from(row: sqlite3.Row) -> Run:
    """Return the run of a row of `runs` with the number of its records as `count`."""
    report = ChannelReport(
        tool=row["tool"],
        status=row["status"],
        count=row["count"],
        seconds=row["seconds"],
        reason=row["reason"],
        cached=True,
    )
    return Run(row["id"], row["tool"], report, json.loads(row["settings"]), row["finished"])


def evidence_from(row: sqlite3.Row) -> Evidence:
    """Return the record of a row of `evidence` with `tool` and `tag` of its run."""
    return Evidence(
        tool=row["tool"],
        kind=row["kind"],
        start_s=row["start_s"],
        end_s=row["end_s"],
        text=row["text"],
        score=row["score"],
        data=json.loads(row["data"]),
        id=f"{row['tool']}:{row['tag']}:{row['number']}",
    )


def across_videos(video: Video, evidence: Evidence, name: str = "") -> Evidence:
    """Return a record for results over several videos: with the video in its id, and its name."""
    return replace(evidence, id=f"{video.sha256[:12]}/{evidence.id}", video=name)


def caption_from(row: sqlite3.Row) -> Evidence:
    """Return the caption of a row of `captions` as evidence."""
    return Evidence(
        tool=CAPTIONS,
        kind=CAPTION,
        start_s=row["start_s"],
        end_s=row["end_s"],
        text=row["text"],
        id=f"{CAPTIONS}:{row['tag']}:0",
    )
