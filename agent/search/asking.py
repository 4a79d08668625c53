"""Ask several videos one question: look at the new ones, then search all and read the best."""

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter

from langgraph.runtime import RunControl

from agent.answer import Answer, SearchedVideo, Usage
from agent.ingest.known import known_findings
from agent.records import Question
from agent.search.graph import build_ask_videos
from agent.search.nodes import VideosState
from agent.search.search import VideoSearch
from agent.search.videos import names
from agent.session import Event, Session, make_question
from agent.state import Findings
from tools.errors import DeletedError, InputError, ReelgraphError, StoppedError, StorageError
from tools.evidence import ChannelReport
from tools.media.video import Video

FATAL = (StoppedError, StorageError)  # end the run; other errors skip one video
MOST_NAMED = 3  # videos in a tool's report


@dataclass
class _Looked:
    """What is known of the videos of a question."""

    found: dict[str, Findings] = field(default_factory=dict)  # by the video's hash
    paths: dict[str, Path] = field(default_factory=dict)
    skipped: list[SearchedVideo] = field(default_factory=list)

    def searched(self) -> tuple[SearchedVideo, ...]:
        """Return all videos, with distinct names for those that are searched."""
        named = names(self.paths)
        used = [SearchedVideo(named[sha], str(path), sha) for sha, path in self.paths.items()]
        return (*used, *self.skipped)


class VideosQuestions:
    """Answers questions from several videos, with a session's settings, library and models.

    Example:
        >>> asking = VideosQuestions(Session())
        >>> answer = asking.ask(["monday.mp4", "tuesday.mp4"], "When is the exam?")
        >>> [(e.video, e.start_s, e.text) for e in answer.evidence]
    """

    def __init__(self, session: Session, search: VideoSearch | None = None) -> None:
        """Take a session, and a search that is kept for its index."""
        self.session = session
        self.search = search or VideoSearch(session.context)

    def ask(
        self, files: Iterable[Path | str], question: str, options: Sequence[str] = ()
    ) -> Answer:
        """Answer a question from several videos; see `stream` for arguments and errors."""
        (answer,) = [e.data for e in self.stream(files, question, options) if e.kind == "answer"]
        assert isinstance(answer, Answer)
        return answer

    def stream(
        self,
        files: Iterable[Path | str],
        question: str,
        options: Sequence[str] = (),
        control: RunControl | None = None,
    ) -> Iterator[Event]:
        """Yield events while new videos are looked at and the question is answered.

        A file that cannot be looked at is skipped: an event says so, and the answer's `videos`.

        Args:
            files: Video or sound files; several with the same content are one video.
            question: At most 4,000 characters.
            options: Two or more for a multiple-choice question.
            control: Its `request_drain` stops the run between pieces of work.

        Raises:
            InputError: The question or the options cannot be used, or none of the files.
            MissingError: A model's weights are missing.
            StorageError: The library cannot be written.
            StoppedError: `control` was asked to stop; finished work is stored.
        """
        start, asked = perf_counter(), make_question(question, options)
        looked = yield from self._look(map(Path, files), control)
        seconds = perf_counter() - start
        for event in self._answer(looked, asked, seconds, control):
            if event.kind == "answer":
                event = Event("answer", replace(event.data, seconds=perf_counter() - start))
            yield event

    def _answer(
        self, looked: _Looked, question: Question, seconds: float, control: RunControl | None
    ) -> Iterator[Event]:
        runs = {sha: tuple(f.get("runs", {}).values()) for sha, f in looked.found.items()}
        state: VideosState = {
            "question": question,
            "searched": looked.searched(),
            "runs_by_video": runs,
            "channels": together(looked.found, {v.sha256: v.name for v in looked.searched()}),
            "usage": {"look at the videos": _cost(looked.found.values(), seconds)},
        }
        yield from self.session.run(build_ask_videos(self.search), state, control)

    def _look(
        self, files: Iterable[Path], control: RunControl | None
    ) -> Generator[Event, None, _Looked]:
        """Look at the files that are not known; yield what is new."""
        looked = _Looked()
        for file in files:
            if control and control.drain_requested:
                raise StoppedError
            try:
                video = self.session.probe(file)
                if video.sha256 not in looked.found:
                    found = yield from self._findings(video, control)
                    looked.found[video.sha256] = found
                    looked.paths[video.sha256] = video.path
            except ReelgraphError as error:
                if isinstance(error, FATAL) and not isinstance(error, DeletedError):
                    raise
                looked.skipped.append(SearchedVideo(file.name, str(file), skipped=str(error)))
                yield Event("skipped", looked.skipped[-1])
        if not looked.found:
            first = looked.skipped[0].skipped if looked.skipped else "none was named"
            raise InputError(f"no video can be searched: {first}")
        return looked

    def _findings(
        self, video: Video, control: RunControl | None
    ) -> Generator[Event, None, Findings]:
        if found := known_findings(video, self.session.context):
            return found
        yield Event("video", video.path)
        return (yield from self.session.stream_index(video.path, control))


def _cost(found: Iterable[Findings], seconds: float) -> Usage:
    """Return the cost of looking at videos, in wall time."""
    stages = [usage for one in found for usage in one.get("usage", {}).values()]
    return replace(sum(stages, Usage()), seconds=seconds)


def together(found: Mapping[str, Findings], named: Mapping[str, str]) -> dict[str, ChannelReport]:
    """Return one report a tool over all videos; its reason names those where it failed.

    Args:
        found: What was found, by the hash of the video.
        named: Names of the videos by hash.
    """
    reports: dict[str, dict[str, ChannelReport]] = {}
    for sha256, one in found.items():
        for tool, report in one.get("channels", {}).items():
            reports.setdefault(tool, {})[named[sha256]] = report
    return {tool: _joined(tool, of) for tool, of in reports.items()}


def _joined(tool: str, reports: Mapping[str, ChannelReport]) -> ChannelReport:
    states = {report.status for report in reports.values()}
    best = next(s for s in ("ok", "failed", "unavailable", "empty", "skipped") if s in states)
    bad = [
        f"{report.status} for {name}: {report.reason}"
        for name, report in reports.items()
        if report.status in ("failed", "unavailable")
    ]
    more = [f"and for {len(bad) - MOST_NAMED} more videos"] if len(bad) > MOST_NAMED else []
    return ChannelReport(
        tool,
        best,
        count=sum(report.count for report in reports.values()),
        seconds=round(sum(report.seconds for report in reports.values()), 3),
        reason="; ".join([*bad[:MOST_NAMED], *more]),
        cached=all(report.cached or report.status == "skipped" for report in reports.values()),
    )
