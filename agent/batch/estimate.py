"""What a batch will take, said beforehand: from its plans, and from rates measured here before.

Seconds of a tool are taken from its earlier runs in the library, those of a question from results
in the same file. What was never measured stays unknown, and is said to be.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from agent.batch.questions import group_rows
from agent.batch.records import Result, Row
from agent.batch.results import read_results
from agent.batch.work import WorkSettings
from agent.library.store import Library
from agent.records import Plan
from agent.session import Session
from tools.errors import InputError


@dataclass
class ToolShare:
    """What one tool will do: on how many videos, how long these are, and how long it takes.

    Seconds are None where no earlier run of it is in the library.
    """

    videos: int = 0
    video_s: float = 0.0
    seconds: float | None = None


@dataclass
class Estimate:
    """What the rows without a result will take, with one worker.

    Attributes:
        rows: Rows to be asked.
        videos: Their videos that can be read.
        video_s: Length of these.
        unreadable: Rows that will fail, for they or their video cannot be read.
        calls: Calls of the chat model, at least and at most.
        tools: Tools that will look at videos, by name.
        row_seconds: Median of a question to a known video; None if none was answered yet.
        row_tokens: The same for tokens read and written.
        row_cost: The same for the cost; 0 without prices.
        unknown: What is not known.
    """

    rows: int = 0
    videos: int = 0
    video_s: float = 0.0
    unreadable: int = 0
    calls: tuple[int, int] = (0, 0)
    tools: dict[str, ToolShare] = field(default_factory=dict)
    row_seconds: float | None = None
    row_tokens: float | None = None
    row_cost: float | None = None
    unknown: list[str] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """The sum of all that is known, in seconds; loading models is not in it."""
        tools = sum(share.seconds or 0.0 for share in self.tools.values())
        return tools + (self.rows - self.unreadable) * (self.row_seconds or 0.0)

    def to_json(self) -> dict[str, Any]:
        """Return the record as a plain dictionary."""
        return asdict(self) | {"seconds": self.seconds}


def estimate_batch(
    rows: Sequence[Row], out: Path, work: WorkSettings, retry: Collection[str] = ()
) -> Estimate:
    """Estimate a batch; no model is called, but each new video is read once for its hash.

    Raises:
        InputError: The settings or the results file are wrong.
    """
    session = work.open()
    results = read_results(out) if out.exists() else {}
    kept = {id for id, result in results.items() if result.status not in retry}
    ahead = [row for row in rows if row.id not in kept]
    found = Estimate(rows=len(ahead))
    waiting: set[str] = set()
    for group in group_rows(ahead).values():
        _add_video(found, group, session, waiting)
    _time_tools(found, session.library)
    _time_rows(found, results)
    if waiting:
        names = ", ".join(sorted(waiting))
        found.unknown.append(f"how long {names} will run: that depends on the question")
    found.unknown.append("how long the models take to load, and what more workers gain")
    return found


def _add_video(found: Estimate, rows: Sequence[Row], session: Session, waiting: set[str]) -> None:
    """Add the rows of one video."""
    plans: list[Plan] = []
    for row in rows:
        try:
            if row.error:
                raise InputError(row.error)
            plans.append(session.plan(row.video, row.question.text, row.question.options))
        except InputError:
            found.unreadable += 1
    if not plans:
        return
    length_s = session.probe(rows[0].video).duration_s
    found.videos += 1
    found.video_s += length_s
    low, high = found.calls
    found.calls = (low + sum(p.calls[0] for p in plans), high + sum(p.calls[1] for p in plans))
    for name in {tool.tool for p in plans for tool in p.tools if not tool.known and not tool.waits}:
        share = found.tools.setdefault(name, ToolShare())
        share.videos += 1
        share.video_s += length_s
    waiting |= {tool.tool for p in plans for tool in p.tools if tool.waits}


def _time_tools(found: Estimate, library: Library) -> None:
    """Set the seconds of tools from their earlier runs, whatever their options were."""
    spent, seen_s = defaultdict[str, float](float), defaultdict[str, float](float)
    for entry in library.entries():
        for run in entry.runs:
            spent[run.tool] += run.report.seconds
            seen_s[run.tool] += entry.video.duration_s
    for name, share in found.tools.items():
        if seen_s[name]:
            share.seconds = share.video_s * spent[name] / seen_s[name]
        else:
            found.unknown.append(f"how long {name} takes: it has not run here yet")


def _time_rows(found: Estimate, results: Mapping[str, Result]) -> None:
    """Set what a question takes from results for which no tool had to run."""
    known = [r for r in results.values() if r.status != "failed" and not r.number("tool_runs")]
    if not known:
        found.unknown.append(
            "seconds, tokens and cost of a question: there is no result to a known video yet; "
            "answer a few with --max-seconds 300"
        )
        return
    found.row_seconds = median(result.seconds for result in known)
    found.row_tokens = median(r.number("input_tokens") + r.number("output_tokens") for r in known)
    found.row_cost = median(result.number("cost") for result in known)
