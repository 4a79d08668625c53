"""The process of an isolated tool: one run, told and answered in JSON lines.

    job (stdin) -> setup, run -> findings, progress, pieces (stdout) -> the end

What the tool prints goes to stderr. The program `agent.plugins.isolate` starts it, perhaps under
another interpreter, so that nothing heavy is imported here.
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import IO, Any

from pydantic import TypeAdapter

from agent.plugins.files import import_file, mark_of
from tools.base import Tool, ToolInput, ToolRuntime
from tools.errors import MissingError, ReelgraphError
from tools.evidence import Evidence
from tools.media.audio import read_audio
from tools.media.frames import FrameSet
from tools.media.video import Video
from tools.registry import TOOLS

VIDEO, FRAMES = TypeAdapter(Video), TypeAdapter(FrameSet | None)


class _Line:
    """The connection to the program."""

    def __init__(self, out: IO[str]) -> None:
        self._out, self._kept = out, SimpleQueue[dict[str, Any]]()
        self.stopped = False

    def say(self, **message: Any) -> None:
        self._out.write(json.dumps(message, allow_nan=False) + "\n")
        self._out.flush()

    def listen(self) -> None:
        """Read what the program says until it ends; then this process has nobody to work for."""
        for line in sys.stdin:
            message = json.loads(line)
            if "stop" in message:
                self.stopped = True
            else:
                self._kept.put(message)
        os._exit(1)

    def keep(self, name: str, work: Callable[[], Any]) -> Any:
        self.say(recall=name)
        known = self._kept.get()["kept"]
        if known:
            return known[0]
        value = work()
        self.say(keep=name, value=value)
        return value


def main() -> None:
    """Do the job that stdin names; the exit code is 0 once everything was said."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # a tool that prints must not break the connection
    line = _Line(out)
    try:
        job = json.loads(sys.stdin.readline())
        Thread(target=line.listen, daemon=True).start()
        _run(job, line)
        line.say(done=True)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - told to the program, which raises it
        known = isinstance(error, ReelgraphError)
        text = str(error) if known else f"{type(error).__name__}: {error}"
        line.say(error=text, missing=isinstance(error, MissingError))
    out.flush()
    os._exit(0)


def _run(job: dict[str, Any], line: _Line) -> None:
    tool = _tool(job)
    state = tool.available()
    if not state.ok:
        raise MissingError(f"{state.reason}; {state.remedy}")
    where = job["runtime"]
    tool.setup(ToolRuntime(where["device"], where["offline"], Path(where["models"])))
    video = VIDEO.validate_python(job["video"], strict=False)
    given = ToolInput(
        video=video,
        frames=FRAMES.validate_python(job["frames"]),
        audio=lambda: read_audio(video),
        phrases=tuple(job["phrases"]),
        question=job["question"],
        evidence={k: [Evidence(**one) for one in v] for k, v in job["evidence"].items()},
        progress=lambda done_s, total_s: line.say(progress=[float(done_s), float(total_s)]),
        stopped=lambda: line.stopped,
        note=lambda text: line.say(note=str(text)),
        keep=line.keep,
    )
    for found in tool.run(given):
        if not isinstance(found, Evidence):
            raise ReelgraphError(f"{tool.name} reports {found!r:.80}, expected Evidence")
        line.say(evidence=_plain(found))


def _tool(job: dict[str, Any]) -> Tool:
    if not job["file"]:
        made = TOOLS.find(job["name"])
    else:
        file = Path(job["file"])
        module = import_file(file, mark_of(file))
        classes = [c for c in vars(module).values() if isinstance(c, type) and issubclass(c, Tool)]
        made = next(c for c in classes if getattr(c, "name", "") == job["name"])
    return made(made.Options.model_validate(job["options"]))


def _plain(found: Evidence) -> dict[str, Any]:
    """Return a finding as plain JSON; NumPy's numbers become Python's."""
    values = found.to_json()
    for key in ("start_s", "end_s", "score"):
        values[key] = float(values[key])
    return values
