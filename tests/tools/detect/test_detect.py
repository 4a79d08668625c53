import io
import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image, ImageDraw, UnidentifiedImageError

from tools.base import ToolInput, ToolRuntime
from tools.detect.hog import one_per_place
from tools.detect.tool import (
    Detect,
    Detection,
    DetectOptions,
    Sight,
    merge_sights,
    plural,
    say_counts,
)
from tools.errors import InputError, MissingError, StoppedError
from tools.evidence import Evidence
from tools.media.frames import FrameSet, StoredFrame, sample_frames
from tools.media.readers import open_video
from tools.media.video import Video, probe

VIDEO = Video(Path("a.mp4"), "0" * 64, 9, 640, 480, 0, None, False, ())
NAMES = ("person", "car", "dog")


def noise(seed: int) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 255, (12, 16, 3), np.uint8)
    return Image.fromarray(coarse).resize((320, 240))


def street(*centres: int) -> Image.Image:
    """A plain wall with a person drawn at each centre, in pixels from the left."""
    picture = Image.new("RGB", (640, 480), (150, 160, 170))
    for x in centres:
        draw_person(ImageDraw.Draw(picture), x, 120, 300 / 8)
    return picture


def draw_person(draw: ImageDraw.ImageDraw, x: float, top: float, head: float) -> None:
    coat, legs = (40, 40, 60), (30, 30, 40)

    def rounded(left: float, above: float, right: float, below: float, radius: float) -> None:
        corners = (x + left * head, top + above * head, x + right * head, top + below * head)
        draw.rounded_rectangle(corners, radius=radius * head, fill=coat)

    draw.ellipse((x - head / 2, top, x + head / 2, top + 1.1 * head), fill=(200, 160, 140))
    rounded(-1, 1.2, 1, 4.2, 0.5)
    rounded(-1.4, 1.4, -0.9, 4.3, 0.2)
    rounded(0.9, 1.4, 1.4, 4.3, 0.2)
    for side in (-1, 1):
        leg = [(0.9, 4), (0.1, 4), (0.3, 8), (0.9, 8)]
        draw.polygon([(x + side * a * head, top + b * head) for a, b in leg], fill=legs)


def frame_set(folder: Path, pictures: list[Image.Image]) -> FrameSet:
    folder.mkdir(exist_ok=True)
    frames = []
    for number, picture in enumerate(pictures):
        path = folder / f"{number}.jpg"
        picture.save(path, quality=95)
        frames.append(StoredFrame(number, number, number + 1, path))
    return FrameSet(folder, len(pictures), tuple(frames), ())


def detect(options: DetectOptions, models: Path, **runtime: Any) -> Detect:
    tool = Detect(options)
    tool.setup(ToolRuntime(**{"device": "cpu", "offline": True, "models": models} | runtime))
    return tool


def run(tool: Detect, frames: FrameSet, **given: Any) -> list[Evidence]:
    return list(tool.run(ToolInput(VIDEO, frames, **given)))


def test_counts_read_like_english() -> None:
    assert say_counts({"car": 1, "person": 2, "bus": 2}) == "2 buses, 2 persons, 1 car"
    assert [plural(label) for label in ("dog", "glass", "scissors", "toy", "lady", "bench")] == [
        "dogs",
        "glasses",
        "scissors",
        "toys",
        "ladies",
        "benches",
    ]


def test_pictures_with_equal_counts_merge_and_keep_the_surest_boxes() -> None:
    def sight(at_s: float, *found: tuple[str, float]) -> Sight:
        box = (0.0, 0.0, at_s / 10, 1.0)
        return Sight(at_s, at_s + 1, tuple(Detection(*one, box) for one in found))

    merged = list(
        merge_sights(
            iter(
                [
                    sight(0, ("dog", 0.5), ("cat", 0.5)),
                    sight(1, ("cat", 0.9), ("dog", 0.8)),
                    sight(2),
                    sight(3, ("dog", 0.5), ("cat", 0.5)),
                    sight(4, ("dog", 0.5)),
                ]
            )
        )
    )
    assert [(one.start_s, one.end_s, len(one.detections)) for one in merged] == [
        (0, 2, 2),
        (2, 3, 0),
        (3, 4, 2),
        (4, 5, 1),
    ]
    assert merged[0].score == pytest.approx(0.85)
    assert merged[0].detections[0].box[2] == 0.1


