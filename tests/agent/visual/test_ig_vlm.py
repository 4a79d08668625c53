"""IG-VLM from the command line to the message, on tiny models of five families."""

import io
import json
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import prompts
from agent.frames.grids import compose_grid
from agent.models.chat_model import ContextOverflowError
from agent.session import Session
from tools.errors import InputError
from tools.media.readers import open_video
from tools.media.video import probe

Open = Callable[..., Session]
MakeClip = Callable[..., Path]
Command = Callable[..., Any]

QUESTION = "What happens?"
NTSC = Fraction(30_000, 1001)


def plan_of(session: Session, clip: Path) -> dict[str, Any]:
    return session.plan(clip, QUESTION).to_json()


def pixels(data: bytes) -> np.ndarray[Any, Any]:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def ids(plan: dict[str, Any]) -> list[int]:
    return [frame["index"] for frame in plan["frames"]]


@pytest.mark.parametrize("name", ["llava", "llava_next", "onevision", "qwen_vl", "smolvlm"])
def test_any_model_that_sees_is_shown_one_grid(
    name: str, tiny_model: Callable[[str], Path], make_clip: MakeClip
) -> None:
    clip = make_clip(seconds=1, size=(96, 64))
    settings = {"method": "ig-vlm", "chat.model": str(tiny_model(name)), "chat.max_new_tokens": 4}
    session = Session(settings=settings)
    (grid,) = plan_of(session, clip)["visuals"]["pictures"]
    assert (grid["rows"], grid["columns"]) == (3, 2)
    assert (grid["width"], grid["height"]) == (192, 192)
    assert grid["tokens"] == session.context.pool.chat().image_tokens(192, 192)
    answer = session.ask(clip, QUESTION)
    assert answer.method == "ig-vlm"
    assert answer.total("decodes") == 1
    assert answer.total("input_tokens") > grid["tokens"] * answer.total("model_calls")
    assert session.ask(clip, "And then?").total("decodes") == 0


@pytest.mark.parametrize(
    ("size", "grid_size", "tokens"),
    [
        ((640, 360), (1280, 1080), 2536),
        ((480, 360), (960, 1080), 2640),
        ((360, 640), (720, 1920), 2176),
    ],
)
def test_six_frames_cost_what_llava_next_was_said_to_cost(
    tiny_model: Callable[[str], Path],
    make_clip: MakeClip,
    size: tuple[int, int],
    grid_size: tuple[int, int],
    tokens: int,
) -> None:
    """Behaviour 26."""
    clip = make_clip(seconds=0.4, size=size)
    settings = {"method": "ig-vlm", "chat.model": str(tiny_model("llava_next"))}
    (grid,) = plan_of(Session(settings=settings), clip)["visuals"]["pictures"]
    assert (grid["width"], grid["height"], grid["tokens"]) == (*grid_size, tokens)


def test_frames_cover_the_tail_unless_parity_is_wanted(
    open_session: Open, watching: Any, make_clip: MakeClip
) -> None:
    clip = make_clip(seconds=12, size=(48, 32))
    default = plan_of(open_session(watching(), method="ig-vlm"), clip)
    assert ids(default) == [25, 75, 125, 175, 225, 275]
    assert [frame["time_s"] for frame in default["frames"]] == [1.0, 3.0, 5.0, 7.0, 9.0, 11.0]
    parity = {"method": "ig-vlm", "ig-vlm.parity": True}
    assert ids(plan_of(open_session(watching(), **parity), clip)) == [0, 50, 100, 150, 200, 250]
    eight = {**parity, "ig-vlm.frames": 8}
    assert ids(plan_of(open_session(watching(), **eight), clip)) == [37 * i for i in range(8)]


@pytest.mark.parametrize(
    ("count", "shape"), [(1, (1, 1)), (2, (2, 1)), (3, (2, 2)), (4, (2, 2)), (5, (3, 2))]
)
def test_a_short_clip_gets_a_smaller_grid(
    open_session: Open, watching: Any, make_clip: MakeClip, count: int, shape: tuple[int, int]
) -> None:
    clip = make_clip(times=[number / 5 for number in range(count)], fps=5, size=(48, 32))
    chat = watching()
    session = open_session(chat, method="ig-vlm")
    planned = plan_of(session, clip)
    assert ids(planned) == list(range(count))
    (grid,) = planned["visuals"]["pictures"]
    session.ask(clip, QUESTION)
    (sent,) = chat.pictures
    assert pixels(sent).shape == (grid["height"], grid["width"], 3)
    assert (grid["rows"], grid["columns"]) == shape
    parity = open_session(chat, **{"method": "ig-vlm", "ig-vlm.parity": True})
    if count == 5:  # five frames of a second are counted as six
        assert ids(plan_of(parity, clip)) == [0, 1, 2, 3, 4]
        return
    with pytest.raises(InputError, match="run without --parity"):
        parity.ask(clip, QUESTION)


