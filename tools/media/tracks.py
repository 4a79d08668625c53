"""The tracks of a file, and the choice among those of one kind: what a viewer wants.

A choice compares the tracks by one criterion after the other and says which one decided it.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from av.container import InputContainer
from av.stream import Disposition, Stream

from tools.errors import InputError
from tools.media.languages import same_language

Kind = Literal["picture", "sound", "subtitle"]
KINDS: dict[str, Kind] = {"video": "picture", "audio": "sound", "subtitle": "subtitle"}

# Many files say in a track's title what its disposition leaves out.
COMMENTARY = re.compile(r"\b(comment(ary|aries|aire)|kommentar|comentario|commento)", re.IGNORECASE)
DESCRIPTION = re.compile(
    r"\b(audio[- ]?descri|descriptive|hörfilm|visual(ly)? impaired)", re.IGNORECASE
)
FORCED = re.compile(r"\b(forced|signs?|songs?|foreign (parts?|only)|forciert|forcés?)\b", re.I)

STILL = frozenset({"attached_pic", "timed_thumbnails", "still_image"})
BESIDE = frozenset({"comment", "dependent", "metadata", "lyrics", "karaoke"})
DESCRIBED = frozenset({"visual_impaired", "descriptions", "clean_effects"})
WEBVTT = b"\x86\x8dS_TEXT/WEBVTT"  # the element CodecID, its length, its value
HEAD = 2**20  # bytes in which a Matroska file names its tracks
FULL_LENGTH = 0.5  # share of the longest track of its kind: a shorter one is a preview or an extra


@dataclass(frozen=True, slots=True)
class Track:
    """One track of a file.

    Attributes:
        index: Stream index, from 0 over all tracks, as FFmpeg counts.
        kind: What it holds.
        codec: Codec name, "" if unknown; then it cannot be read.
        language: As tagged in the file; "" if untagged.
        flags: Names of its dispositions: default, forced, comment, attached_pic, ...
        title: As tagged in the file.
        form: "1280x720", "2 channels", "text", "pictures".
        length_s: Declared length in seconds; 0 if it is not declared.
        silent: Whether no sound in it exceeds -60 dB; None if it was not measured.
    """

    index: int
    kind: Kind
    codec: str
    language: str = ""
    flags: tuple[str, ...] = ()
    title: str = ""
    form: str = ""
    length_s: float = 0.0
    silent: bool | None = None

    @property
    def forced(self) -> bool:
        """Whether it holds only foreign-language passages, signs or songs."""
        return "forced" in self.flags or bool(FORCED.search(self.title))

    @property
    def commentary(self) -> bool:
        """Whether it is talk about the film instead of the film."""
        return bool(BESIDE & set(self.flags)) or bool(COMMENTARY.search(self.title))

    @property
    def described(self) -> bool:
        """Whether a voice describes the picture."""
        return bool(DESCRIBED & set(self.flags)) or bool(DESCRIPTION.search(self.title))

    @property
    def still(self) -> bool:
        """Whether it is a cover or a preview."""
        return bool(STILL & set(self.flags))

    @property
    def area(self) -> int:
        """Pixels of a picture track; 0 otherwise."""
        width, _, height = self.form.partition("x")
        return int(width) * int(height) if width.isdigit() and height.isdigit() else 0

    def __str__(self) -> str:
        return f"track {self.index}" + (f" ({self.language})" if self.language else "")


@dataclass(frozen=True, slots=True)
class Wish:
    """What the user wants: a track by its index, a language; None and "" leave it open."""

    index: int | None = None
    language: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """The track that was chosen, and why.

    The reasons are the first criteria by which it beats the default or first track, and the next
    best one.
    """

    track: Track
    why: str


Criterion = tuple[str, Callable[[Track], Any]]  # higher is better


def list_tracks(container: InputContainer) -> tuple[Track, ...]:
    """Return the picture, sound and subtitle tracks of an open file."""
    tracks = [_track(one) for one in container.streams if one.type in KINDS]
    if any(one.kind == "subtitle" and not one.codec for one in tracks) and _has_webvtt(container):
        tracks = [
            replace(one, codec="webvtt", form="text")
            if one.kind == "subtitle" and not one.codec
            else one
            for one in tracks
        ]
    return tuple(tracks)


def _has_webvtt(container: InputContainer) -> bool:
    """Whether a Matroska file has WebVTT under the name that FFmpeg does not know.

    FFmpeg writes D_WEBVTT/SUBTITLES; the standard, and so mkvmerge, have S_TEXT/WEBVTT.
    """
    with open(container.name, "rb") as file:  # noqa: PTH123 - FFmpeg's name is a text
        return WEBVTT in file.read(HEAD)


def choose(tracks: Sequence[Track], kind: Kind, wish: Wish | None = None) -> Choice | None:
    """Return the best track of a kind; None if there is none that can be read.

    Raises:
        InputError: A track is wished for that is not there.
    """
    wish = wish or Wish()
    fit = [one for one in tracks if one.kind == kind and one.codec]
    if kind == "picture":
        fit = [one for one in fit if "attached_pic" not in one.flags]
    _require(wish, fit, kind)
    if not fit:
        return None
    criteria = _criteria(kind, wish, fit)
    ranked = sorted(fit, key=lambda one: [-int(rate(one)) for _, rate in criteria])
    best = ranked[0]
    if len(ranked) == 1:
        return Choice(best, f"the only {kind} track")
    usual = next((one for one in fit if "default" in one.flags), fit[0])
    rivals = (one for one in (usual, ranked[1]) if one is not best)
    reasons = dict.fromkeys(filter(None, (_reason(criteria, best, one) for one in rivals)))
    return Choice(best, " and ".join(reasons) or f"the first of {len(ranked)} alike")


def _reason(criteria: Sequence[Criterion], best: Track, other: Track) -> str:
    """Return the first criterion that one track meets better than another, "" if none does."""
    return next((why for why, rate in criteria if int(rate(best)) != int(rate(other))), "")


def _criteria(kind: Kind, wish: Wish, tracks: Sequence[Track]) -> list[Criterion]:
    longest_s = max(one.length_s for one in tracks)
    asked: Criterion = ("asked for", lambda one: one.index == wish.index)
    whole: Criterion = (
        "others are far shorter",
        lambda one: not one.length_s or one.length_s >= FULL_LENGTH * longest_s,
    )
    default: Criterion = ("marked as default", lambda one: "default" in one.flags)
    main: Criterion = ("others are commentary", lambda one: not one.commentary)
    tongue: Criterion = (
        f"in the language asked for, {wish.language}",
        lambda one: bool(wish.language) and same_language(one.language, wish.language),
    )
    if kind == "picture":
        moving: Criterion = ("others are covers or previews", lambda one: not one.still)
        return [moving, main, whole, default, ("the largest", lambda one: one.area)]
    if kind == "subtitle":
        full: Criterion = ("others have foreign passages only", lambda one: not one.forced)
        return [asked, main, tongue, full, default]
    heard: Criterion = ("others are silent", lambda one: not one.silent)
    plain: Criterion = ("others describe the picture", lambda one: not one.described)
    return [asked, heard, main, tongue, plain, whole, default]


def _require(wish: Wish, tracks: Sequence[Track], kind: Kind) -> None:
    if wish.index is None or any(one.index == wish.index for one in tracks):
        return
    there = ", ".join(map(str, tracks)) or "none"
    raise InputError(
        f"track {wish.index} is no {kind} track that can be read; there are: {there}; "
        "`reelgraph probe` lists them"
    )


def _track(stream: Stream) -> Track:
    codec = stream.codec_context
    language = stream.language
    length = (stream.duration or 0) * (stream.time_base or 0)
    return Track(
        index=stream.index,
        kind=KINDS[stream.type],
        codec=codec.codec.name if codec is not None else "",
        language="" if language in {None, "und"} else str(language),
        flags=tuple(str(one.name) for one in Disposition if stream.disposition & one),
        title=stream.metadata.get("title", ""),
        form=_form(stream),
        length_s=round(float(length), 3) or _tagged_length_s(stream.metadata.get("DURATION", "")),
    )


def _form(stream: Stream) -> str:
    codec: Any = stream.codec_context
    if codec is None:
        return ""
    if stream.type == "video":
        return f"{codec.width}x{codec.height}"
    if stream.type == "audio":
        return f"{codec.channels} channel{'s' if codec.channels > 1 else ''}"
    return "text" if codec.codec.text_sub else "pictures"


def _tagged_length_s(text: str) -> float:
    """Return the seconds of "00:01:02.500000000", which Matroska's writers leave as a tag."""
    try:
        hours, minutes, seconds = (float(part) for part in text.split(":"))
    except ValueError:
        return 0.0
    return round(3600 * hours + 60 * minutes + seconds, 3)
