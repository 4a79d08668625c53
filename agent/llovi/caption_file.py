"""Precomputed captions, read from a file: LLoVi's JSON formats, and our own records.

{"video": ["first clip", "second clip"]}    one per clip        (EgoSchema)
{"video": {"9": "...", "10": "..."}}        one per frame       (NExT-QA)
{"video": "all of it in one text"}          a summary
[...], {"9": ...}, "..."                    the same, for a single video
{"start_s": 0, "end_s": 1, "text": "..."}   one record per line (`Evidence`)
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from agent.llovi.clips import in_time
from tools.errors import InputError
from tools.evidence import Evidence
from tools.registry import suggest

MAX_BYTES = 2**30
TOOL = "captions"


@dataclass(frozen=True, slots=True)
class Timing:
    """The timing of the captions of a file.

    Attributes:
        duration_s: Length of the video in seconds.
        fps: Captions of a list, or frame numbers of a mapping, per second.
        every: Take every n-th caption of a list or mapping.
        clip_s: Seconds that one caption of a list describes; None: up to the next one of the file.
        by_position: Time the captions of a mapping by their order and `every`, not by their frame
            numbers, as LLoVi's code labels them.
    """

    duration_s: float
    fps: float = 1.0
    every: int = 1
    clip_s: float | None = None
    by_position: bool = False


def read_captions(path: Path, video: str, timing: Timing) -> tuple[Evidence, ...]:
    """Return the captions of one video in time order.

    Args:
        path: A file in one of the formats above.
        video: Name of the video in a file about several.
        timing: Their timing; records have their own times.

    Raises:
        InputError: The file cannot be read, lacks the video or does not match its length.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path.name} is larger than {MAX_BYTES} bytes; no captions are")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise InputError(f"the captions {path.name} cannot be read: {_why(error)}") from error
    try:
        found = _read(text, video, timing)
    except _ShapeError as error:
        raise InputError(f"the captions {path.name} cannot be used: {error}") from error
    if not found:
        raise InputError(f"the captions {path.name} hold nothing about {video!r}")
    return tuple(sorted(found, key=in_time))


def captions_of(content: Any, timing: Timing, place: str) -> tuple[Evidence, ...]:
    """Parse captions that are already loaded: a list, a mapping from frame number, a text.

    Raises:
        InputError: They have another format; the text begins with `place`.
    """
    try:
        return tuple(_captions(content, timing))
    except _ShapeError as error:
        raise InputError(f"{place}: {error}") from error


class _ShapeError(ValueError):
    """An error in the content of a file; the caller adds its name."""


def _why(error: OSError | ValueError) -> str:
    return (error.strerror or "") if isinstance(error, OSError) else "it is not text in UTF-8"


def _read(text: str, video: str, timing: Timing) -> list[Evidence]:
    try:
        content = json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        return list(_records(text, timing))
    if isinstance(content, dict) and "start_s" in content:
        return list(_records(text, timing))
    return list(_captions(_of_video(content, video), timing))


def _of_video(content: Any, video: str) -> Any:
    """Return a file's content on one video; a file about a single video needs no name."""
    if not isinstance(content, dict) or (content and all(map(_is_frame, content.items()))):
        return content
    if video not in content:
        known = {str(name): None for name in content}
        raise _ShapeError(f"there is no video {video!r} in it{suggest(video, known)}")
    return content[video]


def _is_frame(item: tuple[str, Any]) -> bool:
    return item[0].isdecimal() and isinstance(item[1], str)


def _captions(content: Any, timing: Timing) -> Iterator[Evidence]:
    if isinstance(content, str):
        yield Evidence(TOOL, "summary", 0.0, timing.duration_s, content)
    elif isinstance(content, list):
        clip_s = timing.clip_s or 1 / timing.fps
        for number, text in list(enumerate(content))[:: timing.every]:
            yield _caption(number / timing.fps, clip_s, text, timing)
    elif isinstance(content, dict):
        if odd := next((key for key in content if not key.isdecimal()), None):
            raise _ShapeError(f"{odd!r} is no number of a frame")
        for number, key in enumerate(sorted(content, key=int)[:: timing.every]):
            label = number * timing.every if timing.by_position else int(key)
            yield _caption(label / timing.fps, 0.0, content[key], timing)
    else:
        raise _ShapeError("expected a list, a mapping from frame number to text, or a text")


def _caption(start_s: float, clip_s: float, text: Any, timing: Timing) -> Evidence:
    if not isinstance(text, str):
        raise _ShapeError(f"the caption at {start_s:g} s is no text but {text!r:.40}")
    if start_s > timing.duration_s + 1 / timing.fps:  # files often have one too many
        raise _ShapeError(
            f"it has a caption at {start_s:g} s but the video lasts {timing.duration_s:g} s; "
            f"give the captions in one second (fps), now {timing.fps:g}"
        )
    start_s = min(start_s, timing.duration_s)
    return Evidence(TOOL, "caption", start_s, min(start_s + clip_s, timing.duration_s), text)


def _records(text: str, timing: Timing) -> Iterator[Evidence]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                yield _record(json.loads(line), timing)
            except (json.JSONDecodeError, RecursionError, KeyError, TypeError) as error:
                raise _ShapeError(
                    f"line {number} is neither JSON of a known shape nor a record with start_s, "
                    f"end_s and text"
                ) from error


def _record(fields: Mapping[str, Any], timing: Timing) -> Evidence:
    start_s, end_s, text = fields["start_s"], fields["end_s"], fields["text"]
    if not isinstance(text, str) or not isfinite(start_s + end_s):
        raise TypeError
    if not 0 <= start_s <= end_s or start_s > timing.duration_s:
        raise _ShapeError(
            f"a record from {start_s:g} to {end_s:g} s does not lie in a video of "
            f"{timing.duration_s:g} s"
        )
    tool, kind = str(fields.get("tool", TOOL)), str(fields.get("kind", "caption"))
    return Evidence(tool, kind, float(start_s), min(float(end_s), timing.duration_s), text)