def test_the_model_gets_the_frames_in_true_colours_and_the_user_the_same_file(
    open_session: Open, watching: Any, make_clip: MakeClip, tmp_path: Path
) -> None:
    def reddish(time_s: float, width: int, height: int) -> np.ndarray[Any, Any]:
        picture = np.zeros((height, width, 3), np.uint8)
        picture[..., 0], picture[..., 2] = 220, 40 + 60 * time_s
        return picture

    clip = make_clip(seconds=3, size=(64, 48), draw=reddish, matrix="bt709")
    chat = watching()
    events = open_session(chat, method="ig-vlm").stream(
        clip, QUESTION, save_visuals=tmp_path / "seen"
    )
    assert list(events)[-1].kind == "answer"
    (sent,) = chat.pictures
    (saved,) = (tmp_path / "seen").iterdir()
    assert saved.read_bytes() == sent
    times = [0.24, 0.72, 1.24, 1.72, 2.24, 2.72]
    assert saved.name == "001-grid-0.240s-2.720s.jpg"
    wanted = compose_grid([f.image for f in open_video(probe(clip)).at(times)]).astype(float)
    got = pixels(sent).astype(float)
    assert abs(got - wanted).mean() < 3 < 20 < abs(got[..., ::-1] - wanted).mean()


def test_the_text_says_how_to_read_the_grid_and_parity_leaves_the_times_out(
    open_session: Open, watching: Any, make_clip: MakeClip
) -> None:
    clip = make_clip(seconds=12, size=(48, 32))
    chat = watching()
    open_session(chat, method="ig-vlm").ask(clip, QUESTION)
    assert "in 3 rows and 2 columns" in chat.asked[-1]
    assert "0:01, 0:03, 0:05, 0:07, 0:09, 0:11" in chat.asked[-1]
    assert "blank" not in chat.asked[-1]
    open_session(chat, **{"method": "ig-vlm", "ig-vlm.parity": True}).ask(clip, QUESTION)
    assert "0:0" not in chat.asked[-1].replace("of 0:12", "")
    open_session(chat, **{"method": "ig-vlm", "ig-vlm.frames": 5}).ask(clip, QUESTION)
    assert "are blank" in chat.asked[-1]


@pytest.mark.parametrize(
    ("clip", "published"),
    [
        ({"seconds": 221 / 25}, [0, 37, 74, 111, 148, 185]),
        ({"seconds": 149 / 25}, [0, 25, 50, 75, 100, 125]),
        ({"seconds": 125 / 24, "fps": 24}, [0, 21, 42, 63, 84, 105]),
        ({"seconds": 305 / 30, "fps": 30}, [0, 51, 102, 153, 204, 255]),
        ({"seconds": 101 / NTSC, "fps": NTSC}, [0, 16, 32, 48, 64, 80]),
        ({"seconds": 29 / 25}, [0, 4, 8, 12, 16, 20]),
        ({"seconds": 5 / 25}, [0, 1, 2, 3, 4]),
        ({"seconds": 5 / 24, "fps": 24}, [0, 1, 2, 3, 4, 4]),
        ({"times": [n / 25 for n in range(280) if not 20 <= n < 100]}, [0, 19, 19, 58, 104, 150]),
        (
            {"times": [n / 25 for n in range(100)], "seconds": 9, "audio": True},
            [0, 37, 74, 99, 99, 99],
        ),
    ],
    ids=["221", "149", "125@24", "305@30", "101@29.97", "29", "5", "5@24", "variable", "sound"],
)
def test_parity_takes_the_frames_that_moviepy_gives_ig_vlm(
    open_session: Open,
    watching: Any,
    make_clip: MakeClip,
    clip: dict[str, Any],
    published: list[int],
) -> None:
    """Steady rates; a variable rate, stepped through in time; sound longer than the picture."""
    session = open_session(watching(), **{"method": "ig-vlm", "ig-vlm.parity": True})
    file = make_clip(size=(48, 32), **clip)
    plan = plan_of(session, file)
    assert ids(plan) == published
    (grid,) = plan["visuals"]["pictures"]
    assert grid["rows"] * grid["columns"] == 6
    assert session.ask(file, QUESTION).answer == "7391"