def test_pictures_with_a_gap_between_them_stay_apart() -> None:
    dog = (Detection("dog", 0.5, (0.0, 0.0, 1.0, 1.0)),)
    sights = [Sight(0, 1, dog, 0, 0.0), Sight(1, 2, dog, 1, 1.0), Sight(50, 51, dog, 9, 50.0)]
    merged = list(merge_sights(iter(sights)))
    assert [(one.start_s, one.end_s, one.frame) for one in merged] == [(0, 2, 0), (50, 51, 9)]


class TestHog:
    def test_people_are_found_and_merged_in_time(self, tmp_path: Path) -> None:
        pictures = [street(320), street(320), street(), street(180, 460)]
        found = run(detect(DetectOptions(), tmp_path), frame_set(tmp_path, pictures))
        assert [(one.start_s, one.end_s, one.text) for one in found] == [
            (0, 2, "at least 1 person"),
            (3, 4, "at least 2 persons"),
        ]
        for evidence, centres in zip(found, ([0.5], [180 / 640, 460 / 640]), strict=True):
            boxes = sorted(evidence.data["boxes"])
            assert [(box[0] + box[2]) / 2 for box in boxes] == pytest.approx(centres, abs=0.05)
            assert all(0 <= side <= 1 for box in boxes for side in box)
        assert json.loads(json.dumps(found[1].to_json()))["data"]["counts"] == {"person": 2}

    def test_parts_of_a_person_are_not_counted_as_people(self) -> None:
        def found(score: float, left: float, top: float, width: float) -> Detection:
            return Detection("person", score, (left, top, left + width, top + 2 * width))

        shadow, torso, leg = (
            found(1, 0.5, 0, 0.2),
            found(0.7, 0.5, 0.1, 0.2),
            found(0.6, 0.62, 0.5, 0.1),
        )
        aside = found(0.8, 0.1, 0.1, 0.2)
        assert one_per_place([torso, leg, shadow, aside]) == [shadow, aside]

    def test_at_least_holds_in_a_real_clip(self, media: Path, tmp_path: Path) -> None:
        video = probe(media / "stretching.mp4")  # two people, all the time
        frames = sample_frames(open_video(video), tmp_path / "frames", video.duration_s, 0.5)
        found = run(detect(DetectOptions(), tmp_path), frames)
        assert found
        assert max(one.data["counts"]["person"] for one in found) <= 2

    def test_small_and_flat_pictures_do_not_break_it(self, tmp_path: Path) -> None:
        pictures = [Image.new("RGB", (20, 10)), Image.new("RGB", (2000, 30), "white")]
        assert run(detect(DetectOptions(), tmp_path), frame_set(tmp_path, pictures)) == []

    def test_no_person_in_clips_without_standing_people(self, media: Path, tmp_path: Path) -> None:
        import av

        with av.open(str(media / "living_room.mp4")) as container:
            pictures = [
                frame.to_image()
                for number, frame in enumerate(container.decode(video=0))
                if number % 30 == 0
            ]
        assert len(pictures) > 3
        assert run(detect(DetectOptions(), tmp_path), frame_set(tmp_path, pictures)) == []

    def test_runs_beside_each_other_find_what_each_finds_alone(self, tmp_path: Path) -> None:
        tool = detect(DetectOptions(batch=1), tmp_path)
        assert tool.reentrant
        assert not Detect(DetectOptions(engine="yolo")).reentrant
        streets = [[street(320)], [street(180, 460)], [street()], [street(100)]]
        frames = [frame_set(tmp_path / str(n), pictures) for n, pictures in enumerate(streets)]
        alone = [run(tool, each) for each in frames]
        with ThreadPoolExecutor(4) as threads:
            together = list(threads.map(partial(run, tool), frames * 4))
        assert together == alone * 4

    def test_stop_is_heard(self, tmp_path: Path) -> None:
        tool = detect(DetectOptions(batch=1), tmp_path)
        with pytest.raises(StoppedError):
            run(tool, frame_set(tmp_path, [street()]), stopped=lambda: True)


def shrink(source: str, folder: Path, classes: int) -> Path:
    """Write ultralytics' own model description with an eighth of the channels."""
    import ultralytics

    home = Path(ultralytics.__file__).parent / "cfg" / "models"
    config = yaml.safe_load((home / source).read_text())
    config |= {"nc": classes, "scales": {"n": [0.33, 0.125, 256]}, "scale": "n"}
    path = folder / Path(source).name
    path.write_text(yaml.safe_dump(config))
    return path


