"""Output of the command line: live progress, answers, tools and the library."""

import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

from langgraph.runtime import RunControl
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from agent.answer import Answer, how_sure
from agent.cli.console import plain_table
from agent.detection.detection import Detection
from agent.library.chats import ChatEntry
from agent.library.rows import LibraryEntry, Run
from agent.records import Understood
from agent.session import Event
from agent.settings import Settings
from agent.text import clock
from tools.evidence import ChannelReport, Evidence
from tools.model_files.ready import ready
from tools.registry import broken_tools, make_tool, tool_classes

COLOURS = {"ok": "green", "empty": "yellow", "skipped": "dim", "unavailable": "red"}


def watch(start: Callable[[RunControl], Iterator[Event]]) -> Answer:
    """Run a graph with progress on standard error; Ctrl-C stops it between pieces of work.

    Returns:
        The answer; an empty one when the graph only indexes.
    """
    return cast("Answer", watch_for("answer", start) or Answer(answer=""))


def watch_detection(start: Callable[[RunControl], Iterator[Event]]) -> Detection:
    """Judge a clip in the same way and return the detection."""
    return cast("Detection", watch_for("detection", start))


def watch_for(kind: str, start: Callable[[RunControl], Iterator[Event]]) -> Any:
    """Show the events of a run and return the data of the last one of a kind; None without it."""
    control, found = RunControl(), None
    with _stop_on_interrupt(control), _display(Console(stderr=True)) as show:
        for event in start(control):
            show(event)
            if event.kind == kind:
                found = event.data
    return found


def print_answer(answer: Answer) -> None:
    """Print an answer, its evidence with times, the channels and the costs."""
    console = Console(highlight=False)
    if answer.abstained:
        console.print(f"[bold yellow]No answer:[/] {escape(answer.reason)}")
    else:
        console.print(f"[bold green]{escape(answer.answer)}[/]", soft_wrap=True)
        notes = filter(None, (how_sure(answer.confidence, answer.measured_by), answer.reason))
        console.print(f"[dim]{escape('; '.join(notes))}[/]")
    title = "nearest evidence" if answer.abstained else "evidence"
    console.print(_evidence_table(title, answer.evidence))
    console.print("  ".join(_channel(channel) for channel in answer.channels))
    console.print(f"[dim]{costs(answer)}[/]")


def costs(answer: Answer) -> str:
    """Return the cost of an answer in one line."""
    total = sum(u.seconds for u in answer.usage.values())
    return (
        f"{answer.total('model_calls'):.0f} model calls, "
        f"{answer.total('input_tokens'):.0f} tokens read, "
        f"{answer.total('output_tokens'):.0f} written; {answer.total('decodes'):.0f} decodes, "
        f"{answer.total('tool_runs'):.0f} tool runs; {total:.1f} s of work, "
        f"{answer.total('model_seconds'):.1f} s of it the model"
    )


def print_methods() -> None:
    """Print every method with what it needs and its options."""
    from agent.methods import broken_methods, methods

    table = plain_table("method", "what it does", "the model must have", "options")
    for method in methods().values():
        options = ", ".join(
            f"{name}={field.get_default()}" for name, field in method.options.model_fields.items()
        )
        table.add_row(method.name, method.summary, ", ".join(sorted(method.needs)), escape(options))
    Console().print(table)
    _print_broken(broken_methods())


def print_tools(settings: Settings) -> None:
    """Print every tool with its options and whether it can run here."""
    table = plain_table("tool", "finds", "needs", "options", "status", header_style="bold")
    for name in tool_classes():
        tool = make_tool(name, settings.tools.get(name, {}))
        state = ready(tool, settings.models)
        options = ", ".join(f"{k}={v}" for k, v in tool.options.model_dump(mode="json").items())
        status = "[green]ready[/]" if state.ok else f"[red]{escape(state.reason)}[/]"
        if name not in settings.ingest:
            status += " [dim](not in this profile)[/]"
        table.add_row(name, tool.kind, ", ".join(sorted(tool.needs)), escape(options), status)
    Console().print(table)
    _print_broken(broken_tools())


def _print_broken(broken: Mapping[str, str]) -> None:
    """Print the plug-ins that cannot be loaded, and why."""
    for why in broken.values():
        Console().print(f"[red]broken[/] {escape(why)}", soft_wrap=True)


def print_entries(entries: Sequence[LibraryEntry]) -> None:
    """Print the videos of a library."""
    console = Console()
    if not entries:
        console.print("The library is empty; `reelgraph index VIDEO` adds a video.")
        return
    table = plain_table("hash", "file", "length", "evidence", "frames", "added")
    for entry in entries:
        count = sum(run.report.count for run in entry.runs)
        table.add_row(
            entry.video.sha256[:12],
            escape(entry.video.path.name),
            clock(entry.video.duration_s),
            str(count),
            f"{entry.frame_bytes / 1e6:.1f} MB",
            entry.added,
        )
    console.print(table)


