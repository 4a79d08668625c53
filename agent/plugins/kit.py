"""The contract kit: run a tool on generated clips and tell whether it keeps the contract.

    reelgraph tools check NAME|FILE

In the tests of a plug-in: `test_contract = as_pytest("codes")`.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import pairwise
from math import isfinite
from pathlib import Path
from threading import Thread
from time import monotonic
from typing import Any, Literal

import psutil

from agent.ingest.tool_node import checked
from agent.plugins.clips import KINDS, Kind, make_clip
from agent.plugins.isolate import isolated
from agent.plugins.load import load_settings
from agent.settings import Settings
from tools.base import PER_QUESTION, Tool, ToolInput, ToolRuntime
from tools.errors import InputError, MissingError, ReelgraphError, StoppedError
from tools.evidence import Evidence
from tools.media.audio import read_audio
from tools.media.frames import FrameSet, sample_frames
from tools.media.readers import open_video
from tools.media.video import Video, probe
from tools.model_files.ready import ready
from tools.registry import make_tool

STOP_S = 5.0  # that a tool may go on after Stop
REPEATS, GROWTH = 3, 64e6  # runs, and bytes that they may add to the process
STEP_S = 0.2  # between two sampled pictures
QUESTION = "What is the gate code?"


class _Broken(Exception):
    """The tool breaks the contract; the text says how."""


class _NotRun(Exception):
    """A check does not apply; the text says why."""


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of one check."""

    check: str
    status: Literal["passed", "failed", "skipped"]
    detail: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the record as a plain dictionary."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class FirstRun:
    """What a tool found, and how many seconds it took."""

    found: Sequence[Evidence]
    seconds: float


class Bench:
    """A tool, its options, and the clips that it is run on."""

    def __init__(
        self,
        name: str,
        settings: Settings | None = None,
        options: Mapping[str, Any] | None = None,
        deadline_s: float = 60.0,
        clip: Path | None = None,
    ) -> None:
        """Prepare nothing yet.

        Args:
            name: Name of a tool that is installed or loaded.
            settings: Where weights lie, and the device.
            options: Options of the tool; those of the settings by default.
            deadline_s: Seconds that one run on a short clip may take.
            clip: A short video in which the tool finds something, in place of the plain clip.
        """
        self.name, self.deadline_s, self._clip = name, deadline_s, clip
        self.settings = settings or Settings()
        self.options = dict(self.settings.tools.get(name, {}) if options is None else options)
        self._temporary = tempfile.TemporaryDirectory(prefix="reelgraph-kit-")
        self._folder = Path(self._temporary.name)
        self._inputs: dict[Kind, ToolInput] = {}

    def check(self, name: str) -> Result:
        """Run one of `CHECKS`."""
        try:
            return Result(name, "passed", CHECKS[name](self) or "")
        except _NotRun as why:
            return Result(name, "skipped", str(why))
        except (_Broken, ReelgraphError) as error:
            return Result(name, "failed", " ".join(str(error).split()))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a tool raises
            return Result(name, "failed", f"{type(error).__name__}: {error}")

    @cached_property
    def tool(self) -> Tool:
        """The tool, loaded; a check that needs it is skipped where something is missing."""
        tool = make_tool(self.name, self.options)
        if not (state := ready(tool, self.settings.models.expanduser())).ok:
            raise _NotRun(f"unavailable: {state.reason}; {state.remedy}")
        tool = isolated(tool) if tool.options.isolation else tool
        device = "cpu" if self.settings.device == "auto" else self.settings.device
        tool.setup(ToolRuntime(device, self.settings.offline, self.settings.models.expanduser()))
        return tool

    def given(self, kind: Kind) -> ToolInput:
        """Return what a tool is given of a clip; it is made once."""
        if kind not in self._inputs:
            self._inputs[kind] = self._make(kind)
        return self._inputs[kind]

    @cached_property
    def first(self) -> "FirstRun":
        """The first run on the plain clip, which several checks look at."""
        given, start = self.given("plain"), monotonic()
        found = self.run(given)
        return FirstRun(found, monotonic() - start)

    def applies(self, kind: Kind) -> bool:
        """Whether the graph would run the tool on such a clip."""
        video = self.given(kind).video
        lacks_sound = "audio" in self.tool.needs and not video.has_audio
        return not lacks_sound and not ("frames" in self.tool.needs and not video.has_picture)

    def run(self, given: ToolInput, limit_s: float | None = None) -> list[Evidence]:
        """Run the tool to its end, or break off after the deadline."""
        found: list[Evidence] = []
        raised: list[BaseException] = []

        def work() -> None:
            try:
                found.extend(checked(one, self.tool, given.video) for one in self.tool.run(given))
            except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
                raised.append(error)

        limit = limit_s or self.deadline_s
        thread = Thread(target=work, daemon=True)
        thread.start()
        thread.join(limit)
        if thread.is_alive():
            raise _Broken(f"it still runs after {limit:g} s")
        if raised:
            raise raised[0]
        return found

    def _make(self, kind: Kind) -> ToolInput:
        own = self._clip if kind == "plain" else None
        tool, video = self.tool, probe(own or make_clip(kind, self._folder))
        if video.has_picture and "frames" in tool.needs:
            frames: FrameSet | None = sample_frames(
                open_video(video), self._folder / f"frames {kind}", video.duration_s, STEP_S
            )
        else:
            frames = None
        return ToolInput(
            video=video,
            frames=frames,
            audio=lambda: read_audio(video),
            phrases=("square",) if "phrases" in tool.needs else (),
            question=QUESTION if "question" in tool.needs else "",
            evidence={used: [_used(used, video)] for used in tool.uses},
            chat=_chat() if "vision" in tool.needs else None,
        )


