from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tools import (
    AudioBlock,
    Evidence,
    Finding,
    FrameSet,
    Phrases,
    Question,
    StoredFrame,
    Tool,
    ToolInput,
    Video,
    tool,
)
from tools.errors import InputError, ReelgraphError, StoppedError

VIDEO = Video(Path("clip.mp4"), "0", 4.0, 320, 240, 0, Fraction(25), True, ())
FRAMES = tuple(StoredFrame(i, float(i), i + 1.0, Path(f"{i}.jpg")) for i in range(3))
SOUND = [AudioBlock(s, np.zeros(16_000, np.float32)) for s in (0.0, 1.0)]


def given(**fields: Any) -> ToolInput:
    values = {"frames": FrameSet(Path(), 4.0, FRAMES, ()), "audio": lambda: iter(SOUND)}
    return ToolInput(VIDEO, **{**values, **fields})


def run(made: type[Tool], **fields: Any) -> list[tuple[float, float, str]]:
    return [(e.start_s, e.end_s, e.text) for e in made().run(given(**fields))]


def test_a_function_of_one_picture_is_called_with_each() -> None:
    @tool(kind="text")
    def half_seen(frame: StoredFrame) -> str | None:
        """Every second picture."""
        return None if frame.number == 1 else f"picture {frame.number}"

    assert (half_seen.name, half_seen.kind, half_seen().needs) == ("half-seen", "text", {"frames"})
    told: list[float] = []
    found = run(half_seen, progress=lambda done_s, total_s: told.append(done_s))
    assert found == [(0, 1, "picture 0"), (2, 3, "picture 2")]
    assert told == [1, 2, 3]


def test_a_function_of_one_block_is_called_with_each() -> None:
    @tool
    def loud(block: AudioBlock) -> list[str]:
        return ["a", "b"] if block.start_s else []

    assert run(loud) == [(1, 2, "a"), (1, 2, "b")]
    assert loud().needs == {"audio"}


def test_each_type_asks_for_its_value() -> None:
    @tool
    def every(
        frames: FrameSet,
        sound: Iterator[AudioBlock],
        video: Video,
        question: Question,
        phrases: Phrases,
        whole: ToolInput,
        ocr: list[Evidence],
        odd_one: list[Evidence],
        most: int = 3,
    ) -> str:
        counts = (len(frames.frames), len(list(sound)), len(ocr), len(odd_one), most)
        return f"{counts} {video.path} {question} {phrases[0]} {whole.video is video}"

    line = Evidence("ocr", "text", 0, 1, "x")
    (found,) = run(every, question="who?", phrases=("cat",), evidence={"ocr": [line]})
    assert found == (0, 4, "(3, 2, 1, 0, 3) clip.mp4 who? cat True")
    assert every().needs == {"frames", "audio", "file", "question", "phrases"}
    assert every().uses == {"ocr", "odd-one"}
    assert every.Options(most=5).model_dump() == {"most": 5}


@pytest.mark.parametrize(
    ("result", "span"),
    [
        (Finding("a"), (0, 1)),
        (Finding("a", 0.5), (0.5, 0.5)),
        (Finding("a", 0.25, 0.75), (0.25, 0.75)),
        (Evidence("x", "y", 2, 3, "a"), (2, 3)),
    ],
)
def test_a_finding_has_its_own_time_or_that_of_its_part(
    result: object, span: tuple[float, float]
) -> None:
    @tool
    def sensor(frame: StoredFrame) -> object:
        return result if frame.number == 0 else None

    (found,) = sensor().run(given())
    assert (found.start_s, found.end_s) == span
    assert (found.tool, found.kind) == ("sensor", "sensor")


@pytest.mark.parametrize("result", [5, 0.5, object(), [1, 2], b"bytes"])
def test_a_wrong_return_type_is_named(result: object) -> None:
    @tool
    def sensor(video: Video) -> object:
        return result

    with pytest.raises(ReelgraphError, match=r"sensor returns .* expected a text, a Finding"):
        list(sensor().run(given()))


def test_stop_ends_it_between_parts() -> None:
    seen: list[int] = []

    @tool
    def sensor(frame: StoredFrame) -> None:
        seen.append(frame.number)

    with pytest.raises(StoppedError):
        list(sensor().run(given(stopped=lambda: len(seen) == 2)))
    assert seen == [0, 1]


def _untyped(it):  # type: ignore[no-untyped-def]
    """No type."""


def _number(it: int) -> None:
    """A type that asks for nothing."""


def _two(a: StoredFrame, b: AudioBlock) -> None:
    """Two parts."""


@pytest.mark.parametrize(
    ("function", "words"),
    [(_untyped, "has no type"), (_number, "the type <class 'int'>"), (_two, "expected one part")],
)
def test_a_parameter_that_asks_for_nothing_is_named(
    function: Callable[..., Any], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        tool(function)
