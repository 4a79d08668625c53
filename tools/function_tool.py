"""A tool from a plain function: the types of its parameters say what it is given.

    @tool
    def codes(frame: StoredFrame, least: int = 1):
        '''Reads bar codes.'''
        return [text for text in read(frame.image()) if len(text) >= least]

`StoredFrame` and `AudioBlock` call the function once a picture or block: what it returns belongs to
that time, and progress, Stop and the deadline need no code. A parameter with a default is an
option.
"""

import inspect
import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, ClassVar, Union, get_args, get_origin, get_type_hints

from pydantic import create_model

from tools.base import Need, Tool, ToolInput, ToolOptions
from tools.errors import InputError, ReelgraphError, StoppedError
from tools.evidence import Evidence
from tools.media.audio import AudioBlock
from tools.media.frames import FrameSet, StoredFrame
from tools.media.video import Video


class Question(str):
    """The user's question; a function with such a parameter runs once a question."""

    __slots__ = ()


class Phrases(tuple[str, ...]):
    """Things that the question names, to be looked for."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding of a function; tool and kind are those of the tool.

    Attributes:
        text: In words, for people and language models.
        start_s: Start in seconds; None: that of the picture, the block, or the video.
        end_s: End in seconds; None: that of the picture or block, or `start_s`.
        score: The tool's own confidence, 0 to 1.
        data: Further values as plain JSON.
    """

    text: str
    start_s: float | None = None
    end_s: float | None = None
    score: float = 1.0
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Part:
    """A piece of the video that a function is called with, and its time."""

    value: Any
    start_s: float | None = None
    end_s: float | None = None


@dataclass(frozen=True, slots=True)
class _Wish:
    """What a type of parameter asks for."""

    need: Need | None
    get: Callable[[ToolInput], Any]


WISHES: dict[Any, _Wish] = {
    StoredFrame: _Wish("frames", lambda given: None),  # one a call
    AudioBlock: _Wish("audio", lambda given: None),  # one a call
    FrameSet: _Wish("frames", lambda given: given.frames),
    Iterator[AudioBlock]: _Wish("audio", lambda given: given.audio()),
    Iterable[AudioBlock]: _Wish("audio", lambda given: given.audio()),
    Video: _Wish("file", lambda given: given.video),
    Question: _Wish("question", lambda given: Question(given.question)),
    Phrases: _Wish("phrases", lambda given: Phrases(given.phrases)),
    ToolInput: _Wish(None, lambda given: given),
}
_ONE_A_CALL = (StoredFrame, AudioBlock)
_EVIDENCE = (list[Evidence], Sequence[Evidence], tuple[Evidence, ...])
ASKED = {
    "StoredFrame": "one distinct picture a call, with its time; what is returned belongs to it",
    "AudioBlock": "one block of sound a call (16 kHz, mono), with its time",
    "FrameSet": "all distinct pictures, and measurements of every sample",
    "Iterator[AudioBlock]": "all sound, block by block",
    "Video": "the probed file: path, length, size",
    "Question": "the question; the tool then runs once a question",
    "Phrases": "things that the question names; the tool then runs once a question",
    "list[Evidence]": "what the tool or kind of evidence that names the parameter has found",
    "ToolInput": "everything that a tool's `run` is given",
}
_KNOWN = f"one of {', '.join(ASKED)}, or a default that makes it an option"


