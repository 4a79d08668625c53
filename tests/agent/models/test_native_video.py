"""Frames as one video with their times, on tiny checkpoints of the video models' own classes."""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from langchain_core.messages import BaseMessage, HumanMessage
from PIL import Image

from agent.answering.conversation import messages
from agent.models.chat import TransformersChat, configured_capabilities, image_block
from agent.records import Turn
from agent.session import Session
from agent.settings import ChatSettings
from tools.errors import InputError

MODELS = [
    *("video_llava", "llava_next_video", "onevision", "qwen2_vl", "qwen_vl", "internvl", "smolvlm"),
]
TIMES_S = (0.5, 1.0, 2.0, 3.5, 7.25, 11.0)
LENGTH_S = 12.0
SIZE = (64, 48)
# 257 a frame; 12 x 12 a frame; 14 x 14 a frame and a newline; 2 x 2 for each two frames and two
# marks. The others write times or numbers between the frames, so their visual tokens are counted:
# 6 x 4 for each two frames (the least area), 16 x 16 and 8 x 8 a frame.
TOKENS = {
    "video_llava": 257 * 6,
    "llava_next_video": 144 * 6,
    "onevision": 196 * 6 + 1,
    "qwen2_vl": 4 * 3 + 2,
}
VISUAL = {"qwen_vl": 6 * 4 * 3, "internvl": 256 * 6, "smolvlm": 64 * 6}


def load(folder: Path, **options: Any) -> TransformersChat:
    values = {"name": "tiny", "dtype": "float32", "max_new_tokens": 4, **options}
    return TransformersChat(source=str(folder), **values)


@pytest.fixture(scope="module", params=MODELS)
def viewer(request: pytest.FixtureRequest, tiny_model: Callable[[str], Path]) -> TransformersChat:
    return load(tiny_model(request.param), name=request.param)


def film(times_s: Sequence[float] = TIMES_S, text: str = "What happens?") -> list[BaseMessage]:
    blocks = []
    for number, time_s in enumerate(times_s):
        block = image_block(Image.new("RGB", SIZE, (30 * number, 80, 200 - 30 * number)))
        block["extras"] = {"time_s": time_s, "length_s": LENGTH_S}
        blocks.append(block)
    return [HumanMessage([*blocks, {"type": "text", "text": text}])]


def test_a_video_takes_as_many_tokens_as_was_said(viewer: TransformersChat) -> None:
    said = viewer.video_tokens(*SIZE, TIMES_S, LENGTH_S)
    read = viewer.encode(film())["input_ids"]
    without = viewer.encode([HumanMessage([{"type": "text", "text": "What happens?"}])])
    assert said == read.shape[1] - without["input_ids"].shape[1]
    assert said == TOKENS.get(viewer.name, said)


def test_frames_reach_the_tower_in_order_and_the_reply_depends_on_them(
    viewer: TransformersChat,
) -> None:
    forth, back = viewer.encode(film()), viewer.encode(list(reversed_film()))
    name = next(name for name in forth if name.startswith("pixel_values"))
    assert not torch.equal(forth[name], back[name])
    if name == "pixel_values_videos" and forth[name].ndim == 5:  # [1, T, 3, S, S]
        assert torch.equal(forth[name].flip(1), back[name])
    scores = [
        viewer.score_options(talk, ["a boat", "a gate"]) for talk in (film(), reversed_film())
    ]
    assert scores[0] != scores[1]
    assert viewer.invoke(film()).text == viewer.invoke(film()).text


def reversed_film() -> list[BaseMessage]:
    """The same pictures in the other order, at the same times."""
    content: Any = film()[0].content
    shown = [dict(block) for block in content[:-1]]
    extras = [block["extras"] for block in shown]
    turned = [block | {"extras": at} for block, at in zip(shown[::-1], extras, strict=True)]
    return [HumanMessage([*turned, content[-1]])]


