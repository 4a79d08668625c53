"""Read the subtitles of a video: sidecar files, else embedded text tracks.

They are the cheapest and most exact transcript, so they take precedence over speech recognition.
The text of each cue becomes one piece of evidence. Forced subtitles (foreign-language passages
only) are used where there are no others, and marked in the evidence's data.
"""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from time import time_ns
from typing import Any, Literal, cast

import av
import langcodes
from av.subtitles.stream import SubtitleStream
from av.subtitles.subtitle import AssSubtitle
from langcodes.tag_parser import LanguageTagError

from tools.base import Need, Tool, ToolInput, ToolOptions
from tools.errors import InputError, StoppedError
from tools.evidence import Evidence
from tools.media.container import open_container, origin
from tools.media.video import SubtitleTrack, Video
from tools.speech.cues import Cue, CueSheet, parse_subtitles, plain_lines, tidy_cues

SUFFIXES = (".srt", ".vtt", ".ass", ".ssa")
MAX_BYTES = 32 * 2**20
"""Larger files are not subtitles: a day of them has under 5 MB."""

UNSAID_S = 4.0
"""Longest display of a cue for which the container gives no duration."""

SETTLED_NS = 2 * 10**9
"""Age from which a folder's modification time is trusted to reflect every change."""

_TAG = re.compile(r"[a-z]{2,3}(?:[-_][a-z0-9]{2,8})*", re.IGNORECASE)


class SubtitlesOptions(ToolOptions):
    """Options of the subtitles tool.

    Attributes:
        language: Preferred language ("en", "eng", "pt-BR"); "" takes whichever comes first.
        sidecar: Look for files beside the video.
        embedded: Look for text tracks inside the video.
        offset_s: Added to every time, for subtitles of another cut.
        file: Path of the only subtitle file to use.
    """

    language: str = ""
    sidecar: bool = True
    embedded: bool = True
    offset_s: float = 0.0
    file: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """A source of subtitles, and how to read it."""

    kind: Literal["sidecar", "embedded"]
    name: str
    language: str
    forced: bool
    read: Callable[[], CueSheet]


class Subtitles(Tool):
    """Cues of the first source that has any, the preferred language first."""

    name = "subtitles"
    kind = "speech"
    version = "3"
    Options = SubtitlesOptions
    options: SubtitlesOptions

    @property
    def needs(self) -> frozenset[Need]:
        """The file: sidecars are found by its name, tracks are inside it."""
        return frozenset({"file"})

    @property
    def reentrant(self) -> bool:
        """A run opens its own files; runs share no mutable state."""
        return True

    def reads(self, video: Video) -> Sequence[Path]:
        """Return the sidecar files, so that one added later changes the cache key."""
        if self.options.file:
            return [Path(self.options.file)]
        try:
            return find_sidecars(video) if self.options.sidecar else []
        except InputError:
            return []  # `run` reports what is wrong with the folder

    def run(self, given: ToolInput) -> Iterator[Evidence]:
        """Yield the cues of the first usable source.

        Raises:
            InputError: Subtitles are there, but none of them can be read.
            StoppedError: The user pressed Stop.
        """
        duration_s = given.video.duration_s
        passed_over: list[str] = []
        unreadable = False
        for source in self._sources(given):
            try:
                sheet = source.read()
            except InputError as error:
                passed_over.append(str(error))
                unreadable = True
                continue
            cues = tidy_cues(sheet.cues, duration_s, self.options.offset_s)
            if cues:
                given.progress(duration_s, duration_s)
                yield from self._evidence(cues, self._data(source, sheet, passed_over))
                return
            passed_over.append(f"{source.name} has no text within the video{_broken(sheet)}")
            unreadable |= sheet.broken > 0
        if unreadable:
            raise InputError(f"no usable subtitles: {'; '.join(passed_over)}; mend or remove them")

    def _evidence(self, cues: list[Cue], data: dict[str, Any]) -> Iterator[Evidence]:
        for cue in cues:
            yield Evidence(self.name, self.kind, cue.start_s, cue.end_s, cue.text, data=data)

    def _data(self, source: Source, sheet: CueSheet, passed_over: list[str]) -> dict[str, Any]:
        """Return the source of the cues and, under `note`, deviations from what was asked."""
        notes = list(passed_over)
        if self.options.language and not _same_language(source.language, self.options.language):
            notes.append(f"no subtitles marked as {self.options.language!r}")
        if sheet.encoding:
            notes.append(f"encoding guessed: {sheet.encoding}")
        if sheet.broken:
            notes.append(_broken(sheet).strip(" ,"))
        data = {"source": source.kind, "file": source.name, "language": source.language}
        forced = {"forced": True} if source.forced else {}
        return data | forced | ({"note": "; ".join(notes)} if notes else {})

    def _sources(self, given: ToolInput) -> list[Source]:
        """Return the candidate sources, best first."""
        if self.options.file:
            return [_sidecar(Path(self.options.file).expanduser(), given.video.path)]
        video = given.video
        sources: list[Source] = []
        if self.options.sidecar:
            sources += [_sidecar(path, video.path) for path in find_sidecars(video)]
        if self.options.embedded:
            sources += [_embedded(given, track) for track in video.subtitles]
        wanted = self.options.language
        return sorted(sources, key=lambda s: (_distance(s.language, wanted), s.forced))