class FunctionTool(Tool):
    """A tool whose work is a function; `tool` makes a subclass of it."""

    function: ClassVar[Callable[..., Any]]
    wishes: ClassVar[dict[str, _Wish]]
    part: ClassVar[str]  # the parameter that is given one picture or block a call, "" if none
    used: ClassVar[dict[str, str]]  # the parameters that take evidence, and whose

    @property
    def needs(self) -> frozenset[Need]:
        """What the types of the parameters ask for."""
        return frozenset(wish.need for wish in self.wishes.values() if wish.need)

    @property
    def uses(self) -> frozenset[str]:
        """The tools or kinds that parameters are named after."""
        return frozenset(self.used.values())

    def run(self, given: ToolInput) -> Iterator[Evidence]:
        """Call the function, once or for each part of the video, and read what it returns."""
        options = {key: getattr(self.options, key) for key in _own(type(self.options))}
        values = {key: wish.get(given) for key, wish in self.wishes.items()}
        values |= {key: list(given.evidence.get(name, ())) for key, name in self.used.items()}
        call = partial(type(self).function, **values | options)
        for part in self._parts(given):
            if given.stopped():
                raise StoppedError
            found = call(**{self.part: part.value}) if self.part else call()
            for one in _several(found):
                yield self._evidence(one, part, given.video)
                if given.stopped():
                    raise StoppedError
            if part.end_s is not None:
                given.progress(part.end_s, given.video.duration_s)

    def _parts(self, given: ToolInput) -> Iterator[_Part]:
        if not self.part:
            yield _Part(None)
        elif self.wishes[self.part].need == "audio":
            for block in given.audio():
                end_s = block.start_s + len(block.samples) / 16_000
                yield _Part(block, block.start_s, min(end_s, given.video.duration_s))
        elif given.frames is not None:
            for frame in given.frames.frames:
                yield _Part(frame, frame.start_s, frame.end_s)

    def _evidence(self, found: Any, part: _Part, video: Video) -> Evidence:
        if isinstance(found, str):
            found = Finding(found)
        if isinstance(found, Evidence):
            return replace(found, tool=self.name, kind=self.kind)
        if not isinstance(found, Finding):
            raise ReelgraphError(
                f"{self.name} returns {found!r:.80}, expected a text, a Finding or several of "
                f"them; this is a mistake in the tool"
            )
        start_s = _first(found.start_s, part.start_s, 0.0)
        whole = video.duration_s if found.start_s is None else start_s
        end_s = _first(found.end_s, None if found.start_s is not None else part.end_s, whole)
        return Evidence(
            self.name, self.kind, start_s, end_s, found.text, found.score, dict(found.data)
        )


def tool(
    function: Callable[..., Any] | None = None,
    *,
    name: str = "",
    kind: str = "",
    version: str = "1",
    expensive: bool = False,
) -> Any:
    """Make a `Tool` of a function, as a decorator with or without arguments.

    Args:
        function: Takes what its types ask for; returns or yields texts and `Finding`s, or None.
        name: Name of the tool; that of the function with hyphens unless given.
        kind: Kind of its evidence; the name of the tool unless given.
        version: Raise it when the same video would give other evidence. That of a tool in a file
            changes with the file.
        expensive: See `Tool.expensive`.

    Raises:
        InputError: A parameter has no type that says what to give.
    """
    if function is None:
        return partial(tool, name=name, kind=kind, version=version, expensive=expensive)
    called = name or function.__name__.replace("_", "-")
    wishes, used, options = _read(function, called)
    parts = [key for key, kind in _hints(function).items() if kind in _ONE_A_CALL]
    if len(parts) > 1:
        raise InputError(f"{called} takes {' and '.join(parts)}, expected one part of a video")
    members = {
        "name": called,
        "kind": kind or called,
        "version": version,
        "expensive": expensive,
        "Options": create_model(f"{called} options", __base__=ToolOptions, **options),
        "function": staticmethod(function),
        "wishes": wishes,
        "part": parts[0] if parts else "",
        "used": {key: key.replace("_", "-") for key in used},
        "__doc__": inspect.getdoc(function) or f"What {called} finds.",
        "__module__": function.__module__,
    }
    return type(called, (FunctionTool,), members)


def _read(
    function: Callable[..., Any], called: str
) -> tuple[dict[str, _Wish], list[str], dict[str, Any]]:
    """Return what the parameters ask for, those that take evidence, and the options."""
    hints, wishes, used, options = _hints(function), {}, [], {}
    for key, parameter in inspect.signature(function).parameters.items():
        if parameter.default is not inspect.Parameter.empty:
            options[key] = (hints.get(key, type(parameter.default)), parameter.default)
        elif hints.get(key) in WISHES:
            wishes[key] = WISHES[hints[key]]
        elif hints.get(key) in _EVIDENCE:
            used.append(key)
        else:
            given = f"the type {hints[key]}" if key in hints else "no type"
            raise InputError(f"parameter {key!r} of {called} has {given}, expected {_KNOWN}")
    return wishes, used, options


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the types of the parameters; `X | None` counts as X."""
    hints = get_type_hints(function)
    hints.pop("return", None)
    return {key: _without_none(kind) for key, kind in hints.items()}


def _without_none(kind: Any) -> Any:
    rest = [one for one in get_args(kind) if one is not type(None)]
    optional = get_origin(kind) in (Union, types.UnionType) and len(rest) == 1
    return rest[0] if optional and rest[0] in WISHES else kind


def _several(found: Any) -> Iterable[Any]:
    """Return what a function returned as several findings; none for None."""
    if found is None:
        return ()
    single = isinstance(found, str | Finding | Evidence) or not isinstance(found, Iterable)
    return (found,) if single else found


def _own(options: type[ToolOptions]) -> Iterator[str]:
    return (key for key in options.model_fields if key not in ToolOptions.model_fields)


def _first(*values: float | None) -> float:
    return next(value for value in values if value is not None)