def test_qwen3_vl_reads_the_middle_of_each_two_frames(tiny_model: Callable[[str], Path]) -> None:
    chat = load(tiny_model("qwen_vl"))
    stamps = re.findall(r"<(\d+\.\d) seconds>", written(chat, film()))
    assert stamps == ["0.8", "2.8", "9.1"]  # of 0.5, 1 | 2, 3.5 | 7.25, 11
    odd = re.findall(r"<(\d+\.\d) seconds>", written(chat, film(TIMES_S[:3])))
    assert odd == ["0.8", "2.0"]  # the last frame fills the pair


def test_qwen2_5_vl_is_told_the_seconds_between_its_steps(
    tiny_model: Callable[[str], Path],
) -> None:
    inputs = load(tiny_model("qwen2_vl")).encode(film())
    assert inputs["second_per_grid_ts"].tolist() == [4.0]  # 12 s in three steps of two frames
    assert inputs["video_grid_thw"].tolist() == [[3, 4, 4]]


def test_smolvlm_is_told_times_and_length(tiny_model: Callable[[str], Path]) -> None:
    text = written(load(tiny_model("smolvlm")), film())
    assert "series of six frames from a 0:00:12 [H:MM:SS] video" in text
    stamps = re.findall(r"Frame from (\d\d:\d\d):", text)
    assert stamps == ["00:00", "00:01", "00:02", "00:03", "00:07", "00:11"]


def test_internvl_numbers_the_frames(tiny_model: Callable[[str], Path]) -> None:
    assert re.findall(r"Frame(\d):", written(load(tiny_model("internvl")), film())) == list(
        "123456"
    )


@pytest.mark.parametrize("name", sorted(VISUAL))
def test_each_frame_has_its_visual_tokens(tiny_model: Callable[[str], Path], name: str) -> None:
    chat = load(tiny_model(name))
    config = chat.hf_model.config
    token = config.video_token_id if name == "qwen_vl" else config.image_token_id
    assert int((chat.encode(film())["input_ids"] == token).sum()) == VISUAL[name]


def written(chat: TransformersChat, talk: list[BaseMessage]) -> str:
    return str(chat.tokenizer.decode(chat.encode(talk)["input_ids"][0]))


def test_switched_off_the_same_frames_are_pictures(tiny_model: Callable[[str], Path]) -> None:
    folder = tiny_model("onevision")
    off, plain = load(folder, native_video=False), film()
    assert not off.capabilities.video
    for block in plain[0].content:
        assert isinstance(block, dict)
        block.pop("extras", None)
    assert torch.equal(off.encode(film())["input_ids"], off.encode(plain)["input_ids"])
    assert "pixel_values_videos" not in off.encode(film())
    with pytest.raises(InputError, match="tiny takes no video"):
        off.video_tokens(*SIZE, TIMES_S, LENGTH_S)


def test_a_template_without_a_place_for_a_video_gets_pictures(
    tiny_model: Callable[[str], Path], tmp_path: Path
) -> None:
    from transformers import AutoModelForImageTextToText, AutoProcessor

    source = tiny_model("onevision")
    AutoModelForImageTextToText.from_pretrained(source).save_pretrained(tmp_path)
    processor = AutoProcessor.from_pretrained(source)
    processor.chat_template = processor.chat_template.replace("<video>", "")
    processor.save_pretrained(tmp_path)
    chat = load(tmp_path)
    assert not chat.capabilities.video
    assert chat.invoke(film()).text == chat.invoke(film()).text


def test_the_configuration_alone_tells_who_takes_a_video(
    tiny_model: Callable[[str], Path],
) -> None:
    expected = {name: True for name in MODELS} | {
        "llava": False,
        "llava_next": False,
        "llama": False,
    }
    for name, video in expected.items():
        settings = ChatSettings(model=str(tiny_model(name)))
        assert configured_capabilities(settings, Path(), offline=True).video == video, name
        off = settings.model_copy(update={"native_video": False})
        assert not configured_capabilities(off, Path(), offline=True).video


