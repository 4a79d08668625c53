"""`reelgraph probe`: the tracks of a file, which of them are taken, and why."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from agent.cli.options import AsJson, AudioTrack, Language, SubtitleTrack, print_json, say

if TYPE_CHECKING:
    from tools.media.video import Video


def add_commands(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(probe)


def probe(
    video: Annotated[Path, typer.Argument(help="A video or sound file.", show_default=False)],
    audio_track: AudioTrack = None,
    subtitle_track: SubtitleTrack = None,
    language: Language = "",
    as_json: AsJson = False,
) -> None:
    """List the tracks of a file and the subtitles beside it: what is taken, and why."""
    from tools.media import video as reading
    from tools.media.tracks import Wish

    probed = reading.with_sound(reading.probe(video), Wish(audio_track, language))
    taken = _taken(probed, subtitle_track, language)
    if as_json:
        about = asdict(probed) | {"path": str(probed.path), "fps": str(probed.fps)}
        print_json(about | {"taken": taken})
    else:
        _print(probed, taken)


def _taken(video: "Video", subtitle_track: int | None, language: str) -> dict[str, Any]:
    """Return the track or file taken of each kind, and why."""
    from tools.media.tracks import Wish, choose
    from tools.speech.sources import beside
    from tools.speech.subtitles import Subtitles, SubtitlesOptions

    picture = choose(video.tracks, "picture")
    sound = choose(video.tracks, "sound", Wish(video.sound))
    options = SubtitlesOptions(track=subtitle_track, language=language)
    sources = Subtitles(options).sources(video)
    taken: dict[str, Any] = {
        "subtitles": [source.name for source in sources],
        "not_used": [path.name for path in beside(video).unclear],
    }
    if picture and video.has_picture:
        taken["picture"] = {"index": picture.track.index, "why": picture.why}
    if sound:
        why = video.sound_why.partition(": ")[2] or sound.why
        taken["sound"] = {"index": sound.track.index, "why": why}
    return taken


def _print(video: "Video", taken: dict[str, Any]) -> None:
    from rich.console import Console

    from agent.text import clock

    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False)
    for name in ("track", "kind", "codec", "form", "language", "about", "taken"):
        table.add_column(name)
    whys = {one["index"]: one["why"] for one in taken.values() if isinstance(one, dict)}
    names = taken["subtitles"]
    for track in video.tracks:
        about = [*track.flags, *([repr(track.title)] if track.title else [])]
        about += ["silent"] if track.silent else []
        why = f"yes: {whys[track.index]}" if track.index in whys else ""
        if f"track {track.index}" in names:
            place = names.index(f"track {track.index}") + 1
            why = "first choice" if place == 1 else f"choice {place}"
        row = (str(track.index), track.kind, track.codec or "unknown", track.form, track.language)
        table.add_row(*row, escape(", ".join(about)), escape(why))
    console.print(f"{escape(video.path.name)}, {clock(video.duration_s)}")
    console.print(table)
    for place, name in enumerate(names, start=1):
        if not name.startswith("track "):
            console.print(f"beside it: {escape(name)}, choice {place} of subtitles")
    for name in taken["not_used"]:
        console.print(f"beside it: {escape(name)}, not used: its name says more than a language")
    for note in video.notes:
        say(escape(note))