def test_parity_gives_a_local_model_the_very_pixels_of_the_grid(
    tiny_model: Callable[[str], Path],
    open_session: Open,
    watching: Any,
    make_clip: MakeClip,
    tmp_path: Path,
) -> None:
    """A server's model gets JPEG, as GPT-4V did."""
    clip = make_clip(seconds=1, size=(48, 32))
    parity = {"method": "ig-vlm", "ig-vlm.parity": True}
    local = Session(
        settings={
            **parity, "chat.model": str(tiny_model("llava")), "chat.max_new_tokens": 2,
            "library": str(tmp_path / "library"),
        }
    )  # fmt: skip
    list(local.stream(clip, QUESTION, save_visuals=tmp_path / "local"))
    (saved,) = (tmp_path / "local").iterdir()
    frames = [frame.image for frame in open_video(probe(clip)).at([n * 4 / 25 for n in range(6)])]
    assert saved.suffix == ".png"
    np.testing.assert_array_equal(pixels(saved.read_bytes()), compose_grid(frames))
    served = open_session(watching(), **parity)
    list(served.stream(clip, QUESTION, save_visuals=tmp_path / "served"))
    (sent,) = (tmp_path / "served").iterdir()
    assert sent.suffix == ".jpg"


@pytest.mark.parametrize("method", ["ig-vlm", "ts-llava"])
@pytest.mark.parametrize(
    ("reply", "choice"),
    [("B. not A: y", 0), ("Dog", 3), ("A person walks", 0), (" C", None), ("hm", None)],
)
def test_parity_reads_one_reply_by_the_published_parser(
    open_session: Open, watching: Any, make_clip: MakeClip, method: str, reply: str, choice: int
) -> None:
    chat = watching(replies=[reply, "B"])
    session = open_session(chat, **{"method": method, f"{method}.parity": True})
    clip, options = make_clip(seconds=1, size=(48, 32)), ("x", "y", "z", "u")
    answer = session.ask(clip, QUESTION, options)
    assert (answer.choice, answer.abstained) == (choice, choice is None)
    assert answer.total("model_calls") == 1 == session.plan(clip, QUESTION, options).calls[1]
    assert answer.total("scored") == 0


@pytest.mark.parametrize(("method", "choice"), [("ig-vlm", None), ("ts-llava", 2)])
def test_of_the_published_parsers_ts_llava_s_alone_takes_a_small_letter(
    open_session: Open, watching: Any, make_clip: MakeClip, method: str, choice: int | None
) -> None:
    session = open_session(watching(replies=["c"]), **{"method": method, f"{method}.parity": True})
    assert session.ask(make_clip(seconds=1), QUESTION, ("x", "y", "z")).choice == choice


def test_numbers_and_times_stand_above_the_cells_if_wanted(
    open_session: Open, watching: Any, make_clip: MakeClip
) -> None:
    clip, chat = make_clip(seconds=1, size=(96, 64)), watching()
    session = open_session(
        chat, **{"method": "ig-vlm", "ig-vlm.numbered": True, "ig-vlm.max_side": 150}
    )
    (grid,) = plan_of(session, clip)["visuals"]["pictures"]
    assert (grid["width"], grid["height"]) == (120, 150)  # of 192 x 240
    session.ask(clip, QUESTION)
    assert pixels(chat.pictures[0]).shape == (150, 120, 3)
    assert "Above each cell" in chat.asked[-1]


def test_a_grid_that_is_too_much_loses_cells_and_the_answer_says_so(
    open_session: Open, watching: Any, make_clip: MakeClip
) -> None:
    left = [1, 1]

    def refuse(prompt: str) -> None:
        if left:
            left.pop()
            raise ContextOverflowError("scripted", 9000, 8192)

    chat = watching(on_call=refuse)
    answer = open_session(chat, method="ig-vlm").ask(make_clip(seconds=2), QUESTION)
    assert answer.answer == "7391"
    assert pixels(chat.pictures[0]).shape == (240, 320, 3)
    assert "cut to 1 cells" in answer.reason
    assert len(answer.evidence) == 1


