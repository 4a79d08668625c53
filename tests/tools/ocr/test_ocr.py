import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from tools.base import ToolInput, ToolRuntime
from tools.errors import MissingError, StoppedError, StorageError
from tools.evidence import Evidence
from tools.media.frames import FrameSet, StoredFrame
from tools.media.video import Video
from tools.ocr.paddle import WHEEL_MODELS, make_model_folder, wheel_file
from tools.ocr.tool import Ocr, OcrOptions

VIDEO = Video(Path("a.mp4"), "0" * 64, 30, 1280, 720, 0, None, False, ())
MENU = [
    (80, 60, "Menu of the day"),
    (80, 200, "Coffee"),
    (900, 200, "3.50"),
    (80, 280, "Green tea"),
    (900, 280, "2.80"),
]
LOAD_WITHOUT_NETWORK = """
import pathlib, socket, sys

def refuse(*_, **__):
    print("a network connection was tried")
    raise OSError("no network")

socket.socket.connect = socket.getaddrinfo = refuse
from tools.base import ToolRuntime
from tools.ocr.tool import Ocr

Ocr().setup(ToolRuntime("cpu", offline=True, models=pathlib.Path(sys.argv[1])))
"""


def slide(
    lines: list[tuple[int, int, str]], ink: str = "black", paper: str = "white"
) -> Image.Image:
    picture = Image.new("RGB", (1280, 720), paper)
    draw = ImageDraw.Draw(picture)
    for left, top, text in lines:
        draw.text((left, top), text, fill=ink, font=ImageFont.load_default(44))
    return picture


def frame_set(folder: Path, shown: list[tuple[float, float, Image.Image]]) -> FrameSet:
    frames = []
    for number, (start_s, end_s, picture) in enumerate(shown):
        path = folder / f"{number}.jpg"
        picture.save(path, quality=90)
        frames.append(StoredFrame(number, start_s, end_s, path))
    return FrameSet(folder, shown[-1][1], tuple(frames), ())


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("models")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PADDLE_PDX_CACHE_HOME", str(folder / "paddlex"))
        yield folder


@pytest.fixture(scope="module")
def ocr(models: Path) -> Ocr:
    tool = Ocr()
    tool.setup(ToolRuntime("cpu", offline=True, models=models))
    return tool


def run(tool: Ocr, frames: FrameSet, **given: Any) -> list[Evidence]:
    return list(tool.run(ToolInput(VIDEO, frames, **given)))


def test_slides_are_read_exactly_and_told_once(ocr: Ocr, tmp_path: Path) -> None:
    code = (80, 420, "The gate code is 7391.")
    frames = frame_set(
        tmp_path,
        [
            (0, 10, slide(MENU)),
            (10, 20, slide([*MENU, code])),
            (20, 24, slide([*MENU, (80, 420, "The gate code is 7397.")])),
            (24, 30, slide([(80, 60, "Opening hours: 09:00 - 17:30")], "yellow", "navy")),
        ],
    )
    progress: list[tuple[float, float]] = []
    found = run(ocr, frames, progress=lambda done, total: progress.append((done, total)))
    assert [(one.start_s, one.end_s, one.text) for one in found] == [
        (0, 24, "Menu of the day | Coffee 3.50 | Green tea 2.80"),
        (10, 20, "The gate code is 7391."),
        (20, 24, "The gate code is 7397."),
        (24, 30, "Opening hours: 09:00 - 17:30"),
    ]
    assert progress == [(10, 30), (20, 30), (24, 30), (30, 30)]
    assert {(one.tool, one.kind) for one in found} == {("ocr", "text")}
    assert all(0.5 < one.score <= 1 for one in found)


def test_it_tells_the_bytes_of_its_weights(ocr: Ocr) -> None:
    assert Ocr().memory_bytes == 0
    stored = sum(wheel_file(name).stat().st_size for name in WHEEL_MODELS)
    assert stored <= ocr.memory_bytes < 1.1 * stored


def test_boxes_are_fractions_around_the_ink(ocr: Ocr, tmp_path: Path) -> None:
    picture = slide(MENU)
    found = run(ocr, frame_set(tmp_path, [(0, 5, picture)]))
    lines = json.loads(json.dumps(found[0].to_json()))["data"]["lines"]
    ink = np.argwhere(np.asarray(picture).min(axis=2) < 128) / [720, 1280]
    for line in lines:
        left, top, right, bottom = line["box"]
        inside = ink[(ink[:, 0] >= top) & (ink[:, 0] <= bottom), 1]
        assert 0 <= left < inside.min() < inside.max() < right <= 1
    assert [line["text"] for line in lines] == ["Menu of the day", "Coffee 3.50", "Green tea 2.80"]