def liven(network: Any, class_heads: list[Any]) -> None:
    """Make random weights find something: settle batch norms, lift the class scores."""
    import torch

    network.train()
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = None  # a plain mean over what it is shown
    with torch.no_grad():
        for _ in range(4):
            network.predict(torch.rand(2, 3, 160, 160))
    for head in class_heads:
        torch.nn.init.constant_(head.bias, -1.0)
    network.eval()


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with tiny.pt, tiny-world.pt and tiny-yoloe.pt."""
    folder = tmp_path_factory.mktemp("weights")
    build_weights(folder)
    return folder


def build_weights(folder: Path) -> None:
    """Write checkpoints of real architectures with random weights."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("YOLO_CONFIG_DIR", str(folder / "ultralytics"))
        from tools.detect.yolo import quiet_ultralytics

        quiet_ultralytics(folder)
        import torch
        from ultralytics import YOLO, YOLOE, YOLOWorld

        torch.manual_seed(0)
        closed = YOLO(str(shrink("26/yolo26.yaml", folder, len(NAMES))))
        head = closed.model.model[-1]
        liven(closed.model, [layers[-1] for layers in (*head.cv3, *head.one2one_cv3)])
        closed.model.names = dict(enumerate(NAMES))
        closed.save(folder / "tiny.pt")

        world = YOLOWorld(str(shrink("v8/yolov8-worldv2.yaml", folder, 80)))
        liven(world.model, list(world.model.model[-1].cv4))
        vectors = torch.nn.functional.normalize(torch.randn(1, len(NAMES), 512), dim=-1)
        world.model.txt_feats, world.model.model[-1].nc = vectors, len(NAMES)
        world.model.names = dict(enumerate(NAMES))
        world.save(folder / "tiny-world.pt")

        promptable = YOLOE(str(shrink("11/yoloe-11.yaml", folder, 80)))
        head = promptable.model.model[-1]
        liven(promptable.model, list(head.cv4))
        promptable.model.names = dict(enumerate(NAMES))
        promptable.model.pe, head.nc = vectors, len(NAMES)
        promptable.save(folder / "tiny-yoloe.pt")


def yolo(engine: str = "yolo", **options: Any) -> DetectOptions:
    small = {"engine": engine, "image_size": 160, "confidence": 0.3}
    name = "tiny.pt" if engine == "yolo" else "tiny-world.pt"
    return DetectOptions.model_validate({"model": name} | small | options)


class TestYolo:
    def test_boxes_labels_and_counts_agree(self, weights: Path, tmp_path: Path) -> None:
        found = run(detect(yolo(), weights), frame_set(tmp_path, [noise(1), noise(2)]))
        assert found
        for evidence in found:
            data = json.loads(json.dumps(evidence.to_json()))["data"]
            assert sum(data["counts"].values()) == len(data["boxes"]) == len(data["labels"])
            assert set(data["labels"]) <= set(NAMES)
            assert data["scores"] == sorted(data["scores"], reverse=True)
            assert all(0.3 < score <= 1 for score in data["scores"])
            for left, top, right, bottom in data["boxes"]:
                assert 0 <= left <= right <= 1
                assert 0 <= top <= bottom <= 1
            assert evidence.text == say_counts(data["counts"])

    def test_a_file_that_is_no_picture_still_is_none(self, weights: Path) -> None:
        """ultralytics would have Pillow install a package instead."""
        detect(yolo(), weights)
        with pytest.raises(UnidentifiedImageError):
            Image.open(io.BytesIO(b"no picture"))

    def test_batches_find_what_single_pictures_give(self, weights: Path, tmp_path: Path) -> None:
        frames = frame_set(tmp_path, [noise(seed) for seed in range(5)])
        one, many = (run(detect(yolo(batch=batch), weights), frames) for batch in (1, 3))
        assert [(e.start_s, e.end_s, e.text) for e in one] == [
            (e.start_s, e.end_s, e.text) for e in many
        ]
        for single, batched in zip(one, many, strict=True):
            assert np.array(single.data["boxes"]) == pytest.approx(
                np.array(batched.data["boxes"]), abs=1e-3
            )

    def test_equal_pictures_are_one_record(self, weights: Path, tmp_path: Path) -> None:
        frames = frame_set(tmp_path, [noise(1)] * 4)
        progress: list[float] = []
        tool = detect(yolo(batch=3), weights)
        found = run(tool, frames, progress=lambda done_s, _: progress.append(done_s))
        assert [(one.start_s, one.end_s) for one in found] == [(0, 4)]
        assert progress == [3, 4]

    def test_a_bound_above_every_score_finds_nothing(self, weights: Path, tmp_path: Path) -> None:
        tool = detect(yolo(confidence=1.0), weights)
        assert run(tool, frame_set(tmp_path, [noise(1)])) == []

    def test_unknown_weights_are_never_fetched_offline(self, tmp_path: Path) -> None:
        with pytest.raises(MissingError, match=r"yolo26n.pt .* run once online"):
            detect(DetectOptions(engine="yolo"), tmp_path)
        assert list(tmp_path.iterdir()) == []

    def test_a_path_that_is_not_there_is_never_fetched(self, tmp_path: Path) -> None:
        with pytest.raises(MissingError, match="gone"):
            detect(yolo(model=str(tmp_path / "gone.pt")), tmp_path, offline=False)

    @pytest.mark.parametrize("model", ["https://example.org/a.pt", "ul://a/b.pt", "model.onnx"])
    def test_addresses_and_other_formats_are_refused(self, model: str, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"give a \.pt file"):
            detect(yolo(model=model), tmp_path)

    def test_a_damaged_checkpoint_is_the_users_input(self, weights: Path, tmp_path: Path) -> None:
        (tmp_path / "bad.pt").write_bytes(b"not a checkpoint")
        with pytest.raises(InputError, match=r"bad\.pt is not a checkpoint"):
            detect(yolo(model="bad.pt"), tmp_path)

    def test_a_checkpoint_cannot_run_code(self, weights: Path, tmp_path: Path) -> None:
        import torch

        torch.save({"model": Trap(tmp_path / "sprung")}, tmp_path / "trap.pt")
        with pytest.raises(InputError, match=r"trap\.pt is not a checkpoint"):
            detect(yolo(model="trap.pt"), tmp_path)
        assert not (tmp_path / "sprung").exists()


