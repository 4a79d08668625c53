"""What all commands share: common options, opening a session, printing."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from agent.cli.console import is_unicode

if TYPE_CHECKING:
    from agent.session import Session

Profile = Annotated[str | None, typer.Option("--profile", help="A shipped profile or a YAML file.")]
Pairs = Annotated[
    list[str] | None, typer.Option("--set", help="KEY=VALUE over the profile; may be repeated.")
]
Plugins = Annotated[
    list[str] | None,
    typer.Option("--plugin", help="A Python file, a folder, an installed tool; may be repeated."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
AudioTrack = Annotated[
    int | None,
    typer.Option("--audio-track", help="Index of the sound track, as `reelgraph probe` lists it."),
]
SubtitleTrack = Annotated[
    int | None, typer.Option("--subtitle-track", help="Index of the subtitle track, likewise.")
]
Language = Annotated[
    str,
    typer.Option("--language", help='Preferred language of sound and subtitles: "en", "English".'),
]


def of_tracks(audio: int | None, subtitle: int | None, language: str) -> dict[str, Any]:
    """Return the settings for `--audio-track`, `--subtitle-track` and `--language`."""
    wanted: dict[str, Any] = {}
    if audio is not None:
        wanted["tracks.audio"] = audio
    if subtitle is not None:
        wanted["subtitles.track"] = subtitle
    if language:
        wanted |= {"tracks.language": language, "subtitles.language": language}
    return wanted


def open_session(
    profile: str | None,
    pairs: list[str] | None,
    settings: dict[str, Any] | None = None,
    plugins: list[str] | None = None,
) -> "Session":
    """Open a session; imported lazily, for `--help` must not wait for LangGraph."""
    from agent.session import Session
    from agent.settings import parse_pairs

    named = {"plugins": plugins} if plugins else {}
    return Session(profile, {**parse_pairs(pairs or []), **(settings or {}), **named})


def print_json(value: Any) -> None:
    """Print a value as JSON on standard output."""
    typer.echo(json.dumps(value, ensure_ascii=not is_unicode(), indent=2, default=str))


def say(text: str) -> None:
    """Print a line of markup on standard error."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(text)