def test_two_panels_are_columns_and_keep_their_tables(ocr: Ocr, tmp_path: Path) -> None:
    picture = Image.new("RGB", (1280, 720), "tan")
    draw = ImageDraw.Draw(picture)
    draw.rectangle((40, 80, 600, 560), "navy")
    draw.rectangle((640, 80, 1240, 560), "white")
    font = ImageFont.load_default(44)
    for n, text in enumerate(["Opening hours", "Tuesday to Sunday", "9:30 - 17:45"]):
        draw.text((80, 120 + 100 * n), text, "gold", font)
    prices = [("Tickets", ""), ("Adults", "14.50"), ("Students", "9.00"), ("Under 12", "free")]
    for n, (label, value) in enumerate(prices):
        draw.text((680, 120 + 100 * n), label, "black", font)
        draw.text((1080, 120 + 100 * n), value, "black", font)
    (found,) = run(ocr, frame_set(tmp_path, [(0, 5, picture)]))
    assert found.text == (
        "Opening hours | Tuesday to Sunday | 9:30 - 17:45"
        " | Tickets | Adults 14.50 | Students 9.00 | Under 12 free"
    )


def test_labels_side_by_side_are_the_pieces_of_their_row(ocr: Ocr, tmp_path: Path) -> None:
    names = ["Petrel", "Grey Marten", "Old Bess"]
    picture = slide([(60 + 400 * n, 500, name) for n, name in enumerate(names)])
    (found,) = run(ocr, frame_set(tmp_path, [(0, 5, picture)]))
    assert found.text == "Petrel | Grey Marten | Old Bess"
    (line,) = json.loads(json.dumps(found.to_json()))["data"]["lines"]
    assert [piece["text"] for piece in line["pieces"]] == names
    for n, piece in enumerate(line["pieces"]):
        assert (60 + 400 * n) / 1280 == pytest.approx(piece["x0"], abs=0.02)
        assert piece["x0"] < piece["x1"]
        assert 500 / 720 < (piece["y0"] + piece["y1"]) / 2 < 560 / 720


def test_beside_a_moving_scene_only_changed_text_is_read_again(
    ocr: Ocr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[tuple[float, float, Image.Image]] = []
    for number, price in enumerate(["3.50", "3.50", "8.50", "8.50"]):
        picture = slide([*MENU[:2], (900, 200, price)])
        ImageDraw.Draw(picture).ellipse((200 * number, 500, 200 * number + 120, 620), "teal")
        shown.append((5 * number, 5 * number + 5, picture))
    assert ocr._engine is not None
    read: list[int] = []
    recognise = ocr._engine.recognise
    monkeypatch.setattr(
        ocr._engine,
        "recognise",
        lambda picture, places: read.append(len(places)) or recognise(picture, places),
    )
    found = run(ocr, frame_set(tmp_path, shown))
    assert [(one.start_s, one.end_s, one.text) for one in found] == [
        (0, 20, "Menu of the day"),
        (0, 10, "Coffee 3.50"),
        (10, 20, "Coffee 8.50"),
    ]
    assert len(read) == 2
    assert read[1] == 1  # the new price


def test_min_confidence_is_a_strict_bound(models: Path, ocr: Ocr, tmp_path: Path) -> None:
    frames = frame_set(tmp_path, [(0, 5, slide(MENU))])
    sure = Ocr(OcrOptions(min_confidence=1.0))
    sure._engine = ocr._engine
    assert run(sure, frames) == []


def test_a_picture_without_text_gives_nothing(ocr: Ocr, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (360, 640, 3), np.uint8)
    frames = frame_set(tmp_path, [(0, 1, Image.fromarray(noise)), (1, 2, slide([]))])
    assert run(ocr, frames) == []


def test_stop_is_heard_before_each_picture(ocr: Ocr, tmp_path: Path) -> None:
    frames = frame_set(tmp_path, [(0, 1, slide(MENU)), (1, 2, slide([]))])
    done: list[float] = []
    with pytest.raises(StoppedError):
        run(ocr, frames, progress=lambda done_s, _: done.append(done_s), stopped=lambda: bool(done))
    assert done == [1]


@pytest.mark.slow
def test_loading_prints_nothing_and_tries_no_network(models: Path) -> None:
    # A process of its own: PaddleX looks for the network when it is imported, once.
    command = [sys.executable, "-c", LOAD_WITHOUT_NETWORK, str(models)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


def test_named_models_load_from_disk_when_offline(models: Path, ocr: Ocr, tmp_path: Path) -> None:
    options = OcrOptions(
        engine="paddleocr", det_model="PP-OCRv6_small_det", rec_model="PP-OCRv6_small_rec"
    )
    tool = Ocr(options)
    runtime = ToolRuntime("cpu", offline=True, models=models)
    with pytest.raises(MissingError, match=r"PP-OCRv6_small_det .* engine=onnx"):
        tool.setup(runtime)
    for name in (options.det_model, options.rec_model):
        home = models / "paddlex" / "official_models" / f"{name}_onnx"
        shutil.copytree(make_model_folder(name, models), home)
    tool.setup(runtime)
    found = run(tool, frame_set(tmp_path, [(0, 5, slide(MENU[:1]))]))
    assert [one.text for one in found] == ["Menu of the day"]


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({}, ["PP-OCRv6_medium_det", "PP-OCRv6_medium_rec"]),
        ({"language": "cyrillic"}, ["PP-OCRv5_server_det", "cyrillic_PP-OCRv5_mobile_rec"]),
        ({"det_model": "PP-OCRv5_mobile_det"}, ["PP-OCRv5_mobile_det", "PP-OCRv6_medium_rec"]),
    ],
)
def test_language_names_models_that_paddleocr_knows(
    options: dict[str, str], names: list[str]
) -> None:
    from paddlex.inference.utils.official_models import ONNX_SUPPORTED_MODELS

    chosen = OcrOptions.model_validate({"engine": "paddleocr", **options}).model_names()
    assert chosen == names
    assert set(names) <= ONNX_SUPPORTED_MODELS


