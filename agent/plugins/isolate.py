"""Run a tool in a process of its own: its crash, hang or hunger is the end of that process alone.

`--set NAME.isolation=process` is enough; `NAME.isolation.python=/opt/venv/bin/python` takes another
interpreter, for a tool whose dependencies clash. Its own packages come first there, ours fill in
what it lacks, so its compiled ones must suit the version of that Python.
"""

import json
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from queue import Empty, Queue
from threading import Thread
from time import monotonic
from typing import IO, Any, cast

import psutil

from agent.plugins.files import SOURCE
from tools.base import Isolation, Tool, ToolInput, ToolRuntime
from tools.errors import InputError, MissingError, ReelgraphError, StoppedError
from tools.evidence import Evidence

LOOK_S = 0.05  # between two looks at the process
STOP_S = 2.0  # that a tool has to end by itself after Stop
LINES_AHEAD = 1000
BOOT = "import sys; sys.path.extend({paths!r}); from agent.plugins.worker import main; main()"


def isolated(tool: Tool) -> Tool:
    """Return a tool that does each run of the given one in a new process.

    Raises:
        InputError: It needs the chat model, which only this process has.
    """
    if "vision" in tool.needs:
        raise InputError(
            f"{tool.name} needs the chat model, which cannot be used from another process; leave "
            f"out {tool.name}.isolation"
        )
    members = {"setup": _setup, "run": _run, "memory_bytes": 0, "__module__": __name__}
    made = type(f"Isolated{type(tool).__name__}", (type(tool),), members)
    return cast("Tool", made(tool.options))


def _setup(self: Any, runtime: ToolRuntime) -> None:
    self._runtime = runtime  # the process loads the weights


def _run(self: Any, given: ToolInput) -> Iterator[Evidence]:
    limits: Isolation = self.options.isolation or Isolation()
    process = _Process.start(self.name, limits)
    try:
        process.say(_job(self, given, self._runtime))
        for message in process.messages(given):
            if "evidence" in message:
                yield Evidence(**message["evidence"])
    finally:
        process.end()


