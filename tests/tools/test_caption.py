import base64
import io
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from PIL import Image
from pydantic import Field, PrivateAttr

import prompts
from tools.base import ToolInput
from tools.caption import Caption, CaptionOptions, choose_frames
from tools.errors import StoppedError
from tools.evidence import Evidence
from tools.media.frames import FrameSet, StoredFrame
from tools.media.video import Video

VIDEO = Video(Path("a.mp4"), "0" * 64, 30, 1280, 720, 0, None, False, ())
COLOURS = {"red": (220, 20, 20), "green": (20, 200, 20), "blue": (20, 20, 220)}


class Eye(BaseChatModel):
    """Says the colour of the one picture that it is sent; records every payload."""

    replies: dict[str, str] = Field(default_factory=dict)
    _lock: threading.Lock = PrivateAttr(default_factory=threading.Lock)
    _seen: list[dict[str, Any]] = PrivateAttr(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "eye"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        (message,) = messages
        text, image = message.content
        assert isinstance(text, dict)
        assert isinstance(image, dict)
        picture = Image.open(io.BytesIO(base64.b64decode(image["base64"])))
        mean = np.asarray(picture).mean(axis=(0, 1))
        colour = min(COLOURS, key=lambda name: float(np.abs(COLOURS[name] - mean).sum()))
        with self._lock:
            self._seen.append({"text": text, "image": image, "size": picture.size})
        reply = AIMessage(self.replies.get(colour, f" All\n{colour}. "))
        return ChatResult(generations=[ChatGeneration(message=reply)])


def frame_set(folder: Path, *colours: str, each_s: float = 10) -> FrameSet:
    frames = []
    for number, colour in enumerate(colours):
        path = folder / f"{number}.jpg"
        Image.new("RGB", (1280, 720), COLOURS[colour]).save(path)
        frames.append(StoredFrame(number, number * each_s, (number + 1) * each_s, path))
    return FrameSet(folder, len(colours) * each_s, tuple(frames), ())


def run(
    frames: FrameSet, eye: Eye, given: dict[str, Any] | None = None, **options: Any
) -> list[Evidence]:
    tool = Caption(CaptionOptions.model_validate(options))
    return list(tool.run(ToolInput(VIDEO, frames, chat=eye, **(given or {}))))


def test_each_caption_belongs_to_its_own_picture(tmp_path: Path) -> None:
    eye = Eye()
    found = run(frame_set(tmp_path, "red", "green", "blue"), eye, batch=2)
    assert [(one.start_s, one.end_s, one.text) for one in found] == [
        (0, 10, "All red."),
        (10, 20, "All green."),
        (20, 30, "All blue."),
    ]
    assert {(one.tool, one.kind) for one in found} == {("caption", "caption")}


def test_the_payload_is_the_prompt_and_a_small_jpeg(tmp_path: Path) -> None:
    eye = Eye()
    run(frame_set(tmp_path, "red"), eye, max_side=320)
    (seen,) = eye._seen
    assert seen["text"] == {"type": "text", "text": prompts.render("caption")}
    assert (seen["image"]["type"], seen["image"]["mime_type"]) == ("image", "image/jpeg")
    assert seen["size"] == (320, 180)


def test_one_call_per_chosen_frame(tmp_path: Path) -> None:
    eye = Eye()
    found = run(frame_set(tmp_path, *["red", "blue"] * 6, each_s=1), eye, every_s=4)
    assert [one.start_s for one in found] == [0, 4, 8]
    assert len(eye._seen) == 3


@pytest.mark.parametrize(
    ("every_s", "max_frames", "starts"),
    [(0, 99, range(10)), (3, 99, [0, 3, 6, 9]), (0, 2, [2, 7]), (0, 1, [5]), (100, 9, [0])],
)
def test_chosen_frames_are_apart_and_spread(
    every_s: float, max_frames: int, starts: list[int]
) -> None:
    frames = tuple(StoredFrame(n, n, n + 1, Path("x.jpg")) for n in range(10))
    chosen = choose_frames(FrameSet(Path(), 10, frames, ()), every_s, max_frames)
    assert [frame.start_s for frame in chosen] == list(starts)


def test_an_empty_reply_is_no_caption(tmp_path: Path) -> None:
    found = run(frame_set(tmp_path, "red", "blue"), Eye(replies={"red": " \n"}))
    assert [one.text for one in found] == ["All blue."]


def test_stop_and_progress_come_between_batches(tmp_path: Path) -> None:
    done: list[float] = []
    given = {"progress": lambda done_s, _: done.append(done_s), "stopped": lambda: len(done) == 2}
    with pytest.raises(StoppedError):
        run(frame_set(tmp_path, *["red"] * 5), Eye(), given, batch=1)
    assert done == [10, 20]


def test_a_failing_model_is_not_hidden(tmp_path: Path) -> None:
    class Blind(Eye):
        def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
            raise ConnectionError("server gone")

    with pytest.raises(ConnectionError, match="server gone"):
        run(frame_set(tmp_path, "red"), Blind())


def test_a_new_prompt_is_a_new_version() -> None:
    assert prompts.version("caption") in Caption.version
    assert Caption().needs == {"frames", "vision"}


def test_what_was_kept_is_not_done_again(tmp_path: Path, kept: SimpleNamespace) -> None:
    eye, frames = Eye(), frame_set(tmp_path, "red", "green", "blue")
    found = run(frames, eye, {"keep": kept.keep}, batch=2)
    assert run(frames, eye, {"keep": kept.recall}, batch=2) == found
    assert len(eye._seen) == 3
    assert list(kept.pieces) == ["pictures from 0", "pictures from 2"]