def test_model_folder_appears_whole_and_only_once(tmp_path: Path) -> None:
    folder = make_model_folder("PP-OCRv6_small_det", tmp_path)
    assert {path.name for path in folder.iterdir()} == {"inference.onnx", "inference.yml"}
    assert list(folder.parent.iterdir()) == [folder]
    made = (folder / "inference.yml").stat().st_mtime_ns
    assert make_model_folder("PP-OCRv6_small_det", tmp_path) == folder
    assert (folder / "inference.yml").stat().st_mtime_ns == made


def test_a_place_that_cannot_hold_models_is_a_storage_error(tmp_path: Path) -> None:
    place = tmp_path / "models"
    place.write_text("a file, not a folder")
    with pytest.raises(StorageError, match="Cannot write the OCR model"):
        make_model_folder("PP-OCRv6_small_det", place)


def test_without_the_wheel_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.ocr.paddle.find_spec", lambda name: None)
    there = Ocr().available()
    assert not there.ok
    assert "rapidocr" in there.remedy
    assert Ocr(OcrOptions(engine="paddleocr")).available().ok


def test_frames_of_real_clips_are_read_without_error(ocr: Ocr, media: Path, tmp_path: Path) -> None:
    import av

    with av.open(str(media / "living_room.mp4")) as container:
        picture = next(container.decode(video=0)).to_image()
    for one in run(ocr, frame_set(tmp_path, [(0, 1, picture)])):
        assert one.text


def test_what_was_kept_is_not_done_again(ocr: Ocr, tmp_path: Path, kept: SimpleNamespace) -> None:
    more = [*MENU, (80, 420, "The gate code is 7391.")]
    frames = frame_set(
        tmp_path, [(0, 10, slide(MENU)), (10, 20, slide(more)), (20, 30, slide(MENU))]
    )
    found = run(ocr, frames, keep=kept.keep)
    assert run(ocr, frames, keep=kept.recall) == found == run(ocr, frames)
    assert len(kept.pieces) == 3


def test_a_ticker_a_clock_and_credits_are_one_record_each(ocr: Ocr, tmp_path: Path) -> None:
    news = "Harbour ferry is late today - Storm expected in the north on Friday"
    names = ["Anna Berg", "Jonas Lindqvist", "Maria Castellano", "Peter Novak"]
    shown = []
    for n in range(7):
        rolling = [(700, 420 + 90 * k - 60 * n, name) for k, name in enumerate(names)]
        rolling = [one for one in rolling if 100 < one[1] < 480]
        lines = [(900 - 240 * n, 640, news), (60, 40, f"12:0{n}"), *rolling]
        shown.append((float(n), n + 1.0, slide(lines)))
    together, credits = run(ocr, frame_set(tmp_path, shown))
    assert [(line["text"], line["start_s"], line["end_s"]) for line in together.data["lines"]] == [
        ("12:00 … 12:06", 0, 7),
        (news, 0, 7),
    ]
    assert credits.text == " | ".join(names)