def _used(name: str, video: Video) -> Evidence:
    return Evidence(name, name, 0.0, video.duration_s, "The gate code is 7391.")


def _chat() -> Any:
    """Return a chat model that describes every picture alike: the kit checks the tool alone."""
    from langchain_core.language_models.fake_chat_models import FakeListChatModel

    return FakeListChatModel(responses=["A red square on grey."])


def _describes(bench: Bench) -> str:
    tool = make_tool(bench.name, bench.options)
    if not (type(tool).__doc__ or "").strip():
        raise _Broken("it has no docstring, which people and the planner choose it by")
    if tool.needs & PER_QUESTION:
        return "runs once a question"
    return f"runs at ingest, finds {tool.kind}"


def _refuses_unknown_options(bench: Bench) -> None:
    try:
        make_tool(bench.name, {**bench.options, "no_such_option": 1})
    except InputError:
        return
    raise _Broken("it takes an option that it does not have")


def _available(bench: Bench) -> str:
    tool = make_tool(bench.name, bench.options)
    start = monotonic()
    state = ready(tool, bench.settings.models.expanduser())
    took_s = monotonic() - start
    if took_s > 1:
        raise _Broken(f"`available` takes {took_s:.1f} s, expected a cheap check")
    if not state.ok:
        if not (state.reason and state.remedy):
            raise _Broken("it is not available and does not say why and what helps")
        return f"not available here: {state.reason}; {state.remedy}"
    try:
        count = _count(bench.first.found)
    except (MissingError, ImportError) as error:
        raise _Broken(f"it says that it is available, and is not: {error}") from error
    return f"available: {count}"


def _spans(bench: Bench) -> str:
    found = bench.first.found  # `checked` refuses a span outside the video
    for one in found:
        if not (isfinite(one.score) and 0 <= one.score <= 1):
            raise _Broken(f"the score {one.score} of {one.text!r:.60} is not within 0 and 1")
        if not one.text.strip():
            raise _Broken(f"the finding at {one.start_s:.2f} s has no text")
    return _count(found)


def _count(found: Sequence[Evidence]) -> str:
    return f"{len(found)} findings" if len(found) != 1 else "1 finding"


def _in_time_order(bench: Bench) -> None:
    found = bench.first.found
    for one, following in pairwise(found):
        if following.start_s < one.start_s:
            raise _Broken(
                f"a finding at {following.start_s:.2f} s follows one at {one.start_s:.2f} s"
            )