def test_files_without_a_readable_picture_are_refused_in_one_line(
    reelgraph: Command, scripted_chat: Any, make_clip: MakeClip, tmp_path: Path
) -> None:
    scripted_chat.images = True
    sound = make_clip("sound.wav", picture=False, audio=True)
    torn = tmp_path / "torn.mp4"
    torn.write_bytes(b"\x00\x00\x00\x18ftypmp42" + bytes(5000))
    for method in ("ig-vlm", "ts-llava"):
        for file in (sound, torn):
            done = reelgraph("ask", file, QUESTION, "--method", method)
            assert done.code == 2
            assert done.err.count("error:") == 1
            assert not done.out


def test_the_plan_is_printed_before_any_call(
    reelgraph: Command, scripted_chat: Any, make_clip: MakeClip
) -> None:
    scripted_chat.images = True
    clip = make_clip(seconds=2)
    options = ("ask", clip, QUESTION, "--method", "ig-vlm")
    planned = json.loads(reelgraph(*options, "--dry-run", "--json").out)
    assert not scripted_chat.seen
    assert planned["prompts"]["given_grid"] == prompts.version("given_grid")
    assert planned["calls"] == [1, 2]
    assert planned["tokens"] == planned["visuals"]["visual_tokens"] == 100
    assert len(planned["frames"]) == 6
    parity = json.loads(reelgraph(*options, "--dry-run", "--json", "--parity").out)
    assert parity["visuals"]["parity"] is True
    assert parity["plan"] != planned["plan"]
    answer = json.loads(reelgraph(*options, "--json").out)
    assert answer["plan"] == planned["plan"]
    assert answer["prompts"].keys() <= planned["prompts"].keys()


@pytest.mark.parametrize(
    ("method", "parity"),
    [
        ("direct", False),
        *product(("ig-vlm", "ts-llava", "video-rag"), (False, True)),
    ],
)
def test_a_dry_run_saves_the_pictures_of_the_run_and_calls_nothing(
    reelgraph: Command,
    scripted_chat: Any,
    make_clip: MakeClip,
    tmp_path: Path,
    method: str,
    parity: bool,
) -> None:
    scripted_chat.images = True
    clip = make_clip(seconds=2, subtitles=[(0, 1, "The gate code is 7391.")])
    options = ("--method", method, *(["--parity"] if parity else []))
    asked = ("ask", clip, "What is the gate code?", *options, "--save-visuals")
    planned = reelgraph(*asked, tmp_path / "planned", "--dry-run")
    assert planned.code == 0, planned.err
    assert json.loads(planned.out)["method"] == method
    assert not scripted_chat.seen
    assert reelgraph(*asked, tmp_path / "run").code == 0
    saved = [
        {file.name: file.read_bytes() for file in (tmp_path / name).iterdir()}
        for name in ("planned", "run")
    ]
    assert saved[0] == saved[1]
    assert saved[0]


def test_options_that_make_no_sense_are_refused(
    reelgraph: Command, scripted_chat: Any, make_clip: MakeClip, tmp_path: Path
) -> None:
    def refused(*options: object) -> str:
        done = reelgraph("ask", clip, QUESTION, *options)
        assert done.code == 2
        return str(done.err)

    clip = make_clip(seconds=1)
    assert "take one of ig-vlm, llovi, " in refused("--parity")
    shows = ("--dry-run", "--save-visuals", tmp_path / "shown", "--method")
    assert "blind knows no pictures" in refused(*shows, "blind")
    assert "needs a chat model with images" in refused("--method", "ig-vlm")
    assert "needs a chat model with images" in refused("--method", "ts-llava")
    assert "got --method blind" in refused("--method", "blind", "--parity")
    (tmp_path / "file").write_text("in the way")
    scripted_chat.images = True
    taken = ("--method", "direct", "--save-visuals", tmp_path / "file" / "below")
    done = reelgraph("ask", clip, QUESTION, *taken)
    assert done.code == 1
    assert "give another folder with --save-visuals" in done.err


def test_pictures_of_other_methods_are_saved_too(
    open_session: Open, watching: Any, make_clip: MakeClip, tmp_path: Path
) -> None:
    chat, folder = watching(), tmp_path / "seen"
    clip = make_clip(seconds=2)
    for count in (3, 2):  # of the longer run nothing must be left that the shorter did not show
        session = open_session(chat, **{"method": "direct", "direct.frames": count})
        list(session.stream(clip, QUESTION, save_visuals=folder / str(count)))
        saved: Sequence[Path] = sorted((folder / str(count)).iterdir())
        assert [file.read_bytes() for file in saved] == chat.pictures
    assert [file.name for file in saved] == ["001-frame-0.480s.jpg", "002-frame-1.480s.jpg"]
