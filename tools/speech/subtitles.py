"""Read the subtitles of a video: sidecar files, else embedded tracks.

They are the cheapest and most exact transcript, so they take precedence over speech recognition.
The text of each cue becomes one piece of evidence. Forced subtitles (foreign-language passages
only) are used where there are no others, and marked in the evidence's data. Pictures of text, as
on discs and TV, are read by OCR.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Any

from pydantic import Field

from tools.base import Need, Tool, ToolInput, ToolOptions, ToolRuntime
from tools.errors import InputError, MissingError, ReelgraphError
from tools.evidence import Evidence
from tools.media.languages import same_language
from tools.media.tracks import Wish, choose
from tools.media.video import Video
from tools.ocr.tool import Ocr
from tools.speech.cues import Cue, CueSheet, tidy_cues
from tools.speech.sidecars import Beside
from tools.speech.sources import Source, beside, named_file, of_file, of_track, ranked
from tools.speech.subtitle_streams import BGRImage


class SubtitlesOptions(ToolOptions):
    """Options of the subtitles tool.

    Attributes:
        language: Preferred language ("en", "eng", "pt-BR"); "" takes whichever comes first.
        track: Index of the only track to use, as `reelgraph probe` lists it.
        sidecar: Look for files beside the video.
        embedded: Look for tracks inside the video.
        offset_s: Added to every time, for subtitles of another cut.
        file: Path of the only subtitle file to use.
    """

    language: str = ""
    track: int | None = Field(None, ge=0)
    sidecar: bool = True
    embedded: bool = True
    offset_s: float = 0.0
    file: str = ""


class Subtitles(Tool):
    """Cues of the first source that has any, the preferred language first."""

    name = "subtitles"
    kind = "speech"
    version = "4"
    Options = SubtitlesOptions
    options: SubtitlesOptions

    def __init__(self, options: ToolOptions | None = None) -> None:
        super().__init__(options)
        self._runtime: ToolRuntime | None = None
        self._ocr: Ocr | None = None
        self._lock = Lock()  # of OCR: it is loaded once, and reads one picture at a time

    @property
    def needs(self) -> frozenset[Need]:
        """The file: sidecars are found by its name, tracks are inside it."""
        return frozenset({"file"})

    @property
    def reentrant(self) -> bool:
        """A run opens its own files; runs share only OCR, behind a lock."""
        return True

    @property
    def memory_bytes(self) -> int:
        """Bytes of the OCR models, once pictures of text were read."""
        return self._ocr.memory_bytes if self._ocr else 0

    def reads(self, video: Video) -> Sequence[Path]:
        """Return the sidecar files, so that one added later changes the cache key."""
        if self.options.file:
            return [Path(self.options.file)]
        if self.options.track is not None:
            return []
        try:
            files = [one.path for one in self._beside(video).belong]
        except InputError:
            return []  # `run` reports what is wrong with the folder
        return [*files, *(file.with_suffix(".sub") for file in files if file.suffix == ".idx")]

    def setup(self, runtime: ToolRuntime) -> None:
        """Note where OCR finds its weights; it is loaded when pictures of text turn up."""
        self._runtime = runtime

    def run(self, given: ToolInput) -> Iterator[Evidence]:
        """Yield the cues of the first usable source.

        Raises:
            InputError: Subtitles are there, but none of them can be read.
            StoppedError: The user pressed Stop.
        """
        duration_s = given.video.duration_s
        passed_over: list[str] = []
        unreadable = False
        waiting = deque(self.sources(given.video))
        while waiting:
            source = waiting.popleft()
            try:
                sheet = source.read(given, self._read_picture)
            except (InputError, MissingError) as error:
                passed_over.append(str(error))
                unreadable = True
                continue
            if sheet.signs and not source.forced:  # a track of signs that is not marked as one
                waiting.append(replace(source, forced=True))
                continue
            cues = tidy_cues(sheet.cues, duration_s, self.options.offset_s)
            if cues:
                given.progress(duration_s, duration_s)
                self._tell_unused(given, source, waiting)
                yield from self._evidence(cues, self._data(source, sheet, passed_over))
                return
            passed_over.append(f"{source.name} has no text within the video{_broken(sheet)}")
            unreadable |= sheet.broken > 0
        if unreadable:
            raise InputError(f"no usable subtitles: {'; '.join(passed_over)}; mend or remove them")
        self._tell_unused(given, None, ())

    def sources(self, video: Video) -> list[Source]:
        """Return the candidate sources, best first.

        Raises:
            InputError: The folder cannot be listed, or the track asked for is not there.
        """
        options = self.options
        if options.file:
            return [named_file(Path(options.file))]
        if options.track is not None:
            choice = choose(video.tracks, "subtitle", Wish(options.track))
            return [of_track(choice.track)] if choice else []
        sources = [of_file(one, options.language) for one in self._beside(video).belong]
        if options.embedded:
            sources += [of_track(track) for track in video.subtitles]
        return ranked(sources, options.language)

    def _beside(self, video: Video) -> Beside:
        return beside(video) if self.options.sidecar else Beside((), ())

    def _tell_unused(
        self, given: ToolInput, used: Source | None, rest: Sequence[Source] | deque[Source]
    ) -> None:
        """Note what was used, and what is there besides."""
        if used and rest:
            others = ", ".join(_named(one) for one in rest)
            given.note(f"{_named(used)} is used; also there: {others}")
        if self.options.file or self.options.track is not None:
            return
        if unclear := self._beside(given.video).unclear:
            names = ", ".join(path.name for path in unclear)
            given.note(
                f"not used, for the name says neither language nor kind alone: {names}; "
                "name one by subtitles.file"
            )

    def _evidence(self, cues: list[Cue], data: dict[str, Any]) -> Iterator[Evidence]:
        for cue in cues:
            yield Evidence(self.name, self.kind, cue.start_s, cue.end_s, cue.text, data=data)

    def _data(self, source: Source, sheet: CueSheet, passed_over: list[str]) -> dict[str, Any]:
        """Return the source of the cues and, under `note`, deviations from what was asked."""
        notes = list(passed_over)
        if self.options.language and not same_language(source.language, self.options.language):
            notes.append(f"no subtitles marked as {self.options.language!r}")
        if sheet.encoding:
            notes.append(f"encoding guessed: {sheet.encoding}")
        if sheet.broken:
            notes.append(_broken(sheet).strip(" ,"))
        data: dict[str, Any] = {
            "source": source.kind,
            "file": source.name,
            "language": source.language,
        }
        marks = ("forced", "commentary", "pictures")
        data |= {mark: True for mark in marks if getattr(source, mark)}
        return data | ({"note": "; ".join(notes)} if notes else {})

    def _read_picture(self, picture: BGRImage) -> tuple[str, ...]:
        """Return the lines of text in a picture, by the OCR tool.

        Raises:
            MissingError: OCR is not installed.
        """
        with self._lock:
            if self._ocr is None:
                if self._runtime is None:
                    raise ReelgraphError("call setup() before run()")
                ocr = Ocr()
                ocr.setup(self._runtime)
                self._ocr = ocr
            return self._ocr.read_lines(picture)


def _named(source: Source) -> str:
    told = ", ".join(filter(None, (source.language, "forced" if source.forced else "")))
    return f"{source.name} ({told})" if told and source.kind == "embedded" else source.name


def _broken(sheet: CueSheet) -> str:
    if not sheet.broken:
        return ""
    cues = "1 cue" if sheet.broken == 1 else f"{sheet.broken} cues"
    return f", {cues} left out for times that make no sense"