def _deterministic(bench: Bench) -> None:
    first, second = bench.first.found, bench.run(bench.given("plain"))
    if first != second:
        differ = [pair for pair in zip(first, second, strict=False) if pair[0] != pair[1]]
        how = (
            f"{differ[0][0].text!r:.60} and {differ[0][1].text!r:.60}" if differ else "their count"
        )
        raise _Broken(f"two runs on one clip differ: {how}")


def _behaves(kind: Kind) -> Callable[[Bench], str]:
    def check(bench: Bench) -> str:
        if not bench.applies(kind):
            return "the graph skips it there"
        return _count(bench.run(bench.given(kind)))

    return check


def _stops(bench: Bench) -> str:
    """Stop before the start, then at the first sign of life: both must end the run soon."""
    asked = 0
    for after in (0, 1):
        signs: list[float] = []

        def stopped(signs: list[float] = signs, after: int = after) -> bool:
            nonlocal asked
            asked += 1
            return len(signs) >= after

        def progress(done_s: float, total_s: float, signs: list[float] = signs) -> None:
            signs.append(monotonic())

        given = replace(bench.given("plain"), stopped=stopped, progress=progress)
        start = monotonic()
        with suppress(StoppedError):
            bench.run(given, bench.deadline_s if after else STOP_S)
        if monotonic() - (signs[0] if signs else start) > STOP_S and (signs or not after):
            raise _Broken(f"it goes on for more than {STOP_S:g} s after Stop")
    return "" if asked else "it never asks, so Stop waits for its end"


def _progress_is_sane(bench: Bench) -> None:
    told: list[tuple[float, float]] = []
    given = bench.given("plain")
    bench.run(replace(given, progress=lambda done_s, total_s: told.append((done_s, total_s))))
    done = [done_s for done_s, _ in told]
    if any(later < earlier - 1e-6 for earlier, later in pairwise(done)):
        raise _Broken("its progress goes backwards")
    if any(done_s > total_s + 0.5 for done_s, total_s in told):
        raise _Broken("its progress exceeds the length of the video")


def _meets_the_deadline(bench: Bench) -> str:
    return f"{bench.first.seconds:.2f} s for {bench.given('plain').video.duration_s:.1f} s of video"


def _memory(bench: Bench) -> str:
    process = psutil.Process()
    bench.run(bench.given("plain"))  # caches fill
    before = process.memory_info().rss
    for _ in range(REPEATS):
        bench.run(bench.given("plain"))
    grown = process.memory_info().rss - before
    if grown > GROWTH:
        raise _Broken(f"{REPEATS} runs on a short clip took {grown / 1e6:.0f} MB more")
    return f"{max(0, grown) / 1e6:.0f} MB more after {REPEATS} runs"


CHECKS: Mapping[str, Callable[[Bench], str | None]] = {
    "describes itself": _describes,
    "rejects unknown options": _refuses_unknown_options,
    "tells whether it is available": _available,
    "spans lie inside the video": _spans,
    "findings are in time order": _in_time_order,
    "two runs find the same": _deterministic,
    **{f"runs on a clip: {kind}": _behaves(kind) for kind in KINDS[1:]},
    "ends after Stop": _stops,
    "progress goes forward": _progress_is_sane,
    "meets the deadline": _meets_the_deadline,
    "memory is bounded": _memory,
}


def check_tool(
    name: str,
    settings: Settings | None = None,
    deadline_s: float = 60.0,
    clip: Path | None = None,
) -> Iterator[Result]:
    """Yield the outcome of every check of a tool; for the arguments see `Bench`."""
    bench = Bench(name, settings, deadline_s=deadline_s, clip=clip)
    for check in CHECKS:
        yield bench.check(check)


def as_pytest(
    name: str, options: Mapping[str, Any] | None = None, clip: Path | None = None
) -> Callable[..., None]:
    """Return a test function with a case for each check."""
    import pytest

    bench: list[Bench] = []

    @pytest.mark.parametrize("check", CHECKS)
    def test(check: str) -> None:
        if not bench:
            bench.append(Bench(name, load_settings(), options, clip=clip))
        result = bench[0].check(check)
        if result.status == "skipped":
            pytest.skip(result.detail)
        assert result.status == "passed", result.detail

    return test