class Trap:
    """Unpickling it would make a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        import os

        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("model", ["tiny-world.pt", "tiny-yoloe.pt"])
class TestOpenVocabulary:
    def test_phrases_are_needed_only_without_a_vocabulary(self, model: str) -> None:
        assert Detect(yolo("yolo-world", model=model)).needs == {"frames", "phrases"}
        fixed = yolo("yolo-world", model=model, phrases=("dog",))
        assert Detect(fixed).needs == {"frames"}

    def test_classes_saved_in_the_checkpoint_need_no_encoder(
        self, model: str, weights: Path, tmp_path: Path
    ) -> None:
        frames = frame_set(tmp_path, [noise(1)])
        fixed = run(detect(yolo("yolo-world", model=model, phrases=NAMES), weights), frames)
        asked = run(detect(yolo("yolo-world", model=model), weights), frames, phrases=NAMES)
        assert fixed == asked
        assert set(fixed[0].data["labels"]) <= set(NAMES)

    def test_some_of_the_saved_classes_in_any_order_need_no_encoder_either(
        self, model: str, weights: Path, tmp_path: Path
    ) -> None:
        frames, tool = (
            frame_set(tmp_path, [noise(1)]),
            detect(yolo("yolo-world", model=model), weights),
        )
        (whole,) = run(tool, frames, phrases=NAMES)
        (turned,) = run(tool, frames, phrases=NAMES[::-1])
        (fewer,) = run(tool, frames, phrases=("dog", "car"))
        assert set(fewer.data["labels"]) <= {"dog", "car"}
        (again,) = run(tool, frames, phrases=NAMES)
        assert again == whole
        for data in (whole.data, turned.data):
            assert len(data["labels"]) == len(data["boxes"]) > 0
        assert whole.data["counts"] == turned.data["counts"]

    def test_what_a_question_asks_for_is_told_picture_by_picture(
        self, model: str, weights: Path, tmp_path: Path
    ) -> None:
        frames = frame_set(tmp_path, [noise(1)] * 3)
        fixed = run(detect(yolo("yolo-world", model=model, phrases=NAMES), weights), frames)
        asked = run(detect(yolo("yolo-world", model=model), weights), frames, phrases=NAMES)
        assert [(one.start_s, one.end_s) for one in fixed] == [(0, 3)]
        assert [(one.start_s, one.data["frame"], one.data["time_s"]) for one in asked] == [
            (0, 0, 0),
            (1, 1, 1),
            (2, 2, 2),
        ]

    def test_nothing_to_look_for_finds_nothing(
        self, model: str, weights: Path, tmp_path: Path
    ) -> None:
        tool = detect(yolo("yolo-world", model=model), weights)
        assert run(tool, frame_set(tmp_path, [noise(1)])) == []

    def test_other_phrases_without_the_encoder_name_the_remedy(
        self, model: str, weights: Path, tmp_path: Path
    ) -> None:
        options = yolo("yolo-world", model=model, text_encoder=str(tmp_path / "clip"))
        with pytest.raises(MissingError, match="hf download"):
            detect(options.model_copy(update={"phrases": ("red car",)}), weights)
        tool = detect(options, weights)
        with pytest.raises(MissingError, match=r"detect\.text_encoder"):
            run(tool, frame_set(tmp_path, [noise(1)]), phrases=("red car",))

    @pytest.mark.filterwarnings("ignore:.torch.jit:FutureWarning")  # MobileCLIP is TorchScript
    def test_phrases_of_the_question_become_the_classes(
        self, model: str, weights: Path, tmp_path: Path
    ) -> None:
        encoder = save_text_encoder(tmp_path / "clip")
        options = yolo("yolo-world", model=model, text_encoder=str(encoder))
        tool, frames = detect(options, weights), frame_set(tmp_path, [noise(1), noise(2)])
        alone = tool.memory_bytes
        assert 0 < alone <= 4 * (weights / model).stat().st_size
        if model == "tiny-yoloe.pt":
            with pytest.raises(MissingError, match=r"text encoder mobileclip_blt\.ts"):
                run(tool, frames, phrases=("red car",))
            save_mobile_encoder(weights / "mobileclip_blt.ts")
        for phrases in (("red car",), ("a dog", "a cat", "red car")):
            found = run(tool, frames, phrases=phrases)
            assert found
            assert {label for one in found for label in one.data["labels"]} <= set(phrases)
        assert tool.memory_bytes > alone  # by the text encoder


@pytest.mark.parametrize("change", [{"projection_dim": 24}, {"hidden_size": 16}])
def test_a_text_encoder_of_another_size_is_the_users_input(
    weights: Path, tmp_path: Path, change: dict[str, int]
) -> None:
    encoder = save_text_encoder(tmp_path / "clip")
    config = json.loads((encoder / "config.json").read_text())
    (encoder / "config.json").write_text(json.dumps(config | change))
    tool = detect(yolo("yolo-world", text_encoder=str(encoder)), weights)
    with pytest.raises(InputError, match=r"does not give vectors of 512"):
        run(tool, frame_set(tmp_path, [noise(1)]), phrases=("red car",))


def test_a_closed_set_model_finds_no_phrases(weights: Path) -> None:
    with pytest.raises(InputError, match="neither YOLO-World nor YOLOE"):
        detect(yolo("yolo-world", model="tiny.pt"), weights)


def save_mobile_encoder(file: Path) -> None:
    """A TorchScript text encoder with random weights: tokens [n, 77] -> vectors [n, 512]."""
    import torch

    class Encoder(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words = torch.nn.Embedding(64, 512)

        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            return self.words(tokens).mean(dim=1)

    torch.manual_seed(0)
    torch.jit.trace(Encoder(), torch.zeros(2, 77, dtype=torch.long)).save(str(file))


def save_text_encoder(folder: Path) -> Path:
    """CLIP's text encoder with random weights and a vocabulary of single letters."""
    import torch
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    words = [*letters, *(f"{letter}</w>" for letter in letters)]
    vocabulary = {
        word: number for number, word in enumerate([*words, "<|startoftext|>", "<|endoftext|>"])
    }
    folder.mkdir()
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    torch.manual_seed(0)
    config = CLIPTextConfig(
        vocab_size=len(vocabulary), hidden_size=32, intermediate_size=32, num_hidden_layers=1,
        num_attention_heads=2, projection_dim=512, bos_token_id=len(words) - 2,
        eos_token_id=len(words) - 1, pad_token_id=len(words) - 1,
    )  # fmt: skip
    CLIPTextModelWithProjection(config).save_pretrained(folder)
    return folder


def test_what_was_kept_is_not_done_again(tmp_path: Path, kept: SimpleNamespace) -> None:
    picture = Image.new("RGB", (320, 240), "white")
    frames = frame_set(tmp_path, [picture] * 3)
    tool = detect(DetectOptions(batch=2), tmp_path)
    box = [0.1, 0.1, 0.5, 0.9]
    kept.pieces |= {"pictures from 0": [[["person", 0.9, box]], []], "pictures from 2": [[]]}
    (evidence,) = run(tool, frames, keep=kept.recall)
    assert (evidence.start_s, evidence.end_s, evidence.text) == (0, 1, "at least 1 person")
    assert evidence.data["boxes"] == [box]
    kept.pieces.clear()
    run(tool, frames, keep=kept.keep)
    assert kept.pieces == {"pictures from 0": [[], []], "pictures from 2": [[]]}
