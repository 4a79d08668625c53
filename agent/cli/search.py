"""The commands over many videos: `reelgraph search|watch`, and `reelgraph ask FOLDER`."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from agent.cli.options import AsJson, Pairs, Plugins, Profile, open_session, print_json, say
from tools.errors import InputError, ReelgraphError, StoppedError

if TYPE_CHECKING:
    from agent.answer import Answer
    from agent.search.search import Found
    from agent.search.watch import Seen
    from agent.session import Event, Session

NOTHING_FOUND = 3  # exit code
MOST_NAMED = 5  # files that are not in the library


def add_commands(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(search)
    app.command()(watch)


def search(
    places: Annotated[
        list[str],
        typer.Argument(
            metavar="[FOLDER|FILE]... QUERY",
            help="What to look for; before it where, by default in the whole library.",
            show_default=False,
        ),
    ],
    top: Annotated[int, typer.Option("--top", help="Moments, at most.")] = 10,
    per_video: Annotated[
        int, typer.Option("--per-video", help="Moments of one video, at most; 0 for no limit.")
    ] = 3,
    kind: Annotated[
        str, typer.Option("--kind", help="Only these kinds, as in speech,text; empty for all.")
    ] = "",
    index: Annotated[
        bool, typer.Option("--index", help="First look at the videos that are not known.")
    ] = False,
    profile: Profile = None,
    pairs: Pairs = None,
    as_json: AsJson = False,
) -> None:
    """Find moments in many videos: what was said, shown or seen, with times and thumbnails.

    Videos that the library does not know are named, not looked at: that may take hours, and a
    search is over in a moment. `--index` looks at them first.
    """
    session = open_session(profile, pairs)
    from agent.search.search import VideoSearch

    *where, query = places
    videos, unknown = _videos(session, [Path(place) for place in where], index)
    kinds = [part.strip() for part in kind.split(",") if part.strip()]
    found = VideoSearch(session.context).search(query, videos, kinds, top, per_video)
    if as_json:
        print_json({**found.to_json(), "unknown": [str(file) for file in unknown]})
    else:
        print_found(found)
    _say_unknown(unknown)
    raise typer.Exit(0 if found.moments else NOTHING_FOUND)


def _videos(
    session: "Session", where: Sequence[Path], index: bool
) -> tuple[list[str] | None, tuple[Path, ...]]:
    """Return the hashes of the videos to search, None for all, and the files not in the library."""
    if not where:
        return None, ()
    from agent.search.videos import recognise
    from tools.media.folders import find_videos

    files = find_videos(where)
    found = recognise(files, session.library)
    if index and found.unknown:
        _index(session, found.unknown)
        found = recognise(files, session.library)
    return list(found.known.values()), found.unknown


def _index(session: "Session", files: Sequence[Path]) -> None:
    """Look at some files; one that is broken is told of."""
    from agent.cli import report

    for number, file in enumerate(files, start=1):
        say(f"[bold]{escape(file.name)}[/] [dim]{number} of {len(files)}[/]")
        try:
            report.watch(partial(session.stream_index, file))
        except StoppedError:
            raise
        except ReelgraphError as error:
            say(f"[bold red]skipped:[/] {escape(str(error))}")


def _say_unknown(files: Sequence[Path]) -> None:
    if not files:
        return
    named = ", ".join(escape(file.name) for file in files[:MOST_NAMED])
    more = f" and {len(files) - MOST_NAMED} more" if len(files) > MOST_NAMED else ""
    say(
        f"[yellow]not in the library, so not searched:[/] {named}{more}; "
        "--index looks at them first"
    )


def print_found(found: "Found") -> None:
    """Print moments with video, time, kind, score, text and thumbnail."""
    from agent.text import clock

    console = Console(highlight=False, soft_wrap=True)
    for moment in found.moments:
        item = moment.evidence
        alike = f" [dim]and {moment.merged - 1} alike[/]" if moment.merged > 1 else ""
        console.print(
            f"[bold]{escape(item.video)}[/] {clock(item.start_s)}-{clock(item.end_s)} "
            f"[dim]{item.kind} {item.score:.2f}[/] {escape(' '.join(item.text.split()))}{alike}"
        )
        if moment.thumbnail:
            console.print(f"  [dim]{escape(str(moment.thumbnail))}[/]")
    if not found.moments:
        console.print("[bold yellow]Nothing found.[/]")
    note = f"; {escape(found.note)}" if found.note else ""
    console.print(f"[dim]{found.videos} videos, {found.seconds:.2f} s{note}[/]")


def ask_folder(
    session: "Session", folder: Path, question: str, options: Sequence[str], as_json: bool
) -> "Answer":
    """Answer a question from all videos of a folder, print the answer and return it."""
    from agent.cli import report
    from agent.search.asking import VideosQuestions
    from tools.media.folders import find_videos

    files = find_videos([folder])
    asking = VideosQuestions(session)
    answer = report.watch(lambda control: asking.stream(files, question, options, control))
    if as_json:
        print_json(answer.to_json())
        return answer
    report.print_answer(answer)
    skipped = [video for video in answer.videos if video.skipped]
    told = f"{len(answer.videos) - len(skipped)} videos were searched"
    Console(highlight=False).print(f"[dim]{told}[/]")
    for video in skipped:
        say(f"[yellow]skipped:[/] {escape(video.name)}: {escape(video.skipped)}")
    return answer


def refuse(folder: Path, **given: Any) -> None:
    """Reject what only makes sense for one video. `InputError` names it."""
    wrong = [f"--{name.replace('_', '-')}" for name, value in given.items() if value]
    if wrong:
        raise InputError(
            f"{folder} is a folder, and {' and '.join(wrong)} {'is' if len(wrong) == 1 else 'are'} "
            f"for one video; name a file, or leave {'it' if len(wrong) == 1 else 'them'} out"
        )


def watch(
    folder: Annotated[Path, typer.Argument(help="The folder.", show_default=False)],
    once: Annotated[bool, typer.Option("--once", help="Look at what is there, and end.")] = False,
    settle: Annotated[
        float,
        typer.Option("--settle", min=0.1, help="Seconds without a change: the file is whole."),
    ] = 3.0,
    profile: Profile = None,
    pairs: Pairs = None,
    plugins: Plugins = None,
) -> None:
    """Look at the videos of a folder, and at new ones as they come, until Ctrl-C."""
    session = open_session(profile, pairs, plugins=plugins)
    from agent.cli import report
    from agent.search.watch import watch_folder
    from agent.session import Event

    if not once:
        say(f"watching {escape(str(folder))}; Ctrl-C ends it, and what was finished is kept")
    broken: list[Path] = []

    def events(control: Any) -> Iterator["Event"]:
        for seen in watch_folder(session, folder, control, settle_s=settle, once=once):
            if isinstance(seen, Event):
                yield seen
                continue
            say_seen(seen, folder)
            if seen.what == "broken":
                broken.append(seen.file)

    report.watch(events)
    raise typer.Exit(1 if broken else 0)


WORDS = {
    "comes": "comes in, waiting until it is whole",
    "known": "is known already",
    "begins": "is looked at",
    "done": "[green]is in the library[/]",
    "broken": "[bold red]cannot be used[/], tried again once it changes",
    "gone": "is no longer there; what is known of it stays",
}


def say_seen(seen: "Seen", folder: Path) -> None:
    """Say what a watch does with a file."""
    inside = seen.file.is_relative_to(folder)
    name = seen.file.relative_to(folder) if inside else seen.file
    why = f": {escape(seen.why)}" if seen.why else ""
    say(f"[bold]{escape(str(name))}[/] {WORDS[seen.what]}{why}")
