"""Ask one question by several methods: one library, looked at once, each with its cost."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter

from langgraph.runtime import RunControl

from agent.comparison.rows import Comparison, MethodRow
from agent.methods import BASELINES
from agent.session import Event, Session, make_question
from tools.errors import InputError, ReelgraphError, StoppedError
from tools.evidence import ChannelReport

DEFAULT = ("auto", *BASELINES)


def read_methods(text: str) -> tuple[str, ...]:
    """Return the names in a text with commas; `auto` and the baselines for an empty one."""
    return tuple(name.strip() for name in text.split(",") if name.strip()) or DEFAULT


def compare(
    session: Session,
    video: Path | str,
    question: str,
    methods: Sequence[str],
    options: Sequence[str] = (),
    control: RunControl | None = None,
) -> Iterator[Event]:
    """Yield the events of each method's run, and the comparison at the end.

    The video is looked at before the first method, so that none is charged with it. Every method
    has its own plan; where these name the same frames and prompts, they are the same.

    Args:
        session: Its library and models are shared by all.
        video: A video or audio file.
        question: At most 4,000 characters.
        methods: Names, each once.
        options: Two or more for a multiple-choice question.
        control: Its `request_drain` stops the run between pieces of work.

    Yields:
        Events as of `Session.stream` but "answer"; "method" with the name of each before its run;
        "comparison" with a `Comparison`.

    Raises:
        InputError: The file, the question or a name cannot be used.
        StoppedError: `control` was asked to stop; finished work is stored.
    """
    asked = make_question(question, options)
    if not methods or len(set(methods)) < len(methods):
        raise InputError(f"name each method once, got {', '.join(methods) or 'none'}")
    sessions = {method: session.with_method(method) for method in methods}
    session.probe(video)
    planned = [_planned(one, method, video, question, options) for method, one in sessions.items()]
    looked, seconds = yield from _look(session, video, planned, control)
    rows, told = [], {report.tool for report in looked}
    for row in planned:
        yield Event("method", row.method)
        if not row.error:
            events = _ask(sessions[row.method], row, video, question, options, control)
            row = yield from _once(events, told)
        rows.append(row)
    yield Event("comparison", Comparison(asked.text, tuple(rows), tuple(looked), seconds))


def _planned(
    session: Session, method: str, video: Path | str, question: str, options: Sequence[str]
) -> MethodRow:
    """Return a method with its plan, or with the reason why it cannot run."""
    try:
        return MethodRow(method, session.plan(video, question, options))
    except ReelgraphError as error:
        return MethodRow(method, error=_one_line(error))


def _look(
    session: Session, video: Path | str, planned: Sequence[MethodRow], control: RunControl | None
) -> Generator[Event, None, tuple[list[ChannelReport], float]]:
    """Run the tools of the profile, where a method uses them all; return reports and seconds."""
    start, reports = perf_counter(), list[ChannelReport]()
    uses = [{one.tool for one in row.plan.tools} for row in planned if row.plan]
    if not any(tools >= set(session.settings.ingest) for tools in uses):
        return reports, 0.0
    for event in session.stream_index(video, control):
        if event.kind == "channel":
            reports.append(event.data)
        yield event
    return reports, perf_counter() - start


def _ask(
    session: Session,
    row: MethodRow,
    video: Path | str,
    question: str,
    options: Sequence[str],
    control: RunControl | None,
) -> Generator[Event, None, MethodRow]:
    """Run one method; return its row. Its failure is told there and stops no other method."""
    try:
        for event in session.stream(video, question, options, control):
            if event.kind == "answer":
                row = replace(row, answer=event.data)
            else:
                yield event
    except StoppedError:
        raise
    except ReelgraphError as error:
        return replace(row, error=_one_line(error))
    return row


def _once(
    events: Generator[Event, None, MethodRow], told: set[str]
) -> Generator[Event, None, MethodRow]:
    """Yield events without the reports of tools that were reported before; return the row."""
    while True:
        try:
            event = next(events)
        except StopIteration as end:
            row: MethodRow = end.value
            return row
        if event.kind == "channel":
            if event.data.tool in told:
                continue
            told.add(event.data.tool)
        yield event


def _one_line(error: ReelgraphError) -> str:
    return " ".join(str(error).split())