def test_two_videos_of_a_batch_keep_their_times(tiny_model: Callable[[str], Path]) -> None:
    chat = load(tiny_model("qwen_vl"))
    inputs = chat.encode(film(TIMES_S[:2]), film(TIMES_S[2:4]))
    texts = [str(chat.tokenizer.decode(row)) for row in inputs["input_ids"]]
    assert [re.findall(r"<(\d+\.\d) seconds>", text) for text in texts] == [["0.8"], ["2.8"]]


def test_the_mark_of_a_video_in_a_question_is_plain_text_or_refused(
    viewer: TransformersChat,
) -> None:
    asked = film(text="a slide that shows <video>")
    if viewer.name == "internvl":
        with pytest.raises(InputError, match="processor refuses the prompt"):
            viewer.encode(asked)
        return
    assert viewer.encode(asked)["input_ids"].shape[1] > viewer.encode(film())["input_ids"].shape[1]


def test_times_of_a_turn_reach_the_message(tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.png" for number in range(2)]
    for file in files:
        Image.new("RGB", SIZE).save(file)
    (message,) = messages([Turn("user", "What?", tuple(files), (0.5, 2.0), 4.0)])
    extras = [block.get("extras") for block in message.content_blocks]
    assert extras == [{"time_s": 0.5, "length_s": 4.0}, {"time_s": 2.0, "length_s": 4.0}, None]
    (still,) = messages([Turn("user", "What?", tuple(files))])
    assert all("extras" not in block for block in still.content_blocks)


# From the command line


@pytest.mark.parametrize("name", MODELS)
def test_direct_from_the_command_line(
    reelgraph: Callable[..., Any],
    make_clip: Callable[..., Path],
    tiny_model: Callable[[str], Path],
    name: str,
) -> None:
    clip = make_clip(seconds=2, size=SIZE)
    ask = ("ask", clip, "What happens?", "--method", "direct", "--json")
    sets = {
        "chat.model": tiny_model(name),
        "chat.max_new_tokens": 4,
        "direct.frames": 4,
        "profile": None,
    }
    options = [part for key, value in sets.items() if value for part in ("--set", f"{key}={value}")]
    plan = json.loads(reelgraph(*ask, *options, "--dry-run").out)
    assert plan["visuals"]["form"] == "one video with times"
    assert "given_video" in plan["prompts"]
    done = reelgraph(*ask, *options)
    assert done.code in (0, 3), done.err
    answer = json.loads(done.out)
    first = answer["prompts"]
    assert "given_video" in first
    off = json.loads(reelgraph(*ask, *options, "--set", "chat.native_video=false", "--dry-run").out)
    assert off["visuals"]["form"] == "single pictures"
    assert off["plan"] != plan["plan"]
    assert "given_pictures" in off["prompts"]


def test_video_rag_shows_its_frames_as_a_video(
    make_clip: Callable[..., Path], tiny_model: Callable[[str], Path]
) -> None:
    clip = make_clip(seconds=2, size=SIZE)
    settings = {
        "method": "video-rag",
        "ingest": "[]",
        "chat.model": str(tiny_model("qwen_vl")),
        "chat.max_new_tokens": 4,
        "video-rag.frames": 4,
    }
    session = Session(settings=settings)
    assert session.plan(clip, "What happens?").visuals["form"] == "one video with times"
    seen: list[Any] = []
    chat: Any = session.context.pool.chat()
    hook = chat.hf_model.model.visual.register_forward_pre_hook(
        lambda module, given, named: seen.append([*given, *named.values()]), with_kwargs=True
    )
    try:
        answer = session.ask(clip, "What happens?")
    finally:
        hook.remove()
    assert "given_video" in answer.prompts
    (given,) = [part for part in seen[0] if torch.is_tensor(part) and part.shape == (1, 3)]
    assert given[0, 0] == 2  # one video of two steps of two frames, not four pictures