def print_chats(entries: Sequence[ChatEntry]) -> None:
    """Print the chats of a library."""
    console = Console()
    if not entries:
        console.print("There is no chat; `reelgraph ask VIDEO QUESTION --chat NAME` begins one.")
        return
    table = plain_table("chat", "first question", "questions", "last answer")
    for entry in entries:
        table.add_row(escape(entry.name), escape(entry.title), str(entry.count), entry.when)
    console.print(table)


def print_entry(entry: LibraryEntry, evidence: Sequence[Evidence]) -> None:
    """Print one video of a library: a line for each tool, then all evidence in time order."""
    console = Console(highlight=False)
    video = entry.video
    console.print(f"[bold]{escape(video.path.name)}[/] {clock(video.duration_s)} {video.sha256}")
    for runs in entry.by_tool.values():
        console.print(_together(runs))
    console.print(_evidence_table("", evidence))


def _together(runs: Sequence[Run]) -> str:
    """Return one line for all runs of a tool."""
    count = sum(run.report.count for run in runs)
    seconds = sum(run.report.seconds for run in runs)
    report = ChannelReport(runs[0].tool, "ok" if count else "empty", count, seconds)
    several = f"{len(runs)} runs, the last " if len(runs) > 1 else ""
    return f"{_channel(report)} [dim]{several}{runs[-1].finished}[/]"


def _evidence_table(title: str, evidence: Iterable[Evidence]) -> Table:
    items = list(evidence)
    several = ["video"] if any(item.video for item in items) else []
    columns = (*several, "time", "tool", "score", "text")
    table = plain_table(*columns, title=title, title_justify="left")
    for item in items:
        span = f"{clock(item.start_s)}-{clock(item.end_s)}"
        named = [escape(item.video)] if several else []
        table.add_row(*named, span, item.tool, f"{item.score:.2f}", escape(item.text))
    return table


def _channel(channel: ChannelReport) -> str:
    colour = COLOURS.get(channel.status, "red")
    told = f" {channel.count}" if channel.status == "ok" else f" ({escape(channel.reason)})"
    cached = ", known" if channel.cached else f", {channel.seconds:.1f} s"
    return f"[{colour}]{channel.tool}: {channel.status}[/]{told if told != ' ()' else ''}" + (
        f"[dim]{cached}[/]" if channel.status in ("ok", "empty") else ""
    )


@contextmanager
def _display(console: Console) -> Iterator[Callable[[Event], None]]:
    """Yield a callback that shows events: progress bars on a terminal, plain lines elsewhere."""
    if not console.is_terminal:
        yield lambda event: _print_line(event)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        bars: dict[str, Any] = {}

        def show(event: Event) -> None:
            if event.kind == "progress" and "total_s" in event.data:
                stage, total = event.data["stage"], event.data["total_s"]
                if stage not in bars:
                    bars[stage] = progress.add_task(stage, total=total)
                progress.update(bars[stage], completed=event.data["done_s"])
            elif event.kind == "progress" and "waits" in event.data:
                progress.console.print(f"{event.data['stage']}: waits for another run")
            elif event.kind == "understood":
                progress.console.print(_understood(event.data), highlight=False)
            elif event.kind in ("video", "skipped", "method"):
                progress.console.print(_of_several(event), highlight=False)
            elif event.kind == "channel":
                progress.console.print(_channel(event.data), highlight=False)

        yield show


def _understood(understood: Understood) -> str:
    return f"understood as: {escape(understood.question)} [dim]({escape(understood.how)})[/]"


def _of_several(event: Event) -> str:
    """Say which method or video of several is at work, or that a video cannot be."""
    if event.kind == "method":
        return f"[bold]{escape(event.data)}[/]"
    if event.kind == "video":
        return f"[bold]{escape(event.data.name)}[/]"
    return f"[bold red]skipped:[/] {escape(event.data.skipped)}"


def _print_line(event: Event) -> None:
    if event.kind == "progress" and "waits" in event.data:
        sys.stderr.write(f"{event.data['stage']}: waits for another run\n")
    if event.kind in ("video", "skipped", "method"):
        sys.stderr.write(f"{Text.from_markup(_of_several(event))}\n")
    if event.kind == "understood":
        sys.stderr.write(f"understood as: {event.data.question} ({event.data.how})\n")
    if event.kind == "channel":
        channel = event.data
        reason = f" ({channel.reason})" if channel.reason else ""
        seconds = "known" if channel.cached else f"{channel.seconds:.1f} s"
        sys.stderr.write(f"{channel.tool}: {channel.status}, {channel.count}, {seconds}{reason}\n")
        sys.stderr.flush()


@contextmanager
def _stop_on_interrupt(control: RunControl) -> Iterator[None]:
    """Let the first Ctrl-C stop the run gracefully; a second one ends the program."""

    def stop(*_: object) -> None:
        control.request_drain("stop")
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