def find_sidecars(video: Video) -> list[Path]:
    """Return the subtitle files that belong to a video: `name.srt`, then `name.en.srt`."""
    try:
        beside = _beside(video.path)
    except OSError as error:
        raise InputError(
            f"the folder of {video.path.name} cannot be listed: {error.strerror}; "
            "set the option sidecar to false, or name a subtitle file"
        ) from error
    # `talk.cut.srt` belongs to `talk.cut.mp4`, if there is one, and not to `talk.mp4`.
    taken = {path.stem for path in beside if path.suffix.lower() not in SUFFIXES}
    taken.discard(video.path.stem)
    found = [
        path
        for path in beside
        if path.suffix.lower() in SUFFIXES
        and path.stem not in taken
        and (path.stem == video.path.stem or _tag(path, video.path))
    ]
    return sorted(found, key=lambda path: (_rank(path, video.path), path.name))


def _beside(video: Path) -> Sequence[Path]:
    """Return the files whose names begin as the video's does.

    The listing is cached until the folder's modification time changes. Since that time is coarse, a
    folder that has just changed is listed again.
    """
    changed_ns = video.parent.stat().st_mtime_ns
    if time_ns() - changed_ns < SETTLED_NS:
        return _named_alike(video.parent, video.stem)
    return _settled(video.parent, video.stem, changed_ns)


@lru_cache(maxsize=256)
def _settled(folder: Path, stem: str, changed_ns: int) -> Sequence[Path]:
    return _named_alike(folder, stem)


def _named_alike(folder: Path, stem: str) -> Sequence[Path]:
    with os.scandir(folder) as entries:
        return [Path(e.path) for e in entries if e.name.startswith(f"{stem}.") and e.is_file()]


def _rank(path: Path, video: Path) -> tuple[bool, bool, int]:
    return _is_forced(path, video), path.stem != video.stem, SUFFIXES.index(path.suffix.lower())


def _is_forced(path: Path, video: Path) -> bool:
    """Whether a file is `name.en.forced.srt` or the like."""
    return "forced" in path.stem.removeprefix(video.stem).lower().split(".")


def _tag(path: Path, video: Path) -> str:
    """Return the language in `name.en.srt` or `name.en.sdh.srt`, or "" if there is none."""
    if not path.stem.startswith(f"{video.stem}."):
        return ""
    first = path.stem.removeprefix(f"{video.stem}.").split(".")[0]
    return first if _TAG.fullmatch(first) else ""


def _primary(language: str) -> str:
    """Return "en" for "eng" and "en_GB"; what is not a language is returned unchanged."""
    try:
        return langcodes.standardize_tag(language, macro=True).split("-")[0]
    except LanguageTagError:
        return language.lower()


def _broken(sheet: CueSheet) -> str:
    if not sheet.broken:
        return ""
    cues = "1 cue" if sheet.broken == 1 else f"{sheet.broken} cues"
    return f", {cues} left out for times that make no sense"


def _same_language(language: str, wanted: str) -> bool:
    return _primary(language) == _primary(wanted)


def _distance(language: str, wanted: str) -> int:
    """Return 0 for the wanted language (exact or another region's), 1 if unknown, 2 for others."""
    if not wanted or _same_language(language, wanted):
        return 0
    return 2 if language else 1


def _sidecar(path: Path, video: Path) -> Source:
    def read() -> CueSheet:
        try:
            size = path.stat().st_size
            raw = path.read_bytes() if size <= MAX_BYTES else b""
        except OSError as error:
            # Name only: messages and results do not reveal the user's folders.
            raise InputError(f"{path.name} cannot be read: {error.strerror}") from error
        if size > MAX_BYTES:
            raise InputError(f"{path.name} cannot be read: {size} bytes are no subtitles")
        sheet = parse_subtitles(raw)
        if raw.strip() and not sheet.cues and not sheet.broken:
            raise InputError(f"{path.name} cannot be read: it is neither SRT, WebVTT nor ASS")
        return sheet

    return Source("sidecar", path.name, _tag(path, video), _is_forced(path, video), read)


def _embedded(given: ToolInput, track: SubtitleTrack) -> Source:
    name = f"track {track.index}"

    def read() -> CueSheet:
        try:
            return _read_track(given, track.index)
        except (av.FFmpegError, OSError) as error:
            raise InputError(f"{name} cannot be read: {error.strerror}") from error

    return Source("embedded", name, track.language, track.forced, read)


def _read_track(given: ToolInput, index: int) -> CueSheet:
    cues: list[Cue] = []
    broken = 0
    with open_container(given.video.path) as container:
        start_s = float(origin(container))
        stream = cast("SubtitleStream", container.streams[index])
        for packet in container.demux(stream):
            if given.stopped():
                raise StoppedError
            if packet.pts is None or packet.time_base is None or not packet.size:
                continue
            begin_s = float(packet.pts * packet.time_base) - start_s
            end_s = begin_s + float((packet.duration or 0) * packet.time_base)
            given.progress(min(max(begin_s, 0), given.video.duration_s), given.video.duration_s)
            try:
                found = stream.decode(packet)
            except av.InvalidDataError:
                broken += 1
                continue
            text = "\\N".join(
                rect.dialogue.decode("utf-8", "replace")
                for rect in found
                if isinstance(rect, AssSubtitle)
            )
            cues.append(Cue(begin_s, end_s, plain_lines(text)))
    return CueSheet(tuple(_with_ends(cues)), broken)


def _with_ends(cues: list[Cue]) -> Iterator[Cue]:
    """End a cue of unknown duration at the next one, which may be an empty end marker."""
    followers = [*(cue.start_s for cue in cues[1:]), float("inf")]
    for cue, next_s in zip(cues, followers, strict=True):
        if cue.end_s > cue.start_s:
            yield cue
        else:
            yield Cue(cue.start_s, min(next_s, cue.start_s + UNSAID_S), cue.lines)