@dataclass
class _Process:
    """A running worker."""

    tool: str
    limits: Isolation
    process: subprocess.Popen[str]
    lines: Queue[str] = field(default_factory=lambda: Queue(LINES_AHEAD))
    told: deque[str] = field(default_factory=lambda: deque(maxlen=5))  # the end of stderr
    kept: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def start(cls, tool: str, limits: Isolation) -> "_Process":
        python = str(limits.python or sys.executable)
        try:
            process = subprocess.Popen(
                [python, "-I", "-c", BOOT.format(paths=[p for p in sys.path if p])],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                errors="replace",
            )
        except OSError as error:
            raise MissingError(
                f"{tool}.isolation.python: {python} cannot be started ({error.strerror}); name a "
                f"Python interpreter"
            ) from error
        made = cls(tool, limits, process)
        Thread(target=made._read, args=(process.stdout,), daemon=True).start()
        Thread(target=made._listen, args=(process.stderr,), daemon=True).start()
        return made

    def say(self, message: dict[str, Any]) -> None:
        """Send a message; a process that has ended is noticed by `messages`."""
        try:
            assert self.process.stdin is not None
            self.process.stdin.write(json.dumps(message, default=str) + "\n")
            self.process.stdin.flush()
        except (BrokenPipeError, ValueError):
            pass

    def messages(self, given: ToolInput) -> Iterator[dict[str, Any]]:
        """Yield the tool's findings until it is done; do for it what it asks for.

        Raises:
            StoppedError: Stop was pressed.
            MissingError: The tool misses something.
            ReelgraphError: It failed, ended, or exceeded a limit.
        """
        heard, stopped_at = monotonic(), None
        while True:
            if stopped_at is None and given.stopped():
                stopped_at = monotonic()
                self.say({"stop": True})
            self._require_limits(heard, stopped_at)
            try:
                line = self.lines.get(timeout=LOOK_S)
            except Empty:
                continue
            heard = monotonic()
            message = self._parsed(line)
            if message.get("done"):
                return
            if "error" in message:
                kind = MissingError if message["missing"] else ReelgraphError
                raise StoppedError if stopped_at else kind(message["error"])
            self._serve(message, given)
            yield message

    def end(self) -> None:
        """Kill the process and its children, and wait for it."""
        try:
            family = psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            family = []
        self.process.kill()
        for child in family:
            try:
                child.kill()
            except psutil.NoSuchProcess:
                continue
        self.process.wait()

    def _require_limits(self, heard: float, stopped_at: float | None) -> None:
        now, limits = monotonic(), self.limits
        if stopped_at is not None and now - stopped_at > STOP_S:
            raise StoppedError
        if now - heard > limits.timeout_s:
            raise ReelgraphError(
                f"{self.tool} said nothing for {limits.timeout_s:g} s and was ended; see "
                f"{self.tool}.isolation.timeout_s"
            )
        if (used := _memory(self.process.pid)) > limits.memory_gb * 1e9:
            raise ReelgraphError(
                f"{self.tool} took {used / 1e9:.2f} GB of memory, more than {limits.memory_gb:g} "
                f"GB, and was ended; see {self.tool}.isolation.memory_gb"
            )

    def _parsed(self, line: str) -> dict[str, Any]:
        if line == "":
            raise ReelgraphError(self._how_it_ended())
        if not line.endswith("\n"):
            raise ReelgraphError(
                f"{self.tool} reported more than {self.limits.output_mb:g} MB and was ended; see "
                f"{self.tool}.isolation.output_mb"
            )
        return dict(json.loads(line))

    def _serve(self, message: dict[str, Any], given: ToolInput) -> None:
        """Pass on progress and notes, and keep or recall a piece of work.

        `keep` either returns what is kept or calls its function, so recalling asks with one that
        raises, and keeping hands over what the process has made.
        """
        if "progress" in message:
            given.progress(*message["progress"])
        elif "note" in message:
            given.note(message["note"])
        elif "recall" in message:
            try:
                self.say({"kept": [given.keep(message["recall"], _nothing)]})
            except _NothingKept:
                self.say({"kept": []})
        elif "keep" in message:
            given.keep(message["keep"], lambda: message["value"])

    def _how_it_ended(self) -> str:
        code = self.process.wait()
        how = f"exit code {code}"
        if code < 0:
            how = f"signal {-code}, {signal.Signals(-code).name}"
        last = f": {self.told[-1].strip()}" if self.told else ""
        return f"the process of {self.tool} ended with {how}{last}"

    def _read(self, out: IO[str]) -> None:
        left = int(self.limits.output_mb * 1e6)
        while line := out.readline(left):
            left -= len(line)
            self.lines.put(line if left > 0 else line.rstrip("\n"))
            if left <= 0:
                return
        self.lines.put("")

    def _listen(self, err: IO[str]) -> None:
        while line := err.readline(4096):
            if line.strip():
                self.told.append(line)


class _NothingKept(Exception):
    """A piece of work is not known yet."""


def _nothing() -> Any:
    raise _NothingKept


def _memory(pid: int) -> int:
    """Return the bytes that a process and its children hold; 0 once it has ended."""
    try:
        process = psutil.Process(pid)
        return int(sum(p.memory_info().rss for p in [process, *process.children(recursive=True)]))
    except psutil.NoSuchProcess:
        return 0


def _job(tool: Any, given: ToolInput, runtime: ToolRuntime) -> dict[str, Any]:
    """Return all that the worker needs, as plain JSON."""
    from agent.plugins.worker import FRAMES, VIDEO

    return {
        "name": tool.name,
        "file": getattr(tool, SOURCE, ""),
        "options": tool.options.model_dump(mode="json"),
        "runtime": {
            "device": runtime.device,
            "offline": runtime.offline,
            "models": str(runtime.models),
        },
        "video": VIDEO.dump_python(given.video, mode="json"),
        "frames": FRAMES.dump_python(given.frames, mode="json"),
        "phrases": list(given.phrases),
        "question": given.question,
        "evidence": {k: [one.to_json() for one in v] for k, v in given.evidence.items()},
    }
